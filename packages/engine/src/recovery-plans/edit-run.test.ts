import type { PlanGroup } from '@understudy/domain/recovery-plans/plan'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { describe, expect, test } from 'vitest'
import { by, newProtectedLab } from '../engine-lab.ts'
import type { EditRunRequest } from '../requests.ts'
import { group, machine, plan, script, step } from './plan-lab.ts'

/** A run that is paused before anything of it, and whose step starts as soon as an edit has read how the run stands. */
async function newOvertakenEdit(front: Partial<PlanGroup>) {
  const { lab, protectionId } = await newProtectedLab()
  const groups = [group('front', { machines: [machine('m-web', protectionId)], ...front })]
  const made = await lab.engine.plans.create(plan(groups), { by })
  const run = await lab.engine.plans.start({ by, planId: made.plan.id, kind: 'test' })
  await lab.engine.plans.pause(run.id, { by })
  const { planRuns } = lab.stores
  const { activities } = planRuns
  Object.assign(planRuns, {
    activities: async (id: typeof run.id) => {
      const read = await activities(id)
      const from = { state: 'pending', attempt: 0, run: ['paused'] } as const
      await planRuns.moveActivity(id, 'smoke' as ItemId, from, { state: 'running', attempt: 1 })
      return read
    },
  })
  const edit = (edited: Partial<PlanGroup>) =>
    lab.engine.plans.edit({
      by,
      planRunId: run.id,
      planRevision: run.planRevision,
      plan: { ...made.plan, groups: groups.map((each) => ({ ...each, ...edited })) },
    })
  return { edit, planOfRun: async () => (await planRuns.find(run.id))?.plan, made }
}

const smoke = step('smoke', script('smoke'))
const tell = step('tell', script('tell'))

test.each([
  ['changed', { after: [smoke] }, { after: [step('smoke', script('another'))] }],
  ['moved', { after: [tell, smoke] }, { after: [smoke, tell] }],
  ['what something else is moved in front of', { after: [smoke, tell] }, { after: [tell, smoke] }],
])('a step that starts while somebody edits it stays as it was started: %s', async (_, front, edited) => {
  const { edit, planOfRun, made } = await newOvertakenEdit(front)
  await expect(edit(edited)).rejects.toMatchObject({ code: 'plan-run/edited-meanwhile' })
  expect(await planOfRun()).toEqual(made.plan)
})

describe('an approval that is not given yet', () => {
  const approve = step('approve', {
    kind: 'approval',
    question: 'Go?',
    approverRole: 'owner',
    timeoutSeconds: 600,
  })

  async function edited(asker: Pick<EditRunRequest, 'by' | 'byId' | 'mayAnswer'>) {
    const { lab, protectionId } = await newProtectedLab()
    const groups = [
      group('ask', { before: [approve] }),
      group('front', { machines: [machine('m-web', protectionId)] }),
    ]
    const made = await lab.engine.plans.create(plan(groups), { by })
    const run = await lab.engine.plans.start({ by: 'olga', byId: 'olga', planId: made.plan.id, kind: 'test' })
    const moved = {
      ...run.plan,
      groups: run.plan.groups.map((each) => ({ ...each, start: 'at-once' as const })),
    }
    await lab.engine.plans.pause(run.id, { by })
    const { planRevision } = run
    await lab.engine.plans.edit({ planRunId: run.id, planRevision, plan: moved, ...asker })
  }

  test('is not got round by who has started the run, nor by who may not give it', async () => {
    const refused = { code: 'plan-run/held-by-approval' }
    await expect(edited({ by: 'olga (token)', byId: 'olga' })).rejects.toMatchObject(refused)
    await expect(edited({ by: 'otto', mayAnswer: () => false })).rejects.toMatchObject(refused)
  })

  test('may be put elsewhere by who may give it', async () => {
    await expect(edited({ by: 'ina' })).resolves.toBeUndefined()
  })

  test('holds back a copy of what waits for it, although that was skipped', async () => {
    const { lab } = await newProtectedLab()
    const groups = [
      group('ask', { before: [approve], after: [step('drop', script('drop'))] }),
      group('free', { start: 'at-once', before: [step('tell', script('tell'))] }),
    ]
    const made = await lab.engine.plans.create(plan(groups), { by })
    const olga = { by: 'olga', byId: 'olga' }
    const { id } = await lab.engine.plans.start({ ...olga, planId: made.plan.id, kind: 'test' })
    await lab.engine.plans.pause(id, { by })
    await lab.engine.plans.skip({ ...olga, planRunId: id, itemId: 'drop' as ItemId })
    const run = await lab.stores.planRuns.find(id)
    if (!run) throw new Error('it has been started')
    const copied = run.plan.groups.map((each) =>
      each.id === 'free' ? { ...each, before: [step('tell', script('drop'))] } : each,
    )
    await expect(
      lab.engine.plans.edit({
        ...olga,
        planRunId: id,
        planRevision: run.planRevision,
        plan: { ...run.plan, groups: copied },
      }),
    ).rejects.toMatchObject({ code: 'plan-run/held-by-approval' })
  })
})
