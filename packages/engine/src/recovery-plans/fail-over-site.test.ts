// A whole site is taken for dead: its plans are failed over in order, some at a time, and each once whatever dies.
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { activePlanRunStates, type PlanRun } from '@understudy/domain/recovery-plans/plan-run'
import type { SiteFailover, SiteFailoverId } from '@understudy/domain/recovery-plans/site-failover'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { describe, expect, test, vi } from 'vitest'
import { type Crash, type CrashLab, protectedCrashLab } from '../crash-lab.ts'
import { by, type Lab, minute, newProtectedLab, protectOneMore, runningAt } from '../engine-lab.ts'
import type { Stores } from '../ports/stores.ts'
import type { FailOverSiteRequest } from '../requests.ts'
import { group, machine, plan, script, step } from './plan-lab.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
const RANDOM_CRASHES = 12
const all = { limit: 100, cursor: null }

async function newSiteLab() {
  const { lab, protectionId: web } = await newProtectedLab()
  lab.steps.take('look', 30)
  const [db, mail, loose] = [
    await protectOneMore(lab, { name: 'db' }),
    await protectOneMore(lab, { name: 'mail' }),
    await protectOneMore(lab, { name: 'loose' }),
  ]
  const make = async (name: string, priority: number, ...ids: readonly ProtectionId[]) => {
    const machines = ids.map((id) => machine(`m-${id}`, id))
    const groups = [group('all', { machines, after: [step('look', script('look'))] })]
    const kept = await lab.engine.plans.create(plan(groups, { name, priority }), { by })
    return kept.plan.id
  }
  const plans = {
    mail: await make('Mail', 5, mail),
    shop: await make('Shop', 5, web),
    data: await make('Data', 9, db),
  }
  const request = (more: Partial<FailOverSiteRequest> = {}): FailOverSiteRequest => ({
    by,
    siteId: lab.siteA.id,
    siteName: 'A',
    planIds: Object.values(plans),
    acceptUnfenced: true,
    ...more,
  })
  return { lab, plans, db, mail, web, loose, request }
}

const runsOf = async (stores: Stores): Promise<readonly PlanRun[]> =>
  (await stores.planRuns.list({}, all)).rows.toReversed()

/** Whoever reads it to start it fails, as over a row that nobody can read. */
function breakPlan(lab: Lab, broken: PlanId): void {
  const { plans } = lab.stores
  const { find } = plans
  Object.assign(plans, {
    find: async (id: PlanId) => {
      if (id === broken) throw new Error('a broken row')
      return await find(id)
    },
  })
}

async function finished(lab: Lab, { id }: SiteFailover, watch = async () => {}): Promise<SiteFailover> {
  for (let turn = 0; turn < 1000; turn += 1) {
    const now = await lab.stores.siteFailovers.find(id)
    if (now?.state === 'done') return now
    await watch()
    await lab.clock.advance(500)
  }
  throw new Error(`it does not end: ${JSON.stringify(await lab.stores.siteFailovers.find(id), null, 1)}`)
}

