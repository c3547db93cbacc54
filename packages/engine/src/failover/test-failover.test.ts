import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { describe, expect, test } from 'vitest'
import { latest, minute, newProtectedLab, runningAt } from '../engine-lab.ts'

describe('a test failover', () => {
  test('boots in isolation while replication goes on, marks the point as verified, and leaves nothing after clean-up', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const before = (await lab.engine.recoveryPoints(protectionId)).length
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest }))
    const [run] = await lab.activeRuns(protectionId)
    expect(run).toMatchObject({ kind: 'test', testState: 'running' })
    expect(run?.addresses).toHaveLength(1)
    expect(runningAt(lab.b).map(({ isolated }) => isolated)).toEqual([true])
    expect(run && (await lab.stores.runs.screenshot(run.id))).not.toBeNull()
    await lab.clock.advance(minute)
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.length).toBeGreaterThan(before + 8)
    expect(points.find(({ id }) => id === run?.pointId)?.annotations.verifiedAt).toBeDefined()
    expect(lab.world.violations).toEqual([])
    expect(lab.machine.power).toBe('running')
    await lab.done(lab.engine.cleanUpTest(ask))
    expect(lab.b.machines()).toEqual([])
    expect(await lab.holds(protectionId)).toEqual([])
  })

  test('what the test writes never reaches the replica', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest }))
    const [run] = await lab.activeRuns(protectionId)
    if (!run) throw new Error('a test is up')
    await lab.clock.advance(minute)
    const replica = await lab.b.replicas.openReplica((await lab.state(protectionId)).replicaId, null)
    for (const { id } of replica.points()) {
      const claim = await checkGuest((await replica.openPoint(id)).disks.map(({ reader }) => reader))
      expect(claim?.branch).not.toContain('run-')
    }
  })

  test('a point of the past can be tested', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const [first] = await lab.engine.recoveryPoints(protectionId)
    if (!first) throw new Error('there is a point')
    await lab.done(lab.engine.testFailover({ ...ask, choice: { kind: 'point', id: first.id } }))
    expect((await lab.activeRuns(protectionId))[0]?.pointId).toBe(first.id)
  })

  test('an open network is refused before anything is made, unless the operator insists', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const adapters = [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'lan' }]
    await lab.engine.editProtection({ ...ask, adapters })
    const job = await lab.settle(lab.engine.testFailover({ ...ask, choice: latest }))
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'failover/network-not-isolated' } })
    expect(await lab.activeRuns(protectionId)).toEqual([])
    expect(lab.b.machines()).toEqual([])
  })

  test('a guest that does not answer leaves the test up, not passed', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ machine: { writeEveryMilliseconds: 0 } })
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest, answerTimeoutSeconds: 5 }))
    expect((await lab.activeRuns(protectionId))[0]).toMatchObject({ testState: 'running' })
    expect((await lab.stores.protections.summary(protectionId)).lastTestPassed).toBe(false)
  })
})
