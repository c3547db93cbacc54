// Plans with machines of a consistency group, between two fake sites.
import { Outage } from '@understudy/base/errors'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import { describe, expect, test, vi } from 'vitest'
import { by, latest, newProtectedLab, protectOneMore } from '../engine-lab.ts'
import type { StartPlanRequest } from '../requests.ts'
import { group, machine, plan, step } from './plan-lab.ts'

/** A plan of two machines that are in a group, half a minute into it, and a third one that is in neither. */
async function newGroupPlan(inGroup = true) {
  const { lab, protectionId: web } = await newProtectedLab()
  const db = await protectOneMore(lab, { name: 'db' })
  const log = await protectOneMore(lab, { name: 'log' })
  const made = inGroup ? await lab.engine.createGroup({ name: 'shop', members: [web, db] }, { by }) : null
  await lab.clock.advance(30_000)
  const groups = [
    group('all', { machines: [machine('m-web', web), machine('m-db', db), machine('m-log', log)] }),
  ]
  const { plan: kept } = await lab.engine.plans.create(plan(groups), { by })
  const start = async (request: Partial<StartPlanRequest> = {}) => {
    const run = await lab.engine.plans.start({ by, planId: kept.id, kind: 'test', ...request })
    await lab.clock.advance(2 * 60_000)
    return run
  }
  const dryRun = async (kind: StartPlanRequest['kind'] = 'test') =>
    (await lab.engine.plans.dryRun({ by, planId: kept.id, kind })).findings
  const bootOf = async (id: ProtectionId) => {
    const [run] = await lab.activeRuns(id)
    const points = await lab.engine.recoveryPoints(id)
    return points.find((point) => point.id === run?.pointId)
  }
  return { lab, web, db, log, planId: kept.id, groupId: made?.id ?? null, start, dryRun, bootOf }
}

