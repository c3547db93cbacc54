import { Refusal } from '@understudy/base/errors'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { expect, test } from 'vitest'
import { type Ask, by, type Lab, latest, minute, newProtectedLab } from '../engine-lab.ts'
import { group, machine, plan } from '../recovery-plans/plan-lab.ts'

async function ofMachine(lab: Lab, { protectionId }: Ask) {
  const protection = await lab.state(protectionId)
  const summary = await lab.stores.protections.summary(protectionId)
  const judged = await lab.engine.readiness([protection], new Map([[protectionId, summary]]))
  return spoken(judged.get(protectionId))
}

async function ofPlan(lab: Lab, planId: PlanId) {
  const kept = await lab.stores.plans.find(planId)
  if (!kept) throw new Error('there is a plan')
  return spoken((await lab.engine.plans.readiness([kept])).get(planId))
}

type Judged = { readonly level: string; readonly reasons: readonly { readonly message: string }[] }
const spoken = (judged: Judged | undefined) => [
  judged?.level,
  ...(judged?.reasons.map(({ message }) => message) ?? []),
]

const tested = async (lab: Lab, ask: Ask): Promise<void> => {
  await lab.done(lab.engine.testFailover({ ...ask, choice: latest }))
  await lab.done(lab.engine.cleanUpTest(ask))
}

test('only a test that passed proves a machine', async () => {
  const { lab, ask } = await newProtectedLab()
  expect(await ofMachine(lab, ask)).toEqual(['unproven', 'It has never been tested'])
  await tested(lab, ask)
  expect(await ofMachine(lab, ask)).toEqual(['proven'])
})

test('other hardware than in its test leaves it unproven, until the next test', async () => {
  const { lab, ask } = await newProtectedLab()
  await tested(lab, ask)
  const { hardware } = await lab.state(ask.protectionId)
  await lab.stores.protections.update(ask.protectionId, {
    hardware: { ...hardware, cpus: hardware.cpus + 2 },
  })
  expect(await ofMachine(lab, ask)).toEqual([
    'unproven',
    `Changed since the last test: ${hardware.cpus + 2} CPUs instead of ${hardware.cpus}`,
  ])
  await tested(lab, ask)
  expect(await ofMachine(lab, ask)).toEqual(['proven'])
})

test('a test that does not even boot has failed', async () => {
  const { lab, ask } = await newProtectedLab()
  await tested(lab, ask)
  const broken = new Refusal({ code: 'target/broken', message: 'It cannot', remedy: 'Mend it.' })
  lab.b.faults.failNext('target.boot', 5, broken)
  await lab.settle(lab.engine.testFailover({ ...ask, choice: latest }))
  expect(await ofMachine(lab, ask)).toEqual(['doubtful', 'The last test failed'])
})

test('what its target says is asked for by itself, and a blocker makes it not ready', async () => {
  const { lab, ask } = await newProtectedLab({ config: { preflightEverySeconds: 60 } })
  await tested(lab, ask)
  lab.b.faults.failNext('target.preflight', 3)
  await lab.clock.advance(1.5 * minute)
  const [level, reason] = await ofMachine(lab, ask)
  expect(level).toBe('not-ready')
  expect(reason).toMatch(/^Its target could not be asked/)
  await lab.clock.advance(4 * minute)
  expect(await ofMachine(lab, ask)).toEqual(['proven'])
})

test('a plan is proven by a test of the whole plan, and by no test of its machines', async () => {
  const { lab, ask, protectionId } = await newProtectedLab()
  const wanted = plan([group('all', { machines: [machine('m-web', protectionId)] })])
  const { plan: kept } = await lab.engine.plans.create(wanted, { by })
  await tested(lab, ask)
  expect(await ofPlan(lab, kept.id)).toEqual(['unproven', 'It has never been tested'])
  await lab.engine.plans.start({ by, planId: kept.id, kind: 'test', settings: { cleanUp: 'when-done' } })
  await lab.clock.advance(2 * minute)
  expect(await ofPlan(lab, kept.id)).toEqual(['proven'])
  const changed = { ...kept, targetRtoSeconds: 60 }
  await lab.engine.plans.save({ by, plan: changed, version: 1, comment: '' })
  expect(await ofPlan(lab, kept.id)).toEqual([
    'unproven',
    'Changed since the last test: target RTO from none to 60 s',
  ])
})

test('a plan is no better than its weakest machine, which is named', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const wanted = plan([group('all', { machines: [machine('m-web', protectionId)] })])
  const { plan: kept } = await lab.engine.plans.create(wanted, { by })
  await lab.engine.plans.start({ by, planId: kept.id, kind: 'test', settings: { cleanUp: 'when-done' } })
  await lab.clock.advance(2 * minute)
  await lab.engine.pause(ask)
  await lab.clock.advance(5 * minute)
  const [level, reason] = await ofPlan(lab, kept.id)
  expect(level).toBe('doubtful')
  expect(reason).toMatch(/^"web" is doubtful: Its newest point is \d+ s old/)
})
