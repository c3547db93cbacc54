import { Outage, Refusal } from '@understudy/base/errors'
import type { AlertId } from '@understudy/domain/events/event'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { defaultPolicySettings } from '@understudy/domain/protection/policy'
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { describe, expect, test, vi } from 'vitest'
import { by, latest, minute, newLab, newProtectedLab } from '../engine-lab.ts'

describe('protect', () => {
  test('checks, seeds and is done when the first point is sealed', async () => {
    const lab = await newLab()
    const started = await lab.protect()
    const job = await lab.done(Promise.resolve(started))
    expect(job.tasks.map(({ state }) => state)).toEqual(['succeeded', 'succeeded', 'succeeded'])
    expect((await lab.state(started.protectionId)).state).toBe('protected')
    expect((await lab.engine.recoveryPoints(started.protectionId)).length).toBeGreaterThan(0)
  })

  test('the same machine twice is refused, and so is a target that is its own site', async () => {
    const lab = await newLab()
    await lab.protect()
    await expect(lab.protect()).rejects.toMatchObject({ code: 'protection/exists' })
    const request = { by, machineId: lab.row.id, policyId: lab.policy.id, adapters: [], excludedDisks: [] }
    await expect(lab.engine.protect({ ...request, targetSiteId: lab.siteA.id })).rejects.toMatchObject({
      code: 'protection/same-site',
    })
  })

  test('a disk to leave out that the machine does not have is refused by name', async () => {
    const lab = await newLab()
    const request = {
      by,
      machineId: lab.row.id,
      policyId: lab.policy.id,
      adapters: [],
      excludedDisks: ['vdz' as DiskKey],
    }
    await expect(lab.engine.protect({ ...request, targetSiteId: lab.siteB.id })).rejects.toMatchObject({
      code: 'protection/unknown-disk',
    })
    const { protectionId } = await lab.protect()
    await lab.clock.advance(minute)
    await expect(
      lab.engine.editProtection({ by, protectionId, excludedDisks: ['vdz' as DiskKey] }),
    ).rejects.toMatchObject({ code: 'protection/unknown-disk' })
  })

  test('a first copy that is held up says by what, and no more once it goes on', async () => {
    const lab = await newLab()
    const full = { code: 'replica/disk-full', message: 'The disk is full', remedy: 'Free space there.' }
    lab.a.faults.failNext('source.openPoint', 1, new Outage(full))
    const { jobId } = await lab.protect()
    await lab.clock.advance(20_000)
    const held = await lab.job(jobId)
    expect(held.state).toBe('running')
    expect(held.tasks.at(-1)).toMatchObject({
      state: 'running',
      note: expect.stringMatching(/The disk is full\. Free space there\. Understudy tries again in \d+ s\./),
    })
    await lab.clock.advance(2 * minute)
    expect((await lab.job(jobId)).tasks.at(-1)).toMatchObject({ state: 'succeeded', note: null })
  })

  test('a machine that cannot be tracked is told with its remedy, and can be tried again after it was mended', async () => {
    const lab = await newLab()
    lab.machine.untrackable = true
    const started = await lab.protect()
    const job = await lab.settle(Promise.resolve(started))
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'machine/untrackable' } })
    expect((await lab.state(started.protectionId)).state).toBe('broken')
    lab.machine.untrackable = false
    await lab.engine.retryJob(started.jobId, { by })
    await lab.clock.advance(minute)
    expect(await lab.job(started.jobId)).toMatchObject({ state: 'succeeded' })
    expect((await lab.state(started.protectionId)).state).toBe('protected')
  })
})

test('replication goes on within seconds of the return of our own database', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const away = {
    code: 'store/unreachable',
    message: 'The database does not answer',
    remedy: 'Nothing is lost.',
  }
  lab.database.failNext('protections.notes', 2, new Outage(away))
  await lab.clock.advance(15_000)
  const points = await lab.engine.recoveryPoints(protectionId)
  expect(lab.clock.now() - (points.at(-1)?.instant ?? 0)).toBeLessThan(10_000)
})

