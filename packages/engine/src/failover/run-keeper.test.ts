import { Refusal } from '@understudy/base/errors'
import { describe, expect, test, vi } from 'vitest'
import { type Lab, latest, minute, newProtectedLab } from '../engine-lab.ts'
import type { Replica } from '../ports/replica-store.ts'

describe('a restart', () => {
  test('of the server while a replica still streams: its readers come back and hydration ends', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const release = lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBeLessThan(1)
    await lab.restart()
    release()
    await lab.clock.advance(minute)
    expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBe(1)
    await lab.done(lab.engine.commit(ask))
  })

  test('while the target site does not answer: its readers come back as soon as it does', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const release = lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    lab.b.faults.failNext('target.reattach', 2)
    await lab.restart()
    release()
    await lab.clock.advance(minute)
    expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBe(1)
  })

  /** Counts the handles at site B that only read: those of the keeper, and short ones. */
  function countReaders(
    lab: Lab,
    change: { readonly openPoint?: Replica['openPoint']; readonly firstWaitsFor?: Promise<void> },
  ) {
    const count = { opened: 0, closed: 0 }
    let before = change.firstWaitsFor
    const { openReplica } = lab.b.replicas
    vi.spyOn(lab.b.replicas, 'openReplica').mockImplementation(async (id, epoch) => {
      const wait = before
      before = undefined
      await wait
      const replica = await openReplica(id, epoch)
      if (epoch !== null) return replica
      count.opened += 1
      const close = async (): Promise<void> => {
        count.closed += 1
        await replica.close()
      }
      return { ...replica, close, openPoint: change.openPoint ?? replica.openPoint }
    })
    return count
  }

  test('with a point that cannot be opened leaves no handle behind, however often it is tried', async () => {
    const { lab, ask } = await newProtectedLab()
    const release = lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    const count = countReaders(lab, { openPoint: () => Promise.reject(new Error('The index is damaged')) })
    await lab.restart()
    release()
    await lab.clock.advance(minute)
    expect(count.opened).toBeGreaterThan(3)
    expect(count.closed).toBe(count.opened)
  })

  test('that takes up a replica which is removed meanwhile leaves no handle behind and offers nothing', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const release = lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    const { promise: firstWaitsFor, resolve: goOn } = Promise.withResolvers<void>()
    const count = countReaders(lab, { firstWaitsFor })
    const offered = vi.spyOn(lab.b.target, 'reattach')
    await lab.restart()
    release()
    await lab.clock.advance(1000)
    await lab.done(lab.engine.rollBack(ask))
    goOn()
    await lab.clock.advance(minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(offered).not.toHaveBeenCalled()
    expect(count.closed).toBe(count.opened)
  })

  test('a target site that hangs does not hold up the heartbeat of the mover', async () => {
    const { lab, ask } = await newProtectedLab()
    const release = lab.b.faults.hang('target.hydrate')
    await lab.done(lab.engine.plannedFailover(ask))
    const letGo = lab.b.faults.hang('target.reattach')
    await lab.restart()
    release()
    await lab.clock.advance(minute)
    const [mover] = await lab.stores.leases.movers()
    expect(lab.clock.now() - (mover?.beatAt ?? 0)).toBeLessThan(10_000)
    letGo()
  })
})

test('hydration that failed for good is begun again by itself, and the failover can be committed', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const full = { code: 'target/disk-full', message: 'The disk is full', remedy: 'Make room.' }
  lab.b.faults.failNext('target.hydrate', 1, new Refusal(full))
  await lab.done(lab.engine.plannedFailover(ask))
  expect(await lab.openAlerts()).toContain('failover/hydration')
  await lab.clock.advance(minute)
  expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBe(1)
  expect(await lab.openAlerts()).not.toContain('failover/hydration')
  await lab.done(lab.engine.commit(ask))
})

test('a replica that depends on us is told of its readers again and again, and no more once it does not', async () => {
  const { lab, ask } = await newProtectedLab()
  const release = lab.b.faults.hang('target.hydrate')
  await lab.done(lab.engine.plannedFailover(ask))
  const told = () => lab.b.faults.calls.get('target.reattach') ?? 0
  const before = told()
  await lab.clock.advance(minute)
  expect(told()).toBeGreaterThanOrEqual(before + 3)
  release()
  await lab.clock.advance(minute)
  const after = told()
  await lab.clock.advance(minute)
  expect(told()).toBe(after)
})

