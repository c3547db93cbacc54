import { Outage } from '@understudy/base/errors'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { describe, expect, test, vi } from 'vitest'
import {
  by,
  failedOverAndCommitted,
  latest,
  minute,
  newProtectedLab,
  recordsOf,
  runningAt,
  until,
} from '../engine-lab.ts'

const noAnswer = new Outage({ code: 'x/no-answer', message: 'The store does not answer', remedy: 'Wait.' })

describe('reprotect and fail back', () => {
  test('the direction turns with a delta from the common point, not with a comparison', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    const protection = await lab.state(protectionId)
    expect(protection).toMatchObject({
      state: 'protected',
      direction: 'reverse',
      originalRef: lab.machine.ref,
    })
    expect([protection.sourceSiteId, protection.targetSiteId]).toEqual([lab.siteB.id, lab.siteA.id])
    await lab.clock.advance(minute)
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.map(({ cycle }) => cycle).slice(0, 3)).toEqual(['seed', 'delta', 'delta'])
    expect(points.filter(({ heldBy }) => heldBy.length > 0).map(({ id }) => id)).toEqual([points[0]?.id])
    expect(await lab.b.replicas.list()).toEqual([])
    expect(await lab.openAlerts()).toEqual([])
  })

  test('a replica that an earlier reprotect has left over goes before the next one has two of its own', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    const leftOver = 'left-over' as ReplicaId
    const { replicaId } = await lab.state(protectionId)
    await lab.a.replicas.createReplica({ id: leftOver, machineName: 'web', compress: false, encrypt: false })
    const turning = { replicaId: leftOver, formerReplicaId: replicaId }
    await lab.stores.protections.updateNotes(protectionId, { turning })
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    const turned = await lab.state(protectionId)
    expect(await lab.a.replicas.list()).toEqual([turned.replicaId])
  })

  test('a former replica that cannot be removed is told, keeps no later reprotect waiting, and goes once its site answers', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    const { replicaId: former } = await lab.state(protectionId)
    const remove = vi.spyOn(lab.b.replicas, 'deleteReplica').mockRejectedValue(noAnswer)
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(2 * minute)
    expect(await lab.state(protectionId)).toMatchObject({ state: 'protected', direction: 'reverse' })
    expect(await lab.openAlerts()).toEqual(['reprotect/replica-not-removed'])
    const [told] = await lab.events('reprotect/replica-not-removed')
    expect(told?.message).toContain('at B')
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: true }))
    await lab.done(lab.engine.commit(ask))
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    expect(await lab.state(protectionId)).toMatchObject({ state: 'protected', direction: 'forward' })
    const { replicaId: present } = await lab.state(protectionId)
    expect((await lab.b.replicas.list()).toSorted()).toEqual([former, present].toSorted())
    remove.mockRestore()
    await lab.clock.advance(15 * minute)
    expect(await lab.b.replicas.list()).toEqual([present])
    expect(await lab.stores.protections.turning()).toEqual([])
    expect(await lab.openAlerts()).toEqual([])
    expect(await lab.events('reprotect/replica-not-removed')).toHaveLength(1)
  })

  test('the alert for a replica that is left over ends with whoever removes it, also when that is the next reprotect', async () => {
    const { lab, ask } = await failedOverAndCommitted()
    const remove = vi.spyOn(lab.b.replicas, 'deleteReplica').mockRejectedValue(noAnswer)
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(2 * minute)
    expect(await lab.openAlerts()).toEqual(['reprotect/replica-not-removed'])
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: true }))
    await lab.done(lab.engine.commit(ask))
    // Its site is back, and nobody has looked since.
    remove.mockRestore()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    expect(await lab.stores.protections.turning()).toEqual([])
    await lab.clock.advance(15 * minute)
    expect(await lab.openAlerts()).toEqual([])
  })

  test('a replica that hangs when it is to be removed holds up a reprotect for as long as a dead site may', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    const leftOver = 'left-over' as ReplicaId
    const { replicaId } = await lab.state(protectionId)
    await lab.a.replicas.createReplica({ id: leftOver, machineName: 'web', compress: false, encrypt: false })
    const turning = { replicaId: leftOver, formerReplicaId: replicaId }
    await lab.stores.protections.updateNotes(protectionId, { turning })
    const remove = lab.a.replicas.deleteReplica
    const { promise: answers, resolve: answer } = Promise.withResolvers<void>()
    const late: Promise<void>[] = []
    vi.spyOn(lab.a.replicas, 'deleteReplica').mockImplementationOnce((id) => {
      late.push(answers.then(() => remove(id)))
      return late[0] ?? answers
    })
    // It answers when the next turn has its own two in the notes, which are not to be cleared with those of before.
    const prepare = lab.a.replicas.createReplica
    const seen: unknown[] = []
    vi.spyOn(lab.a.replicas, 'createReplica').mockImplementationOnce(async (spec) => {
      answer()
      await Promise.all(late)
      await new Promise((resolve) => setImmediate(resolve))
      seen.push((await lab.stores.protections.notes(protectionId)).turning)
      await prepare(spec)
    })
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    const turned = await lab.state(protectionId)
    expect(seen).toEqual([{ replicaId: turned.replicaId, formerReplicaId: replicaId }])
    await lab.clock.advance(30 * minute)
    expect(await lab.stores.protections.turning()).toEqual([])
    expect(await lab.a.replicas.list()).toEqual([turned.replicaId])
    expect(await lab.b.replicas.list()).toEqual([])
    expect(await lab.openAlerts()).toEqual([])
  })

  test('a former replica that cannot be removed is told by name when its protection ends', async () => {
    const { lab, ask } = await failedOverAndCommitted()
    vi.spyOn(lab.b.replicas, 'deleteReplica').mockRejectedValue(noAnswer)
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.done(lab.engine.endProtection({ ...ask, deleteReplica: true }))
    const [told] = await lab.events('protection/left-behind')
    expect(told?.message).toMatch(/^The former replica .* stays at B/)
    expect(await lab.openAlerts()).toEqual([])
  })

  test('a replica that is lost keeps no machine away from home: a person decides that everything is copied', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    const { replicaId } = await lab.state(protectionId)
    await lab.b.replicas.deleteReplica(replicaId)
    const asking = await lab.settle(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    expect(asking).toMatchObject({ state: 'waiting' })
    expect(asking.question?.text).toContain('There is no replica')
    const answer = (value: string, questionId: string) =>
      lab.engine.answerJob(asking.id, { by: 'olga', questionId, value })
    await answer('again', asking.question?.id ?? '')
    await lab.clock.advance(minute)
    const again = await lab.job(asking.id)
    expect(again.question?.id).not.toBe(asking.question?.id)
    await answer('whole', again.question?.id ?? '')
    await lab.clock.advance(minute)
    expect((await lab.job(asking.id)).state).toBe('succeeded')
    expect(await lab.state(protectionId)).toMatchObject({ state: 'protected', direction: 'reverse' })
    const there = (await lab.state(protectionId)).sourceRef
    // The original is no common point of this replica: it is compared as a whole, and nothing of the way back is missing.
    const back = await lab.settle(lab.engine.failBack({ ...ask, overwriteModified: true }))
    expect(back.state).toBe('succeeded')
    expect(lab.machine.power).toBe('running')
    expect(await recordsOf(lab.a, lab.machine.ref)).toBeGreaterThanOrEqual(await recordsOf(lab.b, there))
    expect(lab.world.violations).toEqual([])
  })

  test('home again with every byte: fail back, commit, reprotect, and the circle is closed', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    const there = (await lab.state(protectionId)).sourceRef
    const back = await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    expect(lab.machine.power).toBe('running')
    expect(await recordsOf(lab.a, lab.machine.ref)).toBeGreaterThanOrEqual(await recordsOf(lab.b, there))
    expect(lab.b.machines().find(({ ref }) => ref === there)?.power).toBe('off')
    // Only what changed was written, not the whole of both disks.
    const note = back.tasks.find(({ name }) => name.startsWith('Restore'))?.note
    expect(note).toMatch(/^[1-9][\d.]* KiB written$/)
    await lab.done(lab.engine.commit(ask))
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    expect(await lab.state(protectionId)).toMatchObject({
      state: 'protected',
      direction: 'forward',
      sourceRef: lab.machine.ref,
    })
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.slice(1).every(({ cycle }) => cycle === 'delta')).toBe(true)
    expect(points.flatMap(({ heldBy }) => heldBy)).toEqual([])
    // What stood in at the second site has gone; the original, which is not ours, has not.
    expect(lab.b.machines()).toEqual([])
    expect(lab.a.machines().map(({ ref }) => ref)).toContain(lab.machine.ref)
    await lab.done(lab.engine.plannedFailover(ask))
    expect(lab.world.violations).toEqual([])
  })

  test('the original is asked like every other machine: recovery time ends with its answer, not with its start', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    // Two looks at a guest that is still booting.
    lab.a.faults.failNext('target.probe', 2)
    const job = await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    const [run] = await lab.activeRuns(protectionId)
    const started = job.tasks.find(({ name }) => name === 'Start the original machine')
    expect(run?.answeredAt).toBeGreaterThanOrEqual((started?.endedAt ?? Infinity) + 2000)
    expect(run?.addresses).toEqual([`http://${lab.machine.ref}.invalid`])
    expect(run?.startedAt).toBe(job.createdAt)
    const { lastRecoverySeconds } = await lab.stores.protections.summary(protectionId)
    expect(lastRecoverySeconds).toBe(Math.round(((run?.answeredAt ?? 0) - job.createdAt) / 1000))
  })

  test('an original that does not answer is at home all the same, and nobody says that it answered', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    const before = (await lab.stores.protections.summary(protectionId)).lastRecoverySeconds
    lab.a.faults.hang('target.probe')
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    const [run] = await lab.activeRuns(protectionId)
    expect(run?.answeredAt).toBeNull()
    expect(run?.failure).toContain('did not answer')
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect((await lab.stores.protections.summary(protectionId)).lastRecoverySeconds).toBe(before)
    expect(await lab.events('failover/no-answer')).toHaveLength(1)
  })

  test('an original that was written to is not overwritten without a word', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    const [disk] = [...lab.machine.disks.keys()]
    if (!disk) throw new Error('there is a disk')
    await lab.machine.write(disk, 500_000, Buffer.alloc(100, 1))
    const refused = await lab.settle(lab.engine.failBack({ ...ask, overwriteModified: false }))
    expect(refused).toMatchObject({ state: 'failed', failure: { code: 'fail-back/original-modified' } })
    expect((await lab.state(protectionId)).state).toBe('protected')
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: true }))
    expect(await checkGuest(lab.machine.readDisks())).toMatchObject({ identity: lab.machine.identity })
    expect(lab.world.violations).toEqual([])
  })

  test('an original that is started beside the machine that took over is told, until it is off or is failed back to', async () => {
    const { lab, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).toEqual([])
    await lab.machine.start()
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).toContain('failover/original-runs')
    lab.machine.powerOff()
    await lab.clock.advance(2 * minute)
    expect(await lab.openAlerts()).toEqual([])
    // Its own run is no second life, nor is what comes after it.
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: true }))
    await lab.clock.advance(2 * minute)
    await lab.done(lab.engine.commit(ask))
    await lab.clock.advance(2 * minute)
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(2 * minute)
    expect(await lab.events('failover/original-runs')).toHaveLength(1)
    expect(await lab.openAlerts()).toEqual([])
  })

  test('an original that runs is refused', async () => {
    const { lab, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    await lab.machine.start()
    const refused = await lab.settle(lab.engine.failBack({ ...ask, overwriteModified: true }))
    expect(refused.failure?.code).toBe('fail-back/original-runs')
  })

  test('a fail-back can be rolled back: the machine at the second site goes on', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.rollBack(ask))
    await lab.clock.advance(minute)
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.b)).toHaveLength(1)
    expect(await lab.state(protectionId)).toMatchObject({ state: 'protected', direction: 'reverse' })
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    expect(lab.machine.power).toBe('running')
    expect(lab.world.violations).toEqual([])
  })

  test('a restore that fails starts the second site’s machine again, and the next fail-back compares', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    // The task tries three times.
    lab.a.faults.failNext('target.restoreInto', 3)
    expect((await lab.settle(lab.engine.failBack({ ...ask, overwriteModified: false }))).state).toBe('failed')
    await lab.clock.advance(minute)
    expect(runningAt(lab.b)).toHaveLength(1)
    expect((await lab.state(protectionId)).state).toBe('protected')
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    expect(await checkGuest(lab.machine.readDisks())).toMatchObject({ identity: lab.machine.identity })
  })

  test('after an unplanned failover the original, back on its feet, must be off, and is compared when it goes home', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.a.burnDown()
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.commit(ask))
    lab.a.comeBack()
    await lab.machine.start()
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).toContain('failover/two-live-copies')
    const refused = await lab.settle(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    expect(refused.failure?.code).toBe('reprotect/original-runs')
    expect((await lab.state(protectionId)).state).toBe('committed')
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: true }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
    expect(await checkGuest(lab.machine.readDisks())).toMatchObject({ identity: lab.machine.identity })
  })

  test('fail back to another place is a planned failover in reverse: a new machine beside the original', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.plannedFailover(ask))
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.a).map(({ name }) => name)).toEqual(['web-2'])
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect(lab.world.violations).toEqual([])
  })
})