describe('the machines of a group in a plan', () => {
  test.each(['test', 'unplanned'] as const)(
    'boot from one cut in a run of kind %s, also for "latest"',
    async (kind) => {
      const { lab, web, db, log, start, bootOf } = await newGroupPlan()
      // Newer points of each alone: not what a group is failed over to.
      await lab.stores.protections.moveState(db, 'protected', 'paused', null, 'protected')
      await lab.clock.advance(12_000)
      await start({ kind })
      const [ofWeb, ofDb, ofLog] = [await bootOf(web), await bootOf(db), await bootOf(log)]
      expect(ofWeb?.group).toBeDefined()
      expect(ofWeb?.group?.cut).toBe(ofDb?.group?.cut)
      expect(ofWeb?.instant).toBe(ofDb?.instant)
      expect(ofLog?.instant).toBeGreaterThan(ofDb?.instant ?? 0)
    },
  )

  test('boot from the newest cut at or before an instant that was asked for', async () => {
    const { lab, web, db, start, bootOf } = await newGroupPlan()
    const points = await lab.engine.recoveryPoints(db)
    const wanted = points.filter((point) => point.group).at(-4)
    await start({ point: { kind: 'at', instant: (wanted?.instant ?? 0) + 100 } })
    expect((await bootOf(db))?.id).toBe(wanted?.id)
    expect((await bootOf(web))?.group?.cut).toBe(wanted?.group?.cut)
  })

  test('keep the cut that was chosen at the start, however long the run has waited since', async () => {
    const { lab, web, db, start, bootOf } = await newGroupPlan()
    const run = await start()
    const shared = { cut: expect.any(String), instant: expect.any(Number) }
    expect(run.cuts).toEqual({ [web]: shared, [db]: shared })
    expect(run.cuts[web]).toEqual(run.cuts[db])
    const points = await lab.engine.recoveryPoints(db)
    expect(points.at(-1)?.instant).toBeGreaterThan((await bootOf(db))?.instant ?? Number.POSITIVE_INFINITY)
    expect((await bootOf(web))?.group?.cut).toBe(run.cuts[web]?.cut)
  })

  test('have their cut told by a dry run, which also says who of the group is not in the plan', async () => {
    const { lab, log, planId, groupId, dryRun } = await newGroupPlan()
    const extra = await protectOneMore(lab, { name: 'extra' })
    if (groupId) await lab.engine.addToGroup(groupId, [extra], { by })
    await lab.clock.advance(20_000)
    const findings = await dryRun()
    const found = findings.find(({ code }) => code === 'recovery-plan/common-point')
    expect(found?.message).toMatch(
      /^web, db of the group "shop" boot from the point that they share: \S+, \d s ago$/,
    )
    // Each has the instant of the cut, not of a newer point of its own.
    const { points } = await lab.engine.plans.dryRun({ by, planId, kind: 'test' })
    const cutOf = new Map(points.map(({ name, point }) => [name, point?.group?.cut]))
    expect(cutOf.get('web')).toBeDefined()
    expect(cutOf.get('db')).toBe(cutOf.get('web'))
    const inPart = findings.filter(({ code }) => code === 'recovery-plan/group-in-part')
    expect(inPart.map(({ at }) => at)).toEqual([
      { kind: 'item', id: 'm-web' },
      { kind: 'item', id: 'm-db' },
    ])
    expect(inPart[0]?.message).toContain('without extra')
    expect(log).toBeDefined()
    // A planned failover makes its own points.
    const planned = await dryRun('planned')
    expect(planned.map(({ code }) => code)).not.toContain('recovery-plan/common-point')
  })

  test('without a common point boot from their own, which the dry run says', async () => {
    const { lab, web, db, start, dryRun, bootOf } = await newGroupPlan(false)
    await lab.engine.createGroup({ name: 'shop', members: [web, db] }, { by })
    for (const id of [web, db])
      await lab.stores.protections.moveState(id, 'protected', 'paused', null, 'protected')
    const finding = (await dryRun()).find(({ code }) => code === 'recovery-plan/no-common-point')
    expect(finding?.message).toContain('each would boot from its own')
    const run = await start()
    expect(run.cuts).toEqual({})
    expect(await lab.events('plan-run/no-common-point')).toHaveLength(1)
    expect(await bootOf(db)).toBeDefined()
  })

  test('keep the points that they had before another one came in: it boots from its own', async () => {
    const { lab, web, db, log, start, dryRun, bootOf, groupId } = await newGroupPlan()
    if (groupId === null) throw new Error('there is a group')
    const before = (await lab.engine.recoveryPoints(db)).findLast((point) => point.group)
    // Nothing is sealed of the three together before the run is asked for.
    await lab.engine.addToGroup(groupId, [log], { by })
    for (const id of [web, db, log])
      await lab.stores.protections.moveState(id, 'protected', 'paused', null, 'protected')
    const newest = (await lab.engine.recoveryPoints(db)).findLast((point) => point.group)
    expect(newest?.group?.cut).toBe(before?.group?.cut)
    const found = (await dryRun()).find(({ code }) => code === 'recovery-plan/common-point-in-part')
    expect(found?.message).toContain('log came into the group "shop" later')
    await start()
    expect((await bootOf(web))?.group?.cut).toBe(newest?.group?.cut)
    expect((await bootOf(db))?.group?.cut).toBe(newest?.group?.cut)
    expect(await bootOf(log)).toBeDefined()
  })

  test('boot each from its newest where one alone shares a point, with somebody who has left the group', async () => {
    const { lab, web, db, log, start, bootOf, groupId } = await newGroupPlan()
    if (groupId === null) throw new Error('there is a group')
    await lab.engine.removeFromGroup(groupId, db, { by })
    await lab.clock.advance(5 * 60_000)
    await lab.stores.protections.moveState(log, 'protected', 'paused', null, 'protected')
    await lab.engine.addToGroup(groupId, [log], { by })
    const [marked] = (await lab.engine.recoveryPoints(web)).filter((point) => point.group).slice(-1)
    await start({ kind: 'unplanned', settings: { acceptUnfenced: true } })
    expect((await bootOf(web))?.instant).toBeGreaterThan((marked?.instant ?? 0) + 4 * 60_000)
  })

  test('are told with an event to boot from a point that is much older than what each has', async () => {
    const { lab, web, db, planId, groupId } = await newGroupPlan()
    if (groupId === null) throw new Error('there is a group')
    // Each goes on alone, and then they are a group again that has sealed nothing yet.
    await lab.engine.removeGroup(groupId, { by })
    await lab.clock.advance(20 * 60_000)
    await lab.engine.createGroup({ name: 'shop', members: [web, db] }, { by })
    const run = await lab.engine.plans.start({ by, planId, kind: 'test' })
    expect(run.cuts[web]).toEqual(run.cuts[db])
    expect(await lab.events('plan-run/common-point-old')).toHaveLength(1)
  })

  test('of which a replica cannot be read for a moment boot from one instant all the same', async () => {
    const { lab, web, db, start, bootOf } = await newGroupPlan()
    const away = new Outage({ code: 'journal/away', message: 'Its folder is away', remedy: 'Wait.' })
    vi.spyOn(lab.b.replicas, 'openReplica').mockRejectedValueOnce(away)
    // Newer points of each alone.
    await lab.stores.protections.moveState(db, 'protected', 'paused', null, 'protected')
    await lab.clock.advance(12_000)
    const run = await start({ kind: 'unplanned' })
    const cuts = [run.cuts[web], run.cuts[db]]
    expect(cuts.filter((one) => one?.cut === null)).toHaveLength(1)
    expect(cuts[0]?.instant).toBe(cuts[1]?.instant)
    expect(await lab.events('plan-run/common-point-in-part')).toHaveLength(1)
    const [ofWeb, ofDb] = [await bootOf(web), await bootOf(db)]
    expect(ofDb?.instant).toBe(run.cuts[db]?.instant)
    expect(ofWeb?.group?.cut).toBe(ofDb?.group?.cut)
  })

  test('of which a replica hangs without an error begin within the time that a dead site has', async () => {
    const { lab, web, planId } = await newGroupPlan()
    const open = lab.b.replicas.openReplica
    const { replicaId } = await lab.state(web)
    const spy = vi.spyOn(lab.b.replicas, 'openReplica')
    spy.mockImplementation((id, epoch) => (id === replicaId ? new Promise(() => {}) : open(id, epoch)))
    const begun = vi.fn()
    const start = lab.engine.plans.start({ by, planId, kind: 'unplanned' }).then(begun)
    await lab.clock.advance(16_000)
    expect(begun).toHaveBeenCalledOnce()
    await start
    spy.mockRestore()
  })

  test('of which a replica hangs are told as unreadable to whoever asks for another point than the latest', async () => {
    const { lab, web, planId } = await newGroupPlan()
    const open = lab.b.replicas.openReplica
    const { replicaId } = await lab.state(web)
    const spy = vi.spyOn(lab.b.replicas, 'openReplica')
    spy.mockImplementation((id, epoch) => (id === replicaId ? new Promise(() => {}) : open(id, epoch)))
    const refused = vi.fn()
    const point = { kind: 'latest-processed' } as const
    const start = lab.engine.plans.start({ by, planId, kind: 'unplanned', point }).catch(refused)
    await lab.clock.advance(16_000)
    expect(refused).toHaveBeenCalledOnce()
    expect(refused.mock.calls[0]?.[0]).toMatchObject({ message: expect.stringContaining('did not answer') })
    await start
    spy.mockRestore()
  })
})