test('what this process offers to a replica ends before its readers close, whoever has removed it', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const acts: string[] = []
  const { openReplica } = lab.b.replicas
  vi.spyOn(lab.b.replicas, 'openReplica').mockImplementation(async (...replica) => {
    const opened = await openReplica(...replica)
    const openPoint: typeof opened.openPoint = async (id) => {
      const point = await opened.openPoint(id)
      return { ...point, close: () => point.close().finally(() => acts.push('close')) }
    }
    return { ...opened, openPoint }
  })
  const { detach } = lab.b.target
  vi.spyOn(lab.b.target, 'detach').mockImplementation(async (id) => {
    acts.push('detach')
    await detach(id)
  })
  const release = lab.b.faults.hang('target.hydrate')
  await lab.done(lab.engine.plannedFailover(ask))
  const [run] = await lab.activeRuns(protectionId)
  if (!run) throw new Error('a run is active')
  await lab.b.target.destroy(run.id, { kind: 'anywhere' })
  await lab.stores.runs.update(run.id, { over: true })
  release()
  await lab.clock.advance(minute)
  expect(acts).toEqual(['detach', 'close'])
})

test('a replica that another process has removed is let go here without an alarm', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const release = lab.b.faults.hang('target.hydrate')
  await lab.done(lab.engine.plannedFailover(ask))
  const [run] = await lab.activeRuns(protectionId)
  if (!run) throw new Error('a run is active')
  await lab.b.target.destroy(run.id, { kind: 'anywhere' })
  await lab.stores.runs.update(run.id, { over: true })
  release()
  await lab.clock.advance(minute)
  expect(await lab.openAlerts()).not.toContain('failover/hydration')
})

test('a replica that goes while it hydrates leaves no alarm behind', async () => {
  const { lab, ask } = await newProtectedLab()
  lab.b.faults.failNext('target.hydrate', 1000)
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.clock.advance(minute)
  expect(await lab.openAlerts()).toContain('failover/hydration')
  await lab.done(lab.engine.rollBack(ask))
  expect(await lab.openAlerts()).not.toContain('failover/hydration')
})

test('a part that does not stop cleanly keeps no other from being stopped', async () => {
  const { lab, ask } = await newProtectedLab()
  let hydrating: AbortSignal | undefined
  vi.spyOn(lab.b.target, 'hydrate').mockImplementation(async (_, __, signal) => {
    hydrating = signal
    await lab.clock.sleep(24 * 60 * minute, signal)
  })
  await lab.done(lab.engine.plannedFailover(ask))
  const shutDown = vi.spyOn(lab.durable, 'shutDown').mockRejectedValueOnce(new Error('it cannot sign off'))
  await expect(lab.engine.stop()).rejects.toThrow('did not stop cleanly')
  expect(shutDown).toHaveBeenCalled()
  expect(hydrating?.aborted).toBe(true)
})

describe('hydration', () => {
  const calls = (lab: Lab): number => lab.b.faults.calls.get('target.hydrate') ?? 0

  test('does not compete with the boot: it begins when the guest answers', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const answer = lab.b.faults.hang('target.probe')
    const asked = lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true })
    await lab.clock.advance(15_000)
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect(calls(lab)).toBe(0)
    answer()
    await lab.done(asked)
    expect(calls(lab)).toBe(1)
    expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBe(1)
  })

  test('begins after two minutes behind a guest that gives no answer: it must not depend on us for long', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ config: { answerTimeoutSeconds: 3600 } })
    lab.b.faults.failNext('target.probe', 10_000)
    await lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true })
    await lab.clock.advance(minute)
    expect(calls(lab)).toBe(0)
    await lab.clock.advance(2 * minute)
    expect((await lab.activeRuns(protectionId))[0]).toMatchObject({ hydrated: 1, answeredAt: null })
  })

  test('begins where the machine was booted, also when another process holds the protection by then', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ config: { answerTimeoutSeconds: 3600 } })
    lab.b.faults.failNext('target.probe', 10_000)
    await lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true })
    await lab.clock.advance(15_000)
    const { leases } = lab.stores
    await leases.release('mover', protectionId)
    await leases.beat('other', lab.clock.now(), lab.clock.now() + 60 * minute)
    await leases.claim('other', lab.clock.now(), 1)
    await lab.clock.advance(3 * minute)
    expect(await leases.held('mover')).toEqual([])
    expect((await lab.activeRuns(protectionId))[0]?.hydrated).toBe(1)
  })

  test('begins when somebody commits, answer or not', async () => {
    const { lab, ask } = await newProtectedLab({ config: { answerTimeoutSeconds: 1 } })
    lab.b.faults.failNext('target.probe', 10_000)
    await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
    await lab.done(lab.engine.commit(ask))
    expect(calls(lab)).toBe(1)
  })
})