describe('a site that is taken for dead', () => {
  test('takes its plans down in their order, and the machines that no plan brings back', async () => {
    const { lab, loose } = await newSiteLab()
    const scope = await lab.engine.plans.siteScope(lab.siteA.id)
    expect(scope.plans.map(({ plan: { name } }) => name)).toEqual(['Data', 'Mail', 'Shop'])
    expect(scope.uncovered.map(({ id }) => id)).toEqual([loose])
    expect(await lab.engine.plans.siteScope(lab.siteB.id)).toEqual({ plans: [], uncovered: [] })
  })

  test.each([1, 3])(
    'a machine that two of its plans need is brought up once, and both go through: %i at a time',
    async (atOnce) => {
      const { lab, db, mail, plans, request } = await newSiteLab()
      const groups = [group('all', { machines: [machine('m-db', db), machine('m-mail', mail)] })]
      const both = await lab.engine.plans.create(plan(groups, { name: 'Both', priority: 1 }), { by })
      lab.a.faults.siteDown = true
      const planIds = [plans.data, plans.mail, both.plan.id]
      const done = await finished(lab, await lab.engine.plans.failOverSite(request({ planIds, atOnce })))
      expect(done.plans.map(({ state, why }) => [state, why])).toEqual([
        ['begun', null],
        ['begun', null],
        ['begun', null],
      ])
      const runs = await runsOf(lab.stores)
      expect(runs.map(({ planName, state }) => [planName, state]).toSorted()).toEqual([
        ['Both', 'succeeded'],
        ['Data', 'succeeded'],
        ['Mail', 'succeeded'],
      ])
      expect(runningAt(lab.b)).toHaveLength(2)
    },
  )

  test('has its plans failed over in that order, no more than so many at a time', async () => {
    const { lab, request } = await newSiteLab()
    lab.a.faults.siteDown = true
    const started = await lab.engine.plans.failOverSite(request({ atOnce: 1 }))
    let most = 0
    const done = await finished(lab, started, async () => {
      const active = (await runsOf(lab.stores)).filter(({ state }) => activePlanRunStates.includes(state))
      most = Math.max(most, active.length)
    })
    expect(most).toBe(1)
    expect(done.plans.map(({ planName, state }) => [planName, state])).toEqual([
      ['Data', 'begun'],
      ['Mail', 'begun'],
      ['Shop', 'begun'],
    ])
    const runs = await runsOf(lab.stores)
    expect(runs.map(({ planName, state, kind }) => [planName, state, kind])).toEqual([
      ['Data', 'succeeded', 'unplanned'],
      ['Mail', 'succeeded', 'unplanned'],
      ['Shop', 'succeeded', 'unplanned'],
    ])
    expect(await lab.engine.plans.siteScope(lab.siteA.id)).toMatchObject({
      plans: [],
      uncovered: [{ name: 'loose' }],
    })
  })

  test('a plan that is just being tested is told with its reason, stops no other, and begins once that is over', async () => {
    const { lab, plans, request } = await newSiteLab()
    const { engine } = lab
    const { id } = await engine.plans.start({ by, planId: plans.mail, kind: 'test' })
    await engine.plans.pause(id, { by })
    const failover = await engine.plans.failOverSite(request())
    await lab.clock.advance(60_000)
    const mail = (await lab.stores.siteFailovers.find(failover.id))?.plans.find(
      ({ planId }) => planId === plans.mail,
    )
    expect(mail).toMatchObject({
      state: 'begun',
      why: { message: 'A run of the recovery plan is under way' },
    })
    const moved = (await runsOf(lab.stores)).filter(({ kind }) => kind === 'unplanned')
    expect(moved.map(({ planName, state }) => [planName, state])).toEqual([
      ['Data', 'succeeded'],
      ['Shop', 'succeeded'],
    ])
    await engine.plans.cancel(id, { by })
    await finished(lab, failover)
    const run = mail && (await lab.stores.planRuns.find(mail.planRunId))
    expect(run).toMatchObject({ planName: 'Mail', kind: 'unplanned' })
    expect(await lab.events('site-failover/plan-refused')).toEqual([])
  })

  test('a fault of ours with one plan is told, and stops none of the others', async () => {
    const { lab, plans, request } = await newSiteLab()
    breakPlan(lab, plans.data)
    const done = await finished(lab, await lab.engine.plans.failOverSite(request({ atOnce: 1 })))
    expect(done.plans.map(({ state, why }) => [state, why?.message ?? null])).toEqual([
      ['refused', 'a broken row'],
      ['begun', null],
      ['begun', null],
    ])
    expect(await lab.events('site-failover/plan-refused')).toHaveLength(1)
  })

  test('what its plans ask for is filled in beforehand, and refused beforehand where it is missing', async () => {
    const { lab, plans, request } = await newSiteLab()
    const kept = await lab.stores.plans.find(plans.mail)
    if (!kept) throw new Error('the plan is kept')
    const asked = { description: '', choices: [], default: null, asked: true } as const
    const parameters = [
      { ...asked, name: 'ticket', type: 'number' },
      { ...asked, name: 'key', type: 'secret' },
    ] as const
    const edited = { ...kept.plan, parameters }
    await lab.engine.plans.save({ by, plan: edited, version: kept.version, comment: '' })
    lab.a.faults.siteDown = true
    const refused = { code: 'site-failover/parameters' }
    for (const given of [{}, { [plans.mail]: { ticket: 'many', key: 'x' } }, { none: {} }])
      await expect(lab.engine.plans.failOverSite(request({ parameters: given }))).rejects.toMatchObject(
        refused,
      )
    expect(await runsOf(lab.stores)).toEqual([])
    const given = { [plans.mail]: { ticket: 7, key: 'hunter2' } }
    const done = await finished(lab, await lab.engine.plans.failOverSite(request({ parameters: given })))
    expect(done.plans.map(({ state }) => state)).toEqual(['begun', 'begun', 'begun'])
    const mail = (await runsOf(lab.stores)).find(({ planId }) => planId === plans.mail)
    expect(mail).toMatchObject({ state: 'succeeded', parameters: { ticket: 7 } })
    expect(await lab.stores.siteFailovers.given(done.id)).toEqual({})
  })

  test('how the site stands is read once at a look, however many plans begin', async () => {
    const { lab, request } = await newSiteLab()
    lab.a.faults.siteDown = true
    const started = await lab.engine.plans.failOverSite(request({ atOnce: 20 }))
    const read = vi.spyOn(lab.stores.plans, 'list')
    for (let turn = 0; turn < 100 && (await runsOf(lab.stores)).length < 3; turn += 1)
      await lab.clock.advance(10)
    expect((await runsOf(lab.stores)).length).toBe(3)
    // Nobody else reads them in this time.
    expect(read).toHaveBeenCalledTimes(1)
    await finished(lab, started)
  })

  test('a stop frees what was written down as begun and could not be', async () => {
    const { lab, plans, request } = await newSiteLab()
    const { id } = await lab.engine.plans.start({ by, planId: plans.mail, kind: 'test' })
    await lab.engine.plans.pause(id, { by })
    const failover = await lab.engine.plans.failOverSite(request({ planIds: [plans.mail] }))
    await lab.clock.advance(3000)
    await lab.engine.plans.stopSiteFailover(failover.id, { by })
    expect((await finished(lab, failover)).plans).toMatchObject([{ state: 'left-out' }])
  })

  test('another name than its own confirms nothing, nor does a plan without machines there', async () => {
    const { lab, plans, request } = await newSiteLab()
    const { failOverSite } = lab.engine.plans
    await expect(failOverSite(request({ siteName: 'B' }))).rejects.toMatchObject({
      code: 'site-failover/not-confirmed',
    })
    for (const planIds of [[], [plans.mail, 'none' as typeof plans.mail]])
      await expect(failOverSite(request({ planIds }))).rejects.toMatchObject({
        code: 'site-failover/no-such-plan',
      })
    expect(await lab.stores.siteFailovers.active()).toEqual([])
  })

  test('a plan that was moved by hand while it waited is not begun: what serves now stays on', async () => {
    const { lab, plans, mail, request } = await newSiteLab()
    const { engine } = lab
    const planIds = [plans.data, plans.mail]
    const failover = await engine.plans.failOverSite(request({ planIds, atOnce: 1 }))
    await lab.clock.advance(1500)
    const [data] = await runsOf(lab.stores)
    if (!data) throw new Error('the first plan has begun')
    await engine.plans.pause(data.id, { by })
    const ask = { by, protectionId: mail }
    await lab.done(engine.plannedFailover(ask))
    await lab.done(engine.commit(ask))
    await lab.done(engine.reprotect({ ...ask, powerOffOriginal: false }))
    await engine.plans.resume(data.id, { by })
    const done = await finished(lab, failover)
    expect(done.plans.map(({ state }) => state)).toEqual(['begun', 'refused'])
    expect(done.plans[1]?.why?.message).toContain('have left "A"')
    expect(await runsOf(lab.stores)).toHaveLength(1)
    expect(runningAt(lab.b).map(({ name }) => name)).toContain('mail')
  })

  test('a plan that would switch off what runs elsewhere is failed over only when that is asked for', async () => {
    const { lab, db, mail, request } = await newSiteLab()
    const groups = [group('all', { machines: [machine('m-db', db), machine('m-mail', mail)] })]
    const mixed = (await lab.engine.plans.create(plan(groups, { name: 'Mixed' }), { by })).plan.id
    await lab.done(lab.engine.plannedFailover({ by, protectionId: mail }))
    const { failOverSite } = lab.engine.plans
    await expect(failOverSite(request({ planIds: [mixed] }))).rejects.toMatchObject({
      code: 'site-failover/moves-along',
      message: expect.stringContaining('1 machine that runs elsewhere'),
    })
    const asked = await failOverSite(request({ planIds: [mixed], moveAlong: [mixed] }))
    expect(asked.plans).toMatchObject([{ planName: 'Mixed', atStart: { elsewhere: [mail] } }])
  })

  test('once the site answers again, nothing more is begun by itself', async () => {
    const { lab, plans, request } = await newSiteLab()
    const { engine } = lab
    lab.a.faults.siteDown = true
    await lab.clock.advance(2 * minute)
    const planIds = [plans.data, plans.mail]
    const failover = await engine.plans.failOverSite(request({ planIds, atOnce: 1 }))
    await lab.clock.advance(1500)
    const [data] = await runsOf(lab.stores)
    if (!data) throw new Error('the first plan has begun')
    await engine.plans.pause(data.id, { by })
    lab.a.faults.siteDown = false
    await lab.clock.advance(2 * minute)
    await engine.plans.resume(data.id, { by })
    const done = await finished(lab, failover)
    expect(done.plans.map(({ state }) => state)).toEqual(['begun', 'refused'])
    expect(done.plans[1]?.why?.message).toContain('answers again')
    expect(done.plans[1]?.why?.remedy).toContain('by hand')
  })

  test('is failed over once at a time, and the same request is the same failover', async () => {
    const { lab, request } = await newSiteLab()
    const id = 'the-failover' as SiteFailoverId
    const first = await lab.engine.plans.failOverSite(request({ id }))
    expect(
      (await lab.engine.plans.failOverSite(request({ id }))).plans.map(({ planRunId }) => planRunId),
    ).toEqual(first.plans.map(({ planRunId }) => planRunId))
    await expect(lab.engine.plans.failOverSite(request())).rejects.toMatchObject({
      code: 'site-failover/running',
    })
  })

  test('what has not begun is left out once somebody stops it, and more may go at a time', async () => {
    const { lab, request } = await newSiteLab()
    const { failOverSite, changeAtOnce, stopSiteFailover } = lab.engine.plans
    const { id } = await failOverSite(request({ atOnce: 1 }))
    await lab.clock.advance(1500)
    await changeAtOnce(id, 2)
    await lab.clock.advance(1500)
    expect(await runsOf(lab.stores)).toHaveLength(2)
    const stopped = await stopSiteFailover(id, { by })
    expect(stopped.plans.map(({ state }) => state)).toEqual(['begun', 'begun', 'left-out'])
    expect((await finished(lab, stopped)).stoppedBy).toBe(by)
    expect(await runsOf(lab.stores)).toHaveLength(2)
    await expect(stopSiteFailover(id, { by })).rejects.toMatchObject({ code: 'site-failover/done' })
  })
})