describe('steering', () => {
  test('pause stops the points, resume goes on with a delta', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.engine.pause(ask)
    await lab.clock.advance(10_000)
    const count = (await lab.engine.recoveryPoints(protectionId)).length
    await lab.clock.advance(minute)
    expect((await lab.engine.recoveryPoints(protectionId)).length).toBe(count)
    await expect(lab.engine.pause(ask)).rejects.toMatchObject({ code: 'protection/not-allowed' })
    await lab.engine.resume(ask)
    await lab.clock.advance(20_000)
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.length).toBeGreaterThan(count)
    expect(points.slice(count).every(({ cycle }) => cycle === 'delta')).toBe(true)
  })

  test('an edit of a protection or a policy is recorded with what was before, by name', async () => {
    const { lab, ask } = await newProtectedLab()
    const silver = await lab.engine.savePolicy(
      { ...defaultPolicySettings, intervalSeconds: 10, name: 'silver' },
      null,
      { by },
    )
    const [, second] = [...lab.machine.disks.keys()]
    if (!second) throw new Error('there are two disks')
    const adapters = [{ adapterKey: 'net0', failoverNetworkId: 'isolated', testNetworkId: 'isolated' }]
    await lab.engine.editProtection({ ...ask, policyId: silver.id, excludedDisks: [second], adapters })
    const [edited] = await lab.events('protection/edited')
    expect(edited?.message).toMatch(
      /^web was edited by olga: policy from "gold" to "silver"; excluded disks from none to [^;]+; failover network of adapter 1 from "[^"]+" to "[^"]+"$/,
    )
    expect(edited?.message).not.toContain(silver.id)
    expect(edited?.facts.changes).toHaveLength(3)
    await lab.engine.savePolicy(
      { ...defaultPolicySettings, intervalSeconds: 20, name: 'silver' },
      silver.id,
      {
        by,
      },
    )
    expect((await lab.events('policy/saved'))[0]?.message).toBe(
      'The policy "silver" was changed by olga: interval from 10 s to 20 s',
    )
  })

  test('encryption cannot be switched by a policy while replicas of it live', async () => {
    const { lab, ask } = await newProtectedLab()
    const fixed = { name: 'Refusal', code: 'policy/encryption-fixed' }
    const encrypted = { ...defaultPolicySettings, encrypt: true }
    await expect(
      lab.engine.savePolicy({ ...encrypted, name: 'gold' }, lab.policy.id, { by }),
    ).rejects.toMatchObject(fixed)
    const other = await lab.engine.savePolicy({ ...encrypted, name: 'vault' }, null, { by })
    await expect(lab.engine.editProtection({ ...ask, policyId: other.id })).rejects.toMatchObject(fixed)
    await lab.engine.savePolicy({ ...defaultPolicySettings, priority: 9, name: 'gold' }, lab.policy.id, {
      by,
    })
  })

  test('hardware that was changed since the machine was protected is what would boot', async () => {
    const { lab, protectionId } = await newProtectedLab()
    const { hardware } = await lab.state(protectionId)
    const ofTheFirstDay = { ...hardware, memoryBytes: hardware.memoryBytes / 2, cpus: 16 }
    await lab.stores.protections.update(protectionId, { hardware: ofTheFirstDay })
    await lab.engine.refreshSite(lab.siteA.id)
    expect((await lab.state(protectionId)).hardware).toEqual(hardware)
  })

  test('a resync compares, says why, and becomes protected again', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.resync(ask))
    const points = await lab.engine.recoveryPoints(protectionId)
    expect(points.filter(({ cycle }) => cycle === 'resync')).toHaveLength(1)
    expect((await lab.events('cycle/resync-asked'))[0]?.message).toContain('olga')
  })

  test('an excluded disk is missing from newer points and comes back whole', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const [, second] = [...lab.machine.disks.keys()]
    if (!second) throw new Error('there are two disks')
    await lab.engine.editProtection({ ...ask, excludedDisks: [second] })
    await lab.clock.advance(15_000)
    expect((await lab.engine.recoveryPoints(protectionId)).at(-1)?.disks).toHaveLength(1)
    await lab.engine.editProtection({ ...ask, excludedDisks: [] })
    await lab.clock.advance(15_000)
    const { replicas } = lab.b
    const replica = await replicas.openReplica((await lab.state(protectionId)).replicaId, null)
    const newest = (await lab.engine.recoveryPoints(protectionId)).at(-1)
    if (!newest) throw new Error('there is a point')
    const opened = await replica.openPoint(newest.id)
    await checkGuest(opened.disks.map(({ reader }) => reader))
  })

  test('ending it removes tracking, replica and row', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const { replicaId } = await lab.state(protectionId)
    await lab.done(lab.engine.endProtection({ ...ask, deleteReplica: true }))
    expect(await lab.stores.protections.find(protectionId)).toBeNull()
    expect(await lab.b.replicas.exists(replicaId)).toBe(false)
    expect(lab.machine.checkpoints.size).toBe(0)
  })

  test('ending it resolves whatever is open about it', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    const facts = { severity: 'critical', message: 'Damaged', remedy: 'Look.', acknowledgedBy: null } as const
    await lab.stores.alerts.raise({
      ...facts,
      id: 'alert-1' as AlertId,
      code: 'replica/damaged',
      subjectId: protectionId,
      subjectName: 'web',
      raisedAt: lab.clock.now(),
      resolvedAt: null,
    })
    await lab.done(lab.engine.endProtection({ ...ask, deleteReplica: true }))
    expect(await lab.openAlerts()).toEqual([])
  })
})

