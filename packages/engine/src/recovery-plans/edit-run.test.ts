import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { expect, test } from 'vitest'
import { by, newProtectedLab } from '../engine-lab.ts'
import { group, machine, plan, script, step } from './plan-lab.ts'

test('a step that starts while somebody edits it stays as it was started', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const groups = [
    group('front', { machines: [machine('m-web', protectionId)], after: [step('smoke', script('smoke'))] }),
  ]
  const made = await lab.engine.plans.create(plan(groups), { by })
  const run = await lab.engine.plans.start({ by, planId: made.plan.id, kind: 'test' })
  await lab.engine.plans.pause(run.id, { by })
  const { planRuns } = lab.stores
  const { activities } = planRuns
  // What the edit goes by is read, and then the step starts.
  Object.assign(planRuns, {
    activities: async (id: typeof run.id) => {
      const read = await activities(id)
      const from = { state: 'pending', attempt: 0, run: ['paused'] } as const
      await planRuns.moveActivity(id, 'smoke' as ItemId, from, { state: 'running', attempt: 1 })
      return read
    },
  })
  const edited = groups.map((each) => ({ ...each, after: [step('smoke', script('another'))] }))
  const request = { by, planRunId: run.id, planRevision: run.planRevision }
  await expect(
    lab.engine.plans.edit({ ...request, plan: { ...made.plan, groups: edited } }),
  ).rejects.toMatchObject({ code: 'plan-run/edited-meanwhile' })
  expect((await planRuns.find(run.id))?.plan).toEqual(made.plan)
})