// Dying in the middle

type SiteCrashLab = CrashLab & { readonly request: FailOverSiteRequest }

async function siteCrashLab(): Promise<SiteCrashLab> {
  const lab = await protectedCrashLab([2 ** 14])
  const { engine } = lab.process
  const web = await lab.stores.protections.find(lab.protectionId)
  if (!web) throw new Error('web is protected')
  const { ref } = await lab.a.addMachine({ name: 'db', disks: [2 ** 14], writeEveryMilliseconds: 900 })
  await engine.refreshSite(web.sourceSiteId)
  const row = await lab.stores.machines.findByRef(web.sourceSiteId, ref)
  if (!row) throw new Error('the inventory has db')
  const { policyId, targetSiteId, adapters } = web
  const wanted = { by, machineId: row.id, targetSiteId, policyId, adapters, excludedDisks: [] }
  const { protectionId: db } = await engine.protect(wanted)
  await lab.clock.advance(20_000)
  const planIds: PlanId[] = []
  for (const [name, id] of [
    ['Data', db],
    ['Shop', web.id],
  ] as const) {
    const groups = [group('all', { machines: [machine('m', id)] })]
    planIds.push((await engine.plans.create(plan(groups, { name }), { by })).plan.id)
  }
  const id = 'the-failover' as SiteFailoverId
  const request = {
    by,
    id,
    siteId: web.sourceSiteId,
    siteName: 'A',
    planIds,
    acceptUnfenced: true,
    atOnce: 1,
  }
  return { ...lab, request }
}

