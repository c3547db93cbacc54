// Two of one machine run after a failover: the old one is switched off, and never the one that serves.
import { expect, test } from 'vitest'
import { by, type Lab, minute, newProtectedLab } from '../engine-lab.ts'
import { group, machine, plan } from '../recovery-plans/plan-lab.ts'

async function failedOverLab() {
  const { lab, ask } = await newProtectedLab()
  const groups = [group('all', { machines: [machine('m', ask.protectionId)] })]
  const made = await lab.engine.plans.create(plan(groups), { by })
  lab.a.faults.siteDown = true
  const started = await lab.engine.plans.start({
    by,
    planId: made.plan.id,
    kind: 'unplanned',
    settings: { acceptUnfenced: true },
  })
  for (let turn = 0; turn < 300; turn += 1) {
    if ((await lab.stores.planRuns.find(started.id))?.state === 'succeeded') break
    await lab.clock.advance(1000)
  }
  expect((await lab.stores.planRuns.find(started.id))?.state).toBe('succeeded')
  const look = async () => {
    await lab.engine.refreshSite(lab.siteA.id)
    return lab.engine.plans.runningTwice(made.plan)
  }
  return { lab, ask, look }
}

const running = (lab: Lab, site: 'a' | 'b'): number =>
  lab[site].machines().filter(({ power }) => power === 'running').length

test('a site that comes back with its machines running is told for the plan, and one act switches the old ones off', async () => {
  const { lab, ask, look } = await failedOverLab()
  expect(await lab.engine.plans.runningTwice(await someplan(lab))).toEqual([])
  lab.a.faults.siteDown = false
  expect(await look()).toMatchObject([
    { name: 'web', oldSiteId: lab.siteA.id, servingSiteId: lab.siteB.id, canRollBack: true },
  ])
  expect([running(lab, 'a'), running(lab, 'b')]).toEqual([1, 1])
  await lab.done(lab.engine.powerOffOld(ask))
  expect([running(lab, 'a'), running(lab, 'b')]).toEqual([0, 1])
  expect(await look()).toEqual([])
  expect(await lab.events('failover/old-powered-off')).toHaveLength(1)
})

test('the old machine stays on when the one that serves does not run: none would be left', async () => {
  const { lab, ask, look } = await failedOverLab()
  lab.a.faults.siteDown = false
  await look()
  for (const { ref } of lab.b.machines()) await lab.b.platform.source?.powerOff(ref)
  const job = await lab.settle(lab.engine.powerOffOld(ask))
  expect(job.failure).toMatchObject({ code: 'failover/copy-not-running' })
  expect(running(lab, 'a')).toBe(1)
})

test('a machine that was rolled back to is nobody to switch off', async () => {
  const { lab, ask, look } = await failedOverLab()
  lab.a.faults.siteDown = false
  await look()
  await lab.done(lab.engine.rollBack(ask))
  await lab.clock.advance(minute)
  expect(await look()).toEqual([])
  const job = await lab.settle(lab.engine.powerOffOld(ask))
  expect(job.failure).toMatchObject({ code: 'failover/no-second-life' })
  expect(running(lab, 'a')).toBe(1)
})

const someplan = async (lab: Lab) => {
  const [kept] = await lab.stores.plans.list()
  if (!kept) throw new Error('there is a plan')
  return kept.plan
}
