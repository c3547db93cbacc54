// Kill the process before and after every step of every job of a plan's run, and at any call of any port: the run goes on where it was.
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanRunKind } from '@understudy/domain/recovery-plans/plan'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import { activePlanRunStates, type PlanRun, type PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { describe, expect, test } from 'vitest'
import { type Crash, type CrashLab, protectedCrashLab } from '../crash-lab.ts'
import { by } from '../engine-lab.ts'
import { group, machine, plan, script, step } from './plan-lab.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const RANDOM_CRASHES = 12

type PlanLab = CrashLab & { readonly db: ProtectionId; readonly planId: PlanRun['planId'] }

async function planLab(): Promise<PlanLab> {
  const lab = await protectedCrashLab([2 ** 16])
  const { engine } = lab.process
  const { ref } = await lab.a.addMachine({ name: 'db', disks: [2 ** 16], writeEveryMilliseconds: 900 })
  const web = await lab.stores.protections.find(lab.protectionId)
  if (!web) throw new Error('web is protected')
  await engine.refreshSite(web.sourceSiteId)
  const row = await lab.stores.machines.findByRef(web.sourceSiteId, ref)
  if (!row) throw new Error('the inventory has db')
  const { policyId, targetSiteId, adapters } = web
  const { protectionId: db } = await engine.protect({
    by,
    machineId: row.id,
    targetSiteId,
    policyId,
    adapters,
    excludedDisks: [],
  })
  await lab.clock.advance(20_000)
  const kept = await engine.plans.create(
    plan([
      group('data', { machines: [machine('m-db', db)], after: [step('migrate', script('migrate'))] }),
      group('front', {
        machines: [machine('m-web', web.id)],
        after: [step('smoke', script('smoke'), { whenItFails: 'continue' })],
      }),
    ]),
    { by },
  )
  return { ...lab, db, planId: kept.plan.id }
}

const runId = 'the-run' as PlanRunId

type Ran = {
  readonly lab: PlanLab
  readonly run: PlanRun | null
  readonly acts: number
  readonly calls: number
  readonly died: boolean
  readonly lastCall: string
}

/** The plan is asked for, the process dies as told, another one lives until the run is over; then the same is asked for once more. */
async function runPlan(kind: PlanRunKind, crash: Crash): Promise<Ran> {
  const lab = await planLab()
  await lab.process.engine.stop()
  const first = await lab.begin(crash)
  const asked = first.engine.plans.start({ by, planRunId: runId, planId: lab.planId, kind })
  await Promise.race([asked, first.outside.died])
  await settle(lab, () => first.outside.dead)
  const { dead: died, callCount: calls, lastCall } = first.outside
  const acts = first.durable.actCount
  if (!died) await first.engine.stop()
  const second = await lab.begin({})
  await second.engine.plans.start({ by, planRunId: runId, planId: lab.planId, kind })
  await settle(lab, () => false)
  lab.process = second
  return { lab, run: await lab.stores.planRuns.find(runId), acts, calls, died, lastCall }
}

async function settle(lab: PlanLab, isDead: () => boolean): Promise<void> {
  for (let turn = 0; turn < 600; turn += 1) {
    if (isDead()) return
    const run = await lab.stores.planRuns.find(runId)
    if (run && !activePlanRunStates.includes(run.state)) return
    await lab.clock.advance(1000)
  }
  const now = await lab.stores.planRuns.activities(runId)
  throw new Error(`the run is not over: ${JSON.stringify(now, null, 1)}`)
}

async function expectWhole({ lab, run }: Ran, kind: PlanRunKind): Promise<void> {
  expect(run).toMatchObject({ state: 'succeeded', note: null })
  const activities = await lab.stores.planRuns.activities(runId)
  expect(activities.map(({ state }) => state)).toEqual(activities.map(() => 'succeeded'))
  // Nothing is done twice, and in order.
  expect(lab.steps.effects.map(({ what }) => what)).toEqual(['migrate', 'smoke'])
  expect(lab.b.machines().filter(({ power }) => power === 'running')).toHaveLength(2)
  expect(lab.a.machines().filter(({ power }) => power === 'running')).toHaveLength(kind === 'test' ? 2 : 0)
  const end = (id: string): number => activities.find(({ itemId }) => itemId === id)?.endedAt ?? Number.NaN
  const start = (id: string): number =>
    activities.find(({ itemId }) => itemId === id)?.startedAt ?? Number.NaN
  for (const [before, after] of [
    ['m-db', 'migrate'],
    ['migrate', 'm-web'],
    ['m-web', 'smoke'],
  ] as const)
    expect(start(after)).toBeGreaterThanOrEqual(end(before))
  const jobs = await lab.stores.jobs.list({}, { limit: 500, cursor: null })
  const perItem = Map.groupBy(activities, ({ jobId }) => jobId as ItemId | null)
  expect(perItem.size).toBe(activities.length)
  expect(jobs.rows.filter(({ kind: each }) => each === 'plan-step')).toHaveLength(2)
  await lab.process.engine.stop()
}

describe.each(['test', 'planned'] as const)('a plan that is run for a %s', (kind) => {
  test('survives a kill around every step of its jobs', async () => {
    const whole = await runPlan(kind, {})
    await expectWhole(whole, kind)
    expect(whole.acts).toBeGreaterThan(10)
    for (let act = 1; act <= whole.acts; act += 1)
      for (const moment of ['before', 'after', 'kept'] as const) {
        const ran = await runPlan(kind, { act: { act, moment } })
        await expectWhole(ran, kind).catch((error: unknown) => {
          throw new Error(`killed ${moment} act ${act}`, { cause: error })
        })
      }
  })

  test(`survives a kill at any call (SEED=${seed})`, async () => {
    const random = seededRandom(seed)
    const { calls } = await runPlan(kind, {})
    for (let round = 0; round < RANDOM_CRASHES; round += 1) {
      const call = 1 + random.below(calls)
      const moment = random.chance(0.5) ? 'before' : 'after'
      const ran = await runPlan(kind, { call: { call, moment } })
      await expectWhole(ran, kind).catch((error: unknown) => {
        throw new Error(`SEED=${seed}: killed ${moment} call ${call}, ${ran.lastCall}`, { cause: error })
      })
    }
  })
})