async function failOver(
  crash: Crash,
): Promise<{ readonly lab: SiteCrashLab; readonly calls: number; readonly lastCall: string }> {
  const lab = await siteCrashLab()
  await lab.process.engine.stop()
  const first = await lab.begin(crash)
  const asked = first.engine.plans.failOverSite(lab.request)
  await Promise.race([asked, first.outside.died])
  await settle(lab, () => first.outside.dead)
  const { dead, callCount: calls, lastCall } = first.outside
  if (!dead) await first.engine.stop()
  lab.process = await lab.begin({})
  await lab.process.engine.plans.failOverSite(lab.request)
  await settle(lab, () => false)
  return { lab, calls, lastCall }
}

async function settle(lab: SiteCrashLab, isDead: () => boolean): Promise<void> {
  for (let turn = 0; turn < 600; turn += 1) {
    if (isDead()) return
    if ((await lab.stores.siteFailovers.find(lab.request.id as SiteFailoverId))?.state === 'done') return
    await lab.clock.advance(1000)
  }
  throw new Error(
    `it does not end: ${JSON.stringify((await lab.stores.siteFailovers.list(all)).rows, null, 1)}`,
  )
}

async function expectWhole({ lab }: { readonly lab: SiteCrashLab }): Promise<void> {
  const [failover] = (await lab.stores.siteFailovers.list(all)).rows
  expect(failover?.plans.map(({ state }) => state)).toEqual(['begun', 'begun'])
  const runs = await runsOf(lab.stores)
  expect(runs.map(({ id, planName, state }) => [id, planName, state])).toEqual(
    failover?.plans.map(({ planRunId, planName }) => [planRunId, planName, 'succeeded']),
  )
  expect(lab.b.machines().filter(({ power }) => power === 'running')).toHaveLength(2)
  await lab.process.engine.stop()
}