const manual = step('wait', {
  kind: 'manual',
  instructions: 'Look',
  assigneeRole: 'operator',
  timeoutSeconds: 86_400,
  whenTimedOut: 'fail',
})

/** A run with web and db, or with web and log when log is to be in the group and db is to be brought in. All wait for somebody. */
async function newWaitingRun(threeInGroup = false) {
  const { lab, web, db, log, groupId, bootOf } = await newGroupPlan()
  if (groupId === null) throw new Error('there is a group')
  if (threeInGroup) await lab.engine.addToGroup(groupId, [log], { by })
  await lab.clock.advance(30_000)
  const [other, third] = threeInGroup ? [log, db] : [db, log]
  const machines = [machine('m-web', web), machine('m-other', other)]
  const groups = [group('all', { before: [manual], machines })]
  const made = await lab.engine.plans.create(plan(groups, { name: 'Waits' }), { by })
  const run = await lab.engine.plans.start({ by, planId: made.plan.id, kind: 'test' })
  await lab.clock.advance(30_000)
  const goOn = async () => {
    await lab.engine.plans.answer({ by, planRunId: run.id, itemId: manual.id, value: 'done', comment: '' })
    await lab.clock.advance(2 * 60_000)
  }
  const bringIn = () => {
    const more = [...machines, machine('m-third', third)]
    const edited = { ...made.plan, groups: [group('all', { before: [manual], machines: more })] }
    return lab.engine.plans.edit({ by, planRunId: run.id, planRevision: 1, plan: edited })
  }
  return { lab, web, db, log, groupId, run, goOn, bringIn, bootOf }
}

describe('a run that waits for somebody while its group changes', () => {
  test('boots a machine from the cut that was chosen for it, though it is in the group no more', async () => {
    const { lab, web, db, groupId, run, goOn, bootOf } = await newWaitingRun()
    await lab.engine.removeGroup(groupId, { by })
    await goOn()
    expect((await bootOf(web))?.group?.cut).toBe(run.cuts[web]?.cut)
    expect((await bootOf(db))?.group?.cut).toBe(run.cuts[web]?.cut)
  })

  test('refuses to have a machine brought in that has no point at the cut of its group', async () => {
    const { lab, log, groupId, bringIn } = await newWaitingRun()
    await lab.engine.addToGroup(groupId, [log], { by })
    await expect(bringIn()).rejects.toMatchObject({ code: 'recovery-plan/no-common-point' })
  })

  test('boots a machine that an edit brings in from the cut of the others of its group', async () => {
    const { lab, web, db, run, goOn, bringIn, bootOf } = await newWaitingRun(true)
    await bringIn()
    expect((await lab.stores.planRuns.find(run.id))?.cuts[db]).toEqual(run.cuts[web])
    await goOn()
    expect((await bootOf(db))?.group?.cut).toBe(run.cuts[web]?.cut)
  })
})

test('after a planned failover another point, "latest", is the final one of each machine', async () => {
  const { lab, web, db, start } = await newGroupPlan()
  const run = await start({ kind: 'planned' })
  const finalOf = async (id: ProtectionId) => (await lab.engine.recoveryPoints(id)).at(-1)
  const finals = [await finalOf(web), await finalOf(db)]
  expect(finals.map((point) => point?.group)).toEqual([undefined, undefined])
  const wanted = { by, followsUp: run.id, kind: 'change-point' } as const
  await lab.engine.plans.followUp({ ...wanted, point: latest })
  await lab.clock.advance(3 * 60_000)
  const booted = [await lab.activeRuns(web), await lab.activeRuns(db)].map(([boot]) => boot)
  expect(booted.map((boot) => boot?.pointId)).toEqual(finals.map((point) => point?.id))
})