describe('what stood in at the second site', () => {
  test('stays when it holds what was never copied, and is told', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    const there = (await lab.state(protectionId)).sourceRef
    const [oldest] = await lab.engine.recoveryPoints(protectionId)
    if (!oldest) throw new Error('there is a point')
    lab.b.cutOff()
    const choice = { kind: 'point', id: oldest.id } as const
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice, acceptUnfenced: true }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.commit(ask))
    lab.b.comeBack()
    const records = await recordsOf(lab.b, there)
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: true }))
    expect(lab.b.machines().find(({ ref }) => ref === there)?.power).toBe('off')
    expect(await recordsOf(lab.b, there)).toBeGreaterThanOrEqual(records)
    const [told] = await lab.events('reprotect/stand-in-kept')
    expect(told?.message).toContain('stays at B')
    // And it is in nobody's way.
    await lab.clock.advance(minute)
    await lab.done(lab.engine.plannedFailover(ask))
    expect(lab.b.machines().map(({ ref }) => ref)).toContain(there)
  })

  test.each(['before', 'in'])(
    'stays when it was written to after it had been shut down, %s the reprotect',
    async (moment) => {
      const { lab, protectionId, ask } = await failedOverAndCommitted()
      await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
      await lab.clock.advance(minute)
      const there = lab.b.machine((await lab.state(protectionId)).sourceRef)
      await lab.done(lab.engine.failBack({ ...ask, overwriteModified: false }))
      await lab.done(lab.engine.commit(ask))
      const [disk] = [...there.disks.keys()]
      if (!disk) throw new Error('there is a disk')
      const write = () => there.write(disk, 500_000, Buffer.alloc(100, 1))
      if (moment === 'before') await write()
      const { createReplica } = lab.b.replicas
      vi.spyOn(lab.b.replicas, 'createReplica').mockImplementationOnce(async (...replica) => {
        if (moment === 'in') await write()
        return await createReplica(...replica)
      })
      await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
      expect(lab.b.machines()).toContain(there)
      expect(await lab.events('reprotect/stand-in-kept')).toHaveLength(1)
      expect((await lab.state(protectionId)).originalRef).toBe(there.ref)
    },
  )
})