test('a stricter policy, and replication that begins again, get the time of their target before anybody is called', async () => {
  const { lab, ask, protectionId } = await newProtectedLab({
    policy: { intervalSeconds: 300, lagTargetSeconds: 600 },
  })
  await lab.clock.advance(4 * minute)
  const strict = await lab.engine.savePolicy(
    { ...defaultPolicySettings, name: 'strict', intervalSeconds: 5, lagTargetSeconds: 30 },
    null,
    { by },
  )
  await lab.engine.editProtection({ by, protectionId, policyId: strict.id })
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.clock.advance(5 * minute)
  await lab.done(lab.engine.rollBack(ask))
  await lab.clock.advance(minute)
  const { rows } = await lab.stores.events.list({}, { limit: 500, cursor: null })
  expect(rows.map(({ code }) => code)).not.toContain('protection/lag')
})

test('the alert of replication that was stopped resolves when the machine runs elsewhere, and when cycles succeed again', async () => {
  const { lab, ask } = await newProtectedLab()
  const stopReplication = async () => {
    lab.a.faults.failNext('source.openPoint', 1, new Refusal({ code: 'x/y', message: 'No', remedy: 'None.' }))
    await lab.clock.advance(minute)
    expect(await lab.openAlerts()).toContain('protection/broken')
  }
  await stopReplication()
  await lab.done(lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: true }))
  expect(await lab.openAlerts()).not.toContain('protection/broken')
  await lab.done(lab.engine.rollBack(ask))
  await lab.clock.advance(minute)
  await stopReplication()
  await lab.engine.resync(ask)
  await lab.clock.advance(minute)
  expect(await lab.openAlerts()).toEqual([])
})

test('every action says why it is not allowed, and the engine refuses with the same words', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  const actions = await lab.engine.allowedActions(protectionId)
  expect(actions.filter(({ allowed }) => allowed).map(({ action }) => action)).toEqual([
    'test-failover',
    'planned-failover',
    'unplanned-failover',
    'replicate-now',
    'resync',
    'pause',
    'edit',
    'end',
  ])
  const commit = actions.find(({ action }) => action === 'commit')
  await expect(lab.engine.commit(ask)).rejects.toThrow(commit?.reason ?? 'missing')
  const { protections } = lab.stores
  const obstacles = await lab.engine.noTargets([lab.siteB.id])
  const around = { summaries: await protections.summaries(), obstacles }
  const all = await lab.engine.allAllowedActions(await protections.list(), around)
  expect(all.get(protectionId)).toEqual(actions)
})

test('the end of a protection that was failed over leaves no tracking on the machine that runs now', async () => {
  const { lab, protectionId, ask } = await newProtectedLab()
  await lab.done(lab.engine.plannedFailover(ask))
  await lab.done(lab.engine.commit({ by, protectionId }))
  const [run] = await lab.stores.runs.history(protectionId, 1)
  const stopTracking = vi.spyOn(lab.b.source, 'stopTracking')
  await lab.done(lab.engine.endProtection({ by, protectionId, deleteReplica: true }))
  expect(stopTracking.mock.calls.map(([ref]) => ref)).toEqual([run?.machineRef])
})