test(`each plan is begun once, and all are, although the process is killed at any call (SEED=${seed})`, async () => {
  const random = seededRandom(seed)
  const whole = await failOver({})
  await expectWhole(whole)
  for (let round = 0; round < RANDOM_CRASHES; round += 1) {
    const call = 1 + random.below(whole.calls)
    const moment = random.chance(0.5) ? 'before' : 'after'
    const ran = await failOver({ call: { call, moment } })
    await expectWhole(ran).catch((error: unknown) => {
      throw new Error(`SEED=${seed}: killed ${moment} call ${call}, ${ran.lastCall}`, { cause: error })
    })
  }
})

test('each plan is begun once although the process is killed at every one of its first calls', async () => {
  for (let call = 1; call <= 24; call += 1)
    for (const moment of ['before', 'after'] as const) {
      const ran = await failOver({ call: { call, moment } })
      await expectWhole(ran).catch((error: unknown) => {
        throw new Error(`killed ${moment} call ${call}, ${ran.lastCall}`, { cause: error })
      })
    }
})

describe('while a store does not answer', () => {
  test('the plans of other stores begin, and runs that had begun go on', async () => {
    const { lab, plans, web, db, mail, request } = await newSiteLab()
    await lab.engine.createGroup({ name: 'shop', members: [web, db] }, { by })
    await lab.clock.advance(20_000)
    const groups = [group('all', { machines: [machine('m-1', web), machine('m-2', db)] })]
    const { plan: both } = await lab.engine.plans.create(plan(groups, { name: 'Both', priority: 1 }), { by })
    const open = lab.b.replicas.openReplica
    const { replicaId } = await lab.state(web)
    const spy = vi.spyOn(lab.b.replicas, 'openReplica')
    spy.mockImplementation((id, epoch) => (id === replicaId ? new Promise(() => {}) : open(id, epoch)))
    await lab.engine.plans.failOverSite(request({ planIds: [both.id, plans.mail], atOnce: 2 }))
    await lab.clock.advance(10_000)
    // The first in the order is still asking its store.
    expect((await runsOf(lab.stores)).map(({ planName }) => planName)).toEqual(['Mail'])
    expect((await lab.activeRuns(mail)).length).toBe(1)
    await lab.clock.advance(10_000)
    expect((await runsOf(lab.stores)).map(({ planName }) => planName)).toEqual(['Mail', 'Both'])
    spy.mockRestore()
  })
})