test('a fail-back whose home site dies in the middle starts the machine at the second site again', async () => {
  const { lab, protectionId, ask } = await failedOverAndCommitted()
  await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
  await lab.clock.advance(minute)
  const release = lab.a.faults.hang('target.restoreInto')
  const started = lab.engine.failBack({ ...ask, overwriteModified: false })
  await started
  await until(lab, () => (lab.a.faults.calls.get('target.restoreInto') ?? 0) > 0)
  expect(runningAt(lab.b)).toEqual([])
  lab.a.cutOff()
  release()
  expect((await lab.settle(started)).state).toBe('failed')
  expect(runningAt(lab.b)).toHaveLength(1)
  expect((await lab.state(protectionId)).state).toBe('protected')
  lab.a.comeBack()
  await lab.clock.advance(15 * minute)
  expect(await lab.activeRuns(protectionId)).toEqual([])
  expect(await lab.holds(protectionId)).toEqual([])
  expect(lab.world.violations).toEqual([])
})

test('a replica that was committed belongs to its protection and is not protected by another one', async () => {
  const { lab, ask } = await failedOverAndCommitted()
  await lab.engine.refreshSite(lab.siteB.id)
  const [replica] = await lab.stores.machines.list(lab.siteB.id)
  if (!replica) throw new Error('the replica is in the inventory')
  const request = { by, machineId: replica.id, policyId: lab.policy.id, adapters: [], excludedDisks: [] }
  const other = lab.engine.protect({ ...request, targetSiteId: lab.siteA.id })
  await expect(other).rejects.toMatchObject({ code: 'protection/exists' })
  await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
})
