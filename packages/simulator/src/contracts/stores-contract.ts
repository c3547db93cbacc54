// What every implementation of the engine's stores must do. Apply it to memory and to the database alike.
import type { Instant } from '@understudy/base/instant'
import { present } from '@understudy/base/invariant'
import type { Alert } from '@understudy/domain/events/event'
import type { RunId } from '@understudy/domain/failover/failover'
import { harmlessKinds, type JobId } from '@understudy/domain/jobs/job'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import type { Protection, ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import type { CutId } from '@understudy/domain/recovery-points/recovery-point'
import type { Seed, SeedId } from '@understudy/domain/seeds/seed'
import type { Page, PageRequest } from '@understudy/engine/ports/page'
import type { Stores } from '@understudy/engine/ports/stores'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  itemId,
  sampleActivities,
  samplePlan,
  sampleGroup as samplePlanGroup,
  sampleMachine as samplePlanMachine,
  samplePlanRun,
} from '../sample-plans.ts'
import {
  type ProtectionParents,
  sampleAlert,
  sampleDiscoveredMachine,
  sampleEvent,
  sampleGroup,
  sampleJob,
  samplePolicy,
  sampleProtection,
  sampleRun,
  sampleSite,
} from '../sample-rows.ts'

/** Empty stores for one test. `again`: the same data through another process, where there is such a thing. */
export type StoresHarness = {
  readonly stores: Stores
  readonly again?: () => Promise<Stores>
  close(): Promise<void>
}

const noon: Instant = Date.parse('2026-01-01T12:00:00Z')
const minute = 60_000

export function storesContract(name: string, make: () => Promise<StoresHarness>): void {
  describe(`stores: ${name}`, () => {
    let harness: StoresHarness
    let stores: Stores
    beforeEach(async () => {
      harness = await make()
      stores = harness.stores
    })
    afterEach(async () => {
      await harness.close()
    })
    const current = (): Stores => stores
    siteTests(current)
    machineTests(current)
    policyTests(current)
    bandwidthTests(current)
    durationTests(current)
    protectionTests(current)
    seedTests(current)
    groupTests(current)
    runTests(current)
    jobTests(current)
    eventTests(current)
    alertTests(current)
    leaseTests(current)
    test('another process sees the same rows', async () => {
      const { protection } = await addProtection(stores)
      const other = harness.again ? await harness.again() : stores
      expect(await other.protections.find(protection.id)).toEqual(protection)
    })
  })
}

type Current = () => Stores

async function addParents(stores: Stores): Promise<ProtectionParents> {
  const [source, target] = [sampleSite(), sampleSite()]
  await stores.sites.create(source, {})
  await stores.sites.create(target, {})
  const machine = sampleDiscoveredMachine()
  await stores.machines.replaceInventory(source.id, [machine], noon)
  const row = present(
    await stores.machines.findByRef(source.id, machine.ref),
    'the inventory was just written',
  )
  const policy = samplePolicy()
  await stores.policies.save(policy)
  return {
    machineId: row.id,
    sourceRef: machine.ref,
    sourceSiteId: source.id,
    targetSiteId: target.id,
    policyId: policy.id,
  }
}

async function addProtection(
  stores: Stores,
  change: Partial<Protection> = {},
): Promise<{ protection: Protection; parents: ProtectionParents }> {
  const parents = await addParents(stores)
  const protection = sampleProtection(parents, change)
  await stores.protections.create(protection)
  return { protection, parents }
}

function siteTests(current: Current): void {
  test('a site comes back as it was created, and its secrets only when asked for', async () => {
    const { sites } = current()
    const site = sampleSite({ healthNote: 'new', checkedAt: noon })
    await sites.create(site, { privateKey: 'PEM' })
    expect(await sites.find(site.id)).toEqual(site)
    expect(await sites.list()).toEqual([site])
    expect(await sites.secrets(site.id)).toEqual({ privateKey: 'PEM' })
  })
  test('a site name that is taken is refused, for a new site and for a renamed one', async () => {
    const { sites } = current()
    const [a, b] = [sampleSite({ name: 'Paris' }), sampleSite({ name: 'Rome' })]
    await sites.create(a, {})
    await sites.create(b, {})
    await expect(sites.create(sampleSite({ name: 'Paris' }), {})).rejects.toMatchObject({
      code: 'site/name-taken',
    })
    await expect(sites.update(b.id, { name: 'Paris' })).rejects.toMatchObject({ code: 'site/name-taken' })
    await sites.update(a.id, { name: 'Paris' })
    expect(await sites.list()).toHaveLength(2)
  })
  test('a change of a site leaves alone what it does not name, secrets included', async () => {
    const { sites } = current()
    const site = sampleSite()
    await sites.create(site, { privateKey: 'PEM' })
    await sites.update(site.id, { health: 'unreachable', healthNote: 'no answer' })
    expect(await sites.find(site.id)).toEqual({ ...site, health: 'unreachable', healthNote: 'no answer' })
    expect(await sites.secrets(site.id)).toEqual({ privateKey: 'PEM' })
    await sites.update(site.id, {}, { privateKey: 'other' })
    expect(await sites.secrets(site.id)).toEqual({ privateKey: 'other' })
  })
  test('a removed site is gone', async () => {
    const { sites } = current()
    const site = sampleSite()
    await sites.create(site, {})
    await sites.remove(site.id)
    expect(await sites.find(site.id)).toBeNull()
  })
}

function machineTests(current: Current): void {
  const withSite = async () => {
    const site = sampleSite()
    await current().sites.create(site, {})
    return { site, machines: current().machines }
  }
  test('the inventory becomes rows that keep their ids', async () => {
    const { site, machines } = await withSite()
    const [a, b] = [sampleDiscoveredMachine(), sampleDiscoveredMachine({ name: 'web-2', power: 'off' })]
    expect(await machines.replaceInventory(site.id, [a, b], noon)).toBe(true)
    const before = present(await machines.findByRef(site.id, a.ref), 'a is there')
    expect(before).toEqual({ ...a, id: before.id, siteId: site.id, seenAt: noon, present: true })
    await machines.replaceInventory(site.id, [{ ...a, name: 'renamed' }, b], noon + minute)
    const after = present(await machines.findByRef(site.id, a.ref), 'a is there')
    expect(after).toMatchObject({ id: before.id, name: 'renamed', seenAt: noon + minute })
    expect(await machines.find(before.id)).toEqual(after)
  })
  test('an inventory that says the same again changes nothing but the time', async () => {
    const { site, machines } = await withSite()
    const machine = sampleDiscoveredMachine()
    await machines.replaceInventory(site.id, [machine], noon)
    expect(await machines.replaceInventory(site.id, [machine], noon + minute)).toBe(false)
    const found = present(await machines.findByRef(site.id, machine.ref), 'it is there')
    expect(found.seenAt).toBe(noon + minute)
  })
  test('a machine that the inventory misses is kept and marked, and comes back as the same row', async () => {
    const { site, machines } = await withSite()
    const machine = sampleDiscoveredMachine()
    await machines.replaceInventory(site.id, [machine], noon)
    const before = await machines.findByRef(site.id, machine.ref)
    expect(await machines.replaceInventory(site.id, [], noon + minute)).toBe(true)
    expect(await machines.findByRef(site.id, machine.ref)).toMatchObject({ id: before?.id, present: false })
    expect(await machines.replaceInventory(site.id, [], noon + 2 * minute)).toBe(false)
    expect(await machines.replaceInventory(site.id, [machine], noon + 3 * minute)).toBe(true)
    expect(await machines.findByRef(site.id, machine.ref)).toMatchObject({ id: before?.id, present: true })
  })
  test('the same reference at two sites is two machines', async () => {
    const [a, b] = [await withSite(), await withSite()]
    const machine = sampleDiscoveredMachine()
    await a.machines.replaceInventory(a.site.id, [machine], noon)
    await b.machines.replaceInventory(b.site.id, [machine], noon)
    expect(await a.machines.list()).toHaveLength(2)
    expect(await a.machines.list(a.site.id)).toHaveLength(1)
    await a.machines.replaceInventory(a.site.id, [], noon)
    expect(await b.machines.findByRef(b.site.id, machine.ref)).toMatchObject({ present: true })
    expect(await a.machines.findByRef(a.site.id, 'nobody' as MachineRef)).toBeNull()
  })
}

function bandwidthTests(current: Current): void {
  test('a limit between two sites is saved, replaced and removed, and goes with either of them', async () => {
    const { bandwidth, sites } = current()
    const [one, two] = [sampleSite(), sampleSite()]
    for (const site of [one, two]) await sites.create(site, {})
    const there = { sourceSiteId: one.id, targetSiteId: two.id, calendar: sampleCalendar(20) }
    const back = { sourceSiteId: two.id, targetSiteId: one.id, calendar: sampleCalendar(null) }
    await bandwidth.save(there)
    await bandwidth.save(back)
    await bandwidth.save({ ...there, calendar: sampleCalendar(5) })
    const mine = async () =>
      (await bandwidth.list()).filter(({ sourceSiteId }) => [one.id, two.id].includes(sourceSiteId))
    expect(await mine()).toHaveLength(2)
    expect(await mine()).toEqual(expect.arrayContaining([back, { ...there, calendar: sampleCalendar(5) }]))
    await bandwidth.remove(two.id, one.id)
    await bandwidth.remove(two.id, one.id)
    expect(await mine()).toEqual([{ ...there, calendar: sampleCalendar(5) }])
    await sites.remove(two.id)
    expect(await mine()).toEqual([])
  })
}

const sampleCalendar = (otherwiseMegabitsPerSecond: number | null) => ({
  timeZone: 'Europe/Berlin',
  rules: [{ weekdays: [1 as const, 7 as const], fromMinute: 0, toMinute: 1440, megabitsPerSecond: 10 }],
  otherwiseMegabitsPerSecond,
})

function policyTests(current: Current): void {
  test('a policy is saved, replaced and removed', async () => {
    const { policies } = current()
    const policy = samplePolicy({ retention: [{ everySeconds: 0, forSeconds: 3600 }] })
    await policies.save(policy)
    expect(await policies.find(policy.id)).toEqual(policy)
    await policies.save({ ...policy, intervalSeconds: 17 })
    expect(await policies.list()).toEqual([{ ...policy, intervalSeconds: 17 }])
    await policies.remove(policy.id)
    expect(await policies.find(policy.id)).toBeNull()
  })
}

function protectionTests(current: Current): void {
  test('a protection comes back as it was created', async () => {
    const { protection } = await addProtection(current())
    expect(await current().protections.find(protection.id)).toEqual(protection)
    expect(await current().protections.list()).toEqual([protection])
  })
  test('a machine is protected once', async () => {
    const { protection, parents } = await addProtection(current())
    const { protections } = current()
    await expect(protections.create(sampleProtection(parents))).rejects.toMatchObject({
      code: 'protection/exists',
    })
    await protections.remove(protection.id)
    await protections.create(sampleProtection(parents))
    expect(await protections.list()).toHaveLength(1)
  })
  test('of two that protect a machine at the same moment one is refused', async () => {
    const { protections } = current()
    const parents = await addParents(current())
    const both = [sampleProtection(parents), sampleProtection(parents)]
    const ends = await Promise.allSettled(both.map((protection) => protections.create(protection)))
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(await protections.list()).toHaveLength(1)
  })
  test('a state moves only from the state that was expected', async () => {
    const { protection } = await addProtection(current(), { state: 'protected', stateNote: 'old' })
    const { protections } = current()
    expect(await protections.moveState(protection.id, 'paused', 'protected', 'wrong')).toBe(false)
    expect(await protections.find(protection.id)).toEqual(protection)
    expect(await protections.moveState(protection.id, 'protected', 'paused', 'asked', 'protected')).toBe(true)
    const paused = { state: 'paused', stateNote: 'asked', resumeState: 'protected' }
    expect(await protections.find(protection.id)).toMatchObject(paused)
    expect(await protections.moveState(protection.id, 'paused', 'resyncing', null)).toBe(true)
    const resyncing = { state: 'resyncing', stateNote: null, resumeState: 'protected' }
    expect(await protections.find(protection.id)).toMatchObject(resyncing)
    expect(await protections.moveState(protection.id, 'resyncing', 'protected', null, null)).toBe(true)
    expect(await protections.find(protection.id)).toMatchObject({ resumeState: null })
  })
  test('of many that move a state at the same moment one wins', async () => {
    const { protection } = await addProtection(current(), { state: 'protected' })
    const moves = Array.from({ length: 8 }, () =>
      current().protections.moveState(protection.id, 'protected', 'failingOver', null),
    )
    expect((await Promise.all(moves)).filter(Boolean)).toHaveLength(1)
  })
  test('a claim is in the notes of the one who moved the state, and of nobody else', async () => {
    const { protection } = await addProtection(current(), { state: 'protected' })
    const { protections } = current()
    await protections.updateNotes(protection.id, { runningCheckpoint: 'kept' })
    const former = { state: 'protected', note: null, resumeState: null } as const
    const claims = Array.from({ length: 8 }, (_, index) => {
      const claim = { jobId: `job-${index}` as JobId, former }
      const what = { note: `by ${index}`, notes: { claim, stoppedSource: null } }
      return protections.claimState(protection.id, 'protected', 'failingOver', what)
    })
    const winner = (await Promise.all(claims)).indexOf(true)
    expect((await Promise.all(claims)).filter(Boolean)).toHaveLength(1)
    const moved = { state: 'failingOver', stateNote: `by ${winner}`, resumeState: 'protected' }
    expect(await protections.find(protection.id)).toMatchObject(moved)
    expect(await protections.notes(protection.id)).toMatchObject({
      claim: { jobId: `job-${winner}` },
      runningCheckpoint: 'kept',
    })
  })
  test('a claim ends with its state, at the hands of its owner and of nobody else', async () => {
    const { protection } = await addProtection(current(), { state: 'protected' })
    const { protections } = current()
    const [first, second] = ['job-1' as JobId, 'job-2' as JobId]
    const former = { state: 'protected', note: null, resumeState: null } as const
    const notes = { claim: { jobId: first, former }, runningCheckpoint: 'kept' }
    await protections.claimState(protection.id, 'protected', 'failingOver', { note: 'at work', notes })
    const release = (owner: JobId | null, from: 'failingOver' | 'rollingBack' = 'failingOver') =>
      protections.releaseState(protection.id, from, 'protected', { owner, note: 'over', resumeState: null })
    for (const wrong of [release(second), release(null), release(first, 'rollingBack')])
      expect(await wrong).toBe(false)
    expect(await protections.notes(protection.id)).toMatchObject(notes)
    expect((await Promise.all([release(first), release(first)])).filter(Boolean)).toHaveLength(1)
    const released = { state: 'protected', stateNote: 'over', resumeState: null }
    expect(await protections.find(protection.id)).toMatchObject(released)
    expect(await protections.notes(protection.id)).toMatchObject({ claim: null, runningCheckpoint: 'kept' })
    await protections.claimState(protection.id, 'protected', 'failingOver', { note: null, notes: {} })
    expect(await release(first)).toBe(false)
    expect(await release(null)).toBe(true)
  })
  test('moving the state of a protection that has gone changes nothing', async () => {
    const { protection } = await addProtection(current())
    await current().protections.remove(protection.id)
    expect(await current().protections.moveState(protection.id, 'enabling', 'seeding', null)).toBe(false)
    expect(await current().protections.find(protection.id)).toBeNull()
  })
  test('an update leaves alone what it does not name', async () => {
    const { protection } = await addProtection(current())
    await current().protections.update(protection.id, {
      name: 'db',
      originalRef: protection.sourceRef,
      cycleAskedAt: 5,
    })
    const expected = { ...protection, name: 'db', originalRef: protection.sourceRef, cycleAskedAt: 5 }
    expect(await current().protections.find(protection.id)).toEqual(expected)
  })
  test('every epoch is given once, however many ask at the same moment', async () => {
    const { protection } = await addProtection(current())
    const asked = Array.from({ length: 8 }, () => current().protections.nextEpoch(protection.id))
    expect((await Promise.all(asked)).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(await current().protections.find(protection.id)).toMatchObject({ epoch: 8 })
  })
  test('a summary begins empty and takes changes field by field', async () => {
    const { protection } = await addProtection(current())
    const { protections } = current()
    const empty = await protections.summary(protection.id)
    expect(empty).toEqual({
      newestPoint: null,
      newestApplicationPoint: null,
      pointCount: 0,
      storedBytes: 0,
      lastCycle: null,
      lastTestAt: null,
      lastTestPassed: null,
      lastRecoverySeconds: null,
    })
    await protections.updateSummary(protection.id, { pointCount: 3, storedBytes: 2 ** 45 })
    await protections.updateSummary(protection.id, {
      lastTestAt: noon,
      lastTestPassed: false,
      lastRecoverySeconds: 1.5,
    })
    const expected = {
      ...empty,
      pointCount: 3,
      storedBytes: 2 ** 45,
      lastTestAt: noon,
      lastTestPassed: false,
      lastRecoverySeconds: 1.5,
    }
    expect(await protections.summary(protection.id)).toEqual(expected)
    expect(await protections.summaries()).toEqual(new Map([[protection.id, expected]]))
  })

  test('what a machine says of its start elsewhere is kept beside the summary, and no list carries it', async () => {
    const { protection } = await addProtection(current())
    const { protections } = current()
    expect(await protections.bootCheck(protection.id)).toBeNull()
    const of = { sourceRef: protection.sourceRef, targetSiteId: protection.targetSiteId }
    const trouble = { at: noon, code: 'boot-check/no-agent', message: 'It has no agent', remedy: 'Add one.' }
    const check = { of, judged: null, trouble }
    await protections.keepBootCheck(protection.id, check)
    expect(await protections.bootCheck(protection.id)).toEqual(check)
    expect(await protections.find(protection.id)).toEqual(protection)
    expect((await protections.list())[0]).toEqual(protection)
    expect(await protections.summary(protection.id)).not.toHaveProperty('bootCheck')
    await expect(protections.keepBootCheck('gone' as ProtectionId, check)).rejects.toThrow()
  })
  test('protections whose notes name the replicas of a reprotect are found, until they do not', async () => {
    const [{ protection }] = [await addProtection(current()), await addProtection(current())]
    const { protections } = current()
    expect(await protections.turning()).toEqual([])
    const turning = { replicaId: 'new' as ReplicaId, formerReplicaId: 'old' as ReplicaId }
    await protections.updateNotes(protection.id, { turning })
    expect(await protections.turning()).toEqual([protection.id])
    const setAside = [{ siteId: protection.sourceSiteId, replicaId: 'old' as ReplicaId }]
    await protections.updateNotes(protection.id, { turning: null, setAside })
    expect(await protections.turning()).toEqual([protection.id])
    await protections.updateNotes(protection.id, { setAside: [] })
    expect(await protections.turning()).toEqual([])
  })
  test('protections that have left a replica behind are found, until it has gone', async () => {
    const [{ protection }] = [await addProtection(current()), await addProtection(current())]
    const { protections } = current()
    expect(await protections.withLeftReplicas()).toEqual([])
    await protections.updateNotes(protection.id, { leftReplicas: ['left' as RunId] })
    expect(await protections.withLeftReplicas()).toEqual([protection.id])
    await protections.updateNotes(protection.id, { leftReplicas: [] })
    expect(await protections.withLeftReplicas()).toEqual([])
  })
  test('notes begin empty and take changes field by field', async () => {
    const { protection } = await addProtection(current())
    const { protections } = current()
    const empty = await protections.notes(protection.id)
    expect(empty).toEqual({
      resyncReason: null,
      originalFingerprints: [],
      originalPoint: null,
      runningCheckpoint: null,
      lastApplicationConsistentAt: null,
    })
    const resyncReason = { code: 'tracking/lost', message: 'The guest was killed' }
    await protections.updateNotes(protection.id, { resyncReason })
    await protections.updateNotes(protection.id, {
      runningCheckpoint: 'mark-7',
      lastApplicationConsistentAt: noon,
    })
    const expected = {
      ...empty,
      resyncReason,
      runningCheckpoint: 'mark-7',
      lastApplicationConsistentAt: noon,
    }
    expect(await protections.notes(protection.id)).toEqual(expected)
    await protections.updateNotes(protection.id, { resyncReason: null })
    expect(await protections.notes(protection.id)).toEqual({ ...expected, resyncReason: null })
  })
}

function seedTests(current: Current): void {
  const sampleSeed = ({ id, replicaId }: Protection, change: Partial<Seed> = {}): Seed => ({
    id: 'seed-1' as SeedId,
    protectionId: id,
    replicaId,
    folder: '/media/seed',
    acceptsServerDisk: false,
    fingerprint: null,
    startedAt: noon,
    export: null,
    ...change,
  })
  test('the seed of a protection comes back as it was saved, and is replaced by the next one', async () => {
    const { protection } = await addProtection(current())
    const { seeds } = current()
    expect(await seeds.find(protection.id)).toBeNull()
    const seed = sampleSeed(protection)
    await seeds.save(seed)
    expect(await seeds.find(protection.id)).toEqual(seed)
    const exported = { endedAt: noon + 1, instant: noon, storedBytes: 17, tracked: true }
    const begun = { ...seed, acceptsServerDisk: true, fingerprint: 'salt', export: exported }
    await seeds.save(begun)
    expect(await seeds.list()).toEqual([begun])
    await seeds.save(sampleSeed(protection, { id: 'seed-2' as SeedId }))
    expect(await seeds.list()).toEqual([sampleSeed(protection, { id: 'seed-2' as SeedId })])
    await seeds.remove(protection.id)
    await seeds.remove(protection.id)
    expect(await seeds.list()).toEqual([])
  })
  test('the passphrase of a seed stays when it is left out, goes when it is null, and is in nothing else', async () => {
    const { protection } = await addProtection(current())
    const { seeds } = current()
    const seed = sampleSeed(protection)
    await seeds.save(seed, 'hunter2 hunter2')
    await seeds.save({ ...seed, folder: '/media/other' })
    expect(await seeds.passphrase(protection.id)).toBe('hunter2 hunter2')
    expect(JSON.stringify([await seeds.find(protection.id), await seeds.list()])).not.toContain('hunter2')
    await seeds.save(seed, null)
    expect(await seeds.passphrase(protection.id)).toBeNull()
  })
  test('a seed is changed only as long as no other one took its place', async () => {
    const { protection } = await addProtection(current())
    const { seeds } = current()
    const seed = sampleSeed(protection)
    expect(await seeds.update(seed, 'hunter2 hunter2')).toBe(false)
    expect(await seeds.find(protection.id)).toBeNull()
    await seeds.save(seed, 'hunter2 hunter2')
    expect(await seeds.update({ ...seed, folder: '/media/other' })).toBe(true)
    expect(await seeds.find(protection.id)).toEqual({ ...seed, folder: '/media/other' })
    expect(await seeds.passphrase(protection.id)).toBe('hunter2 hunter2')
    const next = sampleSeed(protection, { id: 'seed-2' as SeedId })
    await seeds.save(next)
    expect(await seeds.update(seed, null)).toBe(false)
    expect(await seeds.find(protection.id)).toEqual(next)
    expect(await seeds.passphrase(protection.id)).toBe('hunter2 hunter2')
    expect(await seeds.update(next, null)).toBe(true)
    expect(await seeds.passphrase(protection.id)).toBeNull()
  })
  test('a seed goes with its protection', async () => {
    const { protection } = await addProtection(current())
    const { seeds, protections } = current()
    await seeds.save(sampleSeed(protection), 'hunter2 hunter2')
    await protections.remove(protection.id)
    expect(await seeds.find(protection.id)).toBeNull()
    expect(await seeds.list()).toEqual([])
    expect(await seeds.passphrase(protection.id)).toBeNull()
  })
}

function groupTests(current: Current): void {
  const cut = {
    cut: 'cut-1' as CutId,
    instant: noon,
    consistency: 'application' as const,
    pauseMilliseconds: 1.5,
    members: ['p1' as ProtectionId],
  }
  const addGroup = async (name = 'shop'): Promise<ConsistencyGroup> => {
    const group = sampleGroup({ name })
    await current().groups.create(group)
    return group
  }
  test('a group comes back as it was made, and its machines say that they belong to it', async () => {
    const { groups, protections } = current()
    const group = await addGroup()
    expect(await groups.find(group.id)).toEqual(group)
    expect(await groups.list()).toEqual([group])
    const { protection } = await addProtection(current(), { groupId: group.id })
    expect((await protections.find(protection.id))?.groupId).toBe(group.id)
    await protections.update(protection.id, { groupId: null })
    expect((await protections.list())[0]?.groupId).toBeNull()
  })
  test('a name that another group has, however it is written, is refused, and its own is not', async () => {
    const { groups } = current()
    const [shop, other] = [await addGroup('Shop'), await addGroup('other')]
    const taken = { code: 'group/name-taken' }
    await expect(groups.create(sampleGroup({ name: 'shop' }))).rejects.toMatchObject(taken)
    await expect(groups.rename(other.id, 'SHOP')).rejects.toMatchObject(taken)
    await groups.rename(shop.id, 'shop')
    expect((await groups.find(shop.id))?.name).toBe('shop')
  })
  test('the machines of a group that is removed stay, in no group', async () => {
    const { groups, protections } = current()
    const group = await addGroup()
    const { protection } = await addProtection(current(), { groupId: group.id })
    await groups.remove(group.id)
    await groups.remove(group.id)
    expect(await groups.find(group.id)).toBeNull()
    expect(await protections.find(protection.id)).toEqual({ ...protection, groupId: null })
    await groups.updateSummary(group.id, { newestCut: cut })
    expect(await groups.summaries()).toEqual(new Map())
  })
  test('the policy of a group is that of all its machines, and of no other', async () => {
    const { groups, policies, protections } = current()
    const group = await addGroup()
    const members = [
      await addProtection(current(), { groupId: group.id }),
      await addProtection(current(), { groupId: group.id }),
    ]
    const outside = await addProtection(current())
    const policy = samplePolicy()
    await policies.save(policy)
    await groups.changePolicy(group.id, policy.id)
    for (const { protection } of members)
      expect((await protections.find(protection.id))?.policyId).toBe(policy.id)
    expect(await protections.find(outside.protection.id)).toEqual(outside.protection)
  })
  test('what is shown of a group is kept field by field', async () => {
    const { groups } = current()
    const group = await addGroup()
    const empty = { newestCut: null, newestWholeCut: null, apart: null }
    expect(await groups.summaries()).toEqual(new Map([[group.id, empty]]))
    await groups.updateSummary(group.id, { newestCut: cut })
    const apart = { since: noon, reason: 'too slow', remedy: 'wait' }
    await groups.updateSummary(group.id, { apart })
    expect((await groups.summaries()).get(group.id)).toEqual({ ...empty, newestCut: cut, apart })
  })
}

function runTests(current: Current): void {
  const withProtection = async () => {
    const { protection, parents } = await addProtection(current())
    return { protectionId: protection.id, targetSiteId: parents.targetSiteId, runs: current().runs }
  }
  test('a run comes back as it was created and takes changes', async () => {
    const { runs, ...parents } = await withProtection()
    const run = sampleRun(parents, { addresses: ['http://127.0.0.1:8080'] })
    await runs.create(run)
    expect(await runs.find(run.id)).toEqual(run)
    await runs.update(run.id, {
      hydrated: 0.25,
      place: 'a host',
      machineRef: 'vm-7' as MachineRef,
      waitedSeconds: 61.5,
      commitDeadline: noon + minute,
    })
    const expected = {
      ...run,
      hydrated: 0.25,
      place: 'a host',
      machineRef: 'vm-7',
      waitedSeconds: 61.5,
      commitDeadline: noon + minute,
    }
    expect(await runs.find(run.id)).toEqual(expected)
  })
  test('active runs are those that are not over, of one protection or of all', async () => {
    const [a, b] = [await withProtection(), await withProtection()]
    const [first, second, other] = [sampleRun(a), sampleRun(a), sampleRun(b)]
    for (const run of [first, second, other]) await a.runs.create(run)
    await a.runs.update(first.id, { over: true, endedAt: noon })
    expect((await a.runs.active(a.protectionId)).map(({ id }) => id)).toEqual([second.id])
    expect((await a.runs.active()).map(({ id }) => id).sort()).toEqual([second.id, other.id].sort())
  })
  test('a run ends, and its machine stays, at the hands of whose claim its protection is', async () => {
    const { runs, ...parents } = await withProtection()
    const { protections } = current()
    const run = sampleRun(parents, { commitDeadline: noon + minute })
    await runs.create(run)
    const [owner, other] = ['job-1' as JobId, 'job-2' as JobId]
    expect(await runs.endClaimed(run.id, owner, noon)).toBe(false)
    const former = { state: 'protected', note: null, resumeState: null } as const
    await protections.updateNotes(parents.protectionId, { claim: { jobId: owner, former } })
    expect(await runs.endClaimed(run.id, other, noon)).toBe(false)
    expect(await runs.find(run.id)).toEqual(run)
    expect(await runs.endClaimed(run.id, owner, noon)).toBe(true)
    expect(await runs.endClaimed(run.id, owner, noon + minute)).toBe(true)
    const ended = { ...run, over: true, endedAt: noon, commitDeadline: null }
    expect(await runs.find(run.id)).toEqual(ended)
  })
  test('no run ends under a claim that is given up, which nobody but its owner does', async () => {
    const { runs, ...parents } = await withProtection()
    const { protections } = current()
    const run = sampleRun(parents)
    await runs.create(run)
    const [owner, other] = ['job-1' as JobId, 'job-2' as JobId]
    const claim = { jobId: owner, former: { state: 'protected', note: null, resumeState: null } } as const
    await protections.updateNotes(parents.protectionId, { claim })
    await protections.giveUpClaim(parents.protectionId, other)
    expect((await protections.notes(parents.protectionId)).claim).toEqual(claim)
    await protections.giveUpClaim(parents.protectionId, owner)
    expect((await protections.notes(parents.protectionId)).claim).toEqual({ ...claim, givenUp: true })
    expect(await runs.endClaimed(run.id, owner, noon)).toBe(false)
    expect(await runs.find(run.id)).toEqual(run)
  })
  test('the history of a protection is from new to old, and no longer than asked for', async () => {
    const { runs, ...parents } = await withProtection()
    const made = [0, 1, 2].map((index) => sampleRun(parents, { startedAt: noon + index * minute }))
    for (const run of made) await runs.create(run)
    const ids = made.map(({ id }) => id)
    expect((await runs.history(parents.protectionId, 2)).map(({ id }) => id)).toEqual([ids[2], ids[1]])
  })
  test('trimming drops tests that were over earlier, with their pictures, and no failover', async () => {
    const { runs, ...parents } = await withProtection()
    const over = { over: true, endedAt: noon } as const
    const old = sampleRun(parents, { kind: 'test', ...over })
    const kept = [
      sampleRun(parents, { kind: 'test', over: true, endedAt: noon + minute }),
      sampleRun(parents, { kind: 'test', over: false }),
      sampleRun(parents, { kind: 'planned', ...over }),
    ]
    for (const run of [old, ...kept]) await runs.create(run)
    await runs.saveScreenshot(old.id, Buffer.from([1]))
    expect(await runs.trim(noon + minute)).toBe(1)
    const left = await runs.history(parents.protectionId, 10)
    expect(left.map(({ id }) => id).sort()).toEqual(kept.map(({ id }) => id).sort())
    expect(await runs.screenshot(old.id)).toBeNull()
  })
  test('a screenshot is kept byte for byte, and the newer one wins', async () => {
    const { runs, ...parents } = await withProtection()
    const run = sampleRun(parents)
    await runs.create(run)
    expect(await runs.screenshot(run.id)).toBeNull()
    await runs.saveScreenshot(run.id, Buffer.from([1, 2, 3]))
    await runs.saveScreenshot(run.id, Buffer.from([0, 255, 10, 0]))
    expect(await runs.screenshot(run.id)).toEqual(Buffer.from([0, 255, 10, 0]))
    expect([...(await runs.withScreenshot([run.id, 'none' as typeof run.id]))]).toEqual([run.id])
  })
}

/** Reads all pages; `between` happens after the first. */
async function readPages<Row>(
  list: (page: PageRequest) => Promise<Page<Row>>,
  limit: number,
  between: () => Promise<void> = async () => {},
): Promise<Row[]> {
  const rows: Row[] = []
  let cursor: string | null = null
  for (let pages = 0; pages < 100; pages += 1) {
    const page: Page<Row> = await list({ limit, cursor })
    expect(page.rows.length).toBeLessThanOrEqual(limit)
    rows.push(...page.rows)
    if (page.next === null) return rows
    if (pages === 0) await between()
    cursor = page.next
  }
  throw new Error('the pages never end')
}

function durationTests(current: Current): void {
  test('how long a machine of a plan took leaves out what its boot waited for a person', async () => {
    const { runs, planRuns } = current()
    const { protection } = await addProtection(current())
    const parents = { protectionId: protection.id, targetSiteId: protection.targetSiteId }
    const boot = sampleRun(parents, { waitedSeconds: 200 })
    await runs.create(boot)
    const db = itemId('db')
    const plan = samplePlan([samplePlanGroup('all', { machines: [samplePlanMachine('db')] })])
    const run = samplePlanRun(plan, { state: 'succeeded', endedAt: noon + 240_000 })
    const activities = sampleActivities(run).map((each) => ({
      ...each,
      state: 'succeeded' as const,
      bootId: boot.id,
      startedAt: noon,
      endedAt: noon + 240_000,
    }))
    await planRuns.create(run, activities, {})
    expect(await planRuns.durations(plan.id, [run.kind], 5)).toEqual(new Map([[db, [40]]]))
  })
}

function jobTests(current: Current): void {
  const all: PageRequest = { limit: 100, cursor: null }
  test('a job comes back as it was created and takes changes', async () => {
    const { jobs } = current()
    const job = sampleJob()
    await jobs.create(job)
    expect(await jobs.find(job.id)).toEqual(job)
    const failure = {
      kind: 'outage',
      code: 'site/unreachable',
      message: 'No answer',
      remedy: 'Look.',
    } as const
    const question = { id: 'q', text: 'Go on?', answers: [{ value: 'yes', label: 'Yes', danger: true }] }
    await jobs.update(job.id, { state: 'failed', failure, question, endedAt: noon })
    expect(await jobs.find(job.id)).toEqual({ ...job, state: 'failed', failure, question, endedAt: noon })
  })
  test('a job that is made again stays as it is', async () => {
    const { jobs } = current()
    const job = sampleJob({ state: 'queued' })
    await jobs.create(job)
    await jobs.update(job.id, { state: 'running' })
    await jobs.create(job)
    expect(await jobs.find(job.id)).toEqual({ ...job, state: 'running' })
  })
  test('a job is failed from outside while it is active, and not once it is over', async () => {
    const { jobs } = current()
    const job = sampleJob({ state: 'running' })
    await jobs.create(job)
    const failure = { kind: 'outage', code: 'job/lost', message: 'Lost', remedy: 'Again.' } as const
    expect(await jobs.failActive(job.id, failure, noon)).toBe(true)
    expect(await jobs.find(job.id)).toEqual({ ...job, state: 'failed', failure, endedAt: noon })
    const over = sampleJob({ state: 'succeeded', endedAt: noon })
    await jobs.create(over)
    expect(await jobs.failActive(over.id, failure, noon + minute)).toBe(false)
    expect(await jobs.find(over.id)).toEqual(over)
    expect(await jobs.failActive('none' as JobId, failure, noon)).toBe(false)
  })
  test('the question of a job is taken away once, and only while it waits with it', async () => {
    const { jobs } = current()
    const question = {
      id: 'fence-1',
      text: 'Go on?',
      answers: [{ value: 'go-on', label: 'Yes', danger: true }],
    }
    const job = sampleJob({ state: 'waiting', question })
    await jobs.create(job)
    expect(await jobs.closeQuestion(job.id, 'fence-2')).toBe(false)
    expect((await jobs.find(job.id))?.question).toEqual(question)
    expect(await jobs.closeQuestion(job.id, 'fence-1')).toBe(true)
    expect(await jobs.find(job.id)).toEqual({ ...job, question: null })
    expect(await jobs.closeQuestion(job.id, 'fence-1')).toBe(false)
  })
  test('jobs are listed from new to old, by subject, state and kind', async () => {
    const { jobs } = current()
    const a = sampleJob({ kind: 'protect', createdAt: noon })
    const b = sampleJob({ kind: 'resync', createdAt: noon + minute, subjectId: a.subjectId })
    const c = sampleJob({ kind: 'protect', state: 'running', createdAt: noon + 2 * minute })
    for (const job of [a, b, c]) await jobs.create(job)
    const ids = async (filter: Parameters<typeof jobs.list>[0]) =>
      (await jobs.list(filter, all)).rows.map(({ id }) => id)
    expect(await ids({})).toEqual([c.id, b.id, a.id])
    expect(await ids({ subjectId: a.subjectId })).toEqual([b.id, a.id])
    expect(await ids({ states: ['running', 'waiting'] })).toEqual([c.id])
    expect(await ids({ kinds: ['protect'] })).toEqual([c.id, a.id])
    expect(await ids({ subjectId: a.subjectId, kinds: ['protect'] })).toEqual([a.id])
  })
  test('one job at a time works on a subject; what only watches and what ends it may be beside it', async () => {
    const { jobs } = current()
    const active = sampleJob({ kind: 'commit', state: 'running' })
    const { subjectId } = active
    const refused = { name: 'Refusal', code: 'job/another-works' }
    await jobs.create(active)
    for (const state of ['queued', 'running', 'waiting'] as const)
      await expect(jobs.create(sampleJob({ kind: 'roll-back', state, subjectId }))).rejects.toMatchObject(
        refused,
      )
    const failed = sampleJob({ kind: 'roll-back', state: 'failed', subjectId })
    await jobs.create(failed)
    await expect(jobs.update(failed.id, { state: 'running' })).rejects.toMatchObject(refused)
    // Twice each: they get in nobody's way, and not in each other's.
    for (const kind of [...harmlessKinds, ...harmlessKinds])
      await jobs.create(sampleJob({ kind, state: 'running', subjectId }))
    await jobs.create(sampleJob({ kind: 'end-protection', state: 'running', subjectId }))
    const secondEnd = sampleJob({ kind: 'end-protection', state: 'queued', subjectId })
    await expect(jobs.create(secondEnd)).rejects.toMatchObject(refused)
    await jobs.create(sampleJob({ kind: 'roll-back', state: 'running' }))
    await jobs.update(active.id, { state: 'waiting' })
    await jobs.update(active.id, { state: 'succeeded' })
    await jobs.update(failed.id, { state: 'running' })
    expect(await jobs.find(failed.id)).toMatchObject({ state: 'running' })
  })
  test('pages of jobs neither repeat nor skip a row while new ones come', async () => {
    const { jobs } = current()
    const old = Array.from({ length: 7 }, () => sampleJob())
    for (const job of old) await jobs.create(job)
    const rows = await readPages(
      (page) => jobs.list({}, page),
      3,
      () => jobs.create(sampleJob({ createdAt: noon + minute })),
    )
    expect(rows.map(({ id }) => id).sort()).toEqual(old.map(({ id }) => id).sort())
  })
  test('trimming drops jobs that ended earlier, and none that goes on', async () => {
    const { jobs } = current()
    const [ended, endedLater, running] = [sampleJob(), sampleJob(), sampleJob()]
    for (const job of [ended, endedLater, running]) await jobs.create(job)
    await jobs.update(ended.id, { state: 'succeeded', endedAt: noon })
    await jobs.update(endedLater.id, { state: 'failed', endedAt: noon + minute })
    expect(await jobs.trim(noon + minute)).toBe(1)
    expect(await jobs.find(ended.id)).toBeNull()
    expect(await jobs.find(endedLater.id)).not.toBeNull()
    expect(await jobs.find(running.id)).not.toBeNull()
  })
}

function eventTests(current: Current): void {
  test('events are listed from new to old, by subject, severity and code', async () => {
    const { events } = current()
    const a = sampleEvent({ severity: 'info', subjectId: 'one', at: noon })
    const b = sampleEvent({ severity: 'warning', subjectId: 'one', at: noon + 1 })
    const c = sampleEvent({ severity: 'critical', code: 'other/code', at: noon + 2 })
    for (const event of [a, b, c]) await events.append(event)
    const list = async (filter: Parameters<typeof events.list>[0]) =>
      (await events.list(filter, { limit: 100, cursor: null })).rows
    expect(await list({})).toEqual([c, b, a])
    expect(await list({ minimumSeverity: 'warning' })).toEqual([c, b])
    expect(await list({ subjectId: 'one' })).toEqual([b, a])
    expect(await list({ code: 'other/code' })).toEqual([c])
  })
  test('an event that is appended again stays as it was', async () => {
    const { events } = current()
    const event = sampleEvent()
    await events.append(event)
    await events.append({ ...event, at: noon + minute, message: 'again' })
    expect((await events.list({}, { limit: 10, cursor: null })).rows).toEqual([event])
  })
  test('pages of events neither repeat nor skip a row, even of one instant', async () => {
    const { events } = current()
    const made = Array.from({ length: 10 }, () => sampleEvent())
    for (const event of made) await events.append(event)
    const rows = await readPages(
      (page) => events.list({}, page),
      4,
      () => events.append(sampleEvent({ at: noon + 1 })),
    )
    expect(rows.map(({ id }) => id).sort()).toEqual(made.map(({ id }) => id).sort())
  })
  test('trimming drops what is older and says how much', async () => {
    const { events } = current()
    for (const at of [noon, noon + 1, noon + 2]) await events.append(sampleEvent({ at }))
    expect(await events.trim(noon + 2)).toBe(2)
    expect(await events.trim(noon + 2)).toBe(0)
    const { rows } = await events.list({}, { limit: 10, cursor: null })
    expect(rows.map(({ at }) => at)).toEqual([noon + 2])
  })
}

function alertTests(current: Current): void {
  const all: PageRequest = { limit: 100, cursor: null }
  test('one alert is open per code and subject, and raised again it says what is so now', async () => {
    const { alerts } = current()
    const alert = sampleAlert({ subjectId: 'one' })
    expect(await alerts.raise(alert)).toBe('new')
    expect(await alerts.raise(sampleAlert({ subjectId: 'one', message: 'Other', remedy: 'Do that.' }))).toBe(
      'known',
    )
    expect(await alerts.raise(sampleAlert({ subjectId: 'two' }))).toBe('new')
    expect(await alerts.raise(sampleAlert({ subjectId: 'one', code: 'other/code' }))).toBe('new')
    const { rows } = await alerts.list({ open: true }, all)
    expect(rows).toHaveLength(3)
    expect(rows.find(({ id }) => id === alert.id)).toEqual({ ...alert, message: 'Other', remedy: 'Do that.' })
  })
  test('an alert that becomes graver was acknowledged by nobody; one that eases stays acknowledged', async () => {
    const { alerts } = current()
    const raise = (severity: Alert['severity']) =>
      alerts.raise(sampleAlert({ subjectId: 'one', severity, message: severity }))
    const open = async () => (await alerts.list({ open: true }, all)).rows[0]
    expect(await raise('warning')).toBe('new')
    await alerts.acknowledge((await open())?.id ?? ('' as Alert['id']), 'ada')
    expect(await raise('critical')).toBe('graver')
    expect(await open()).toMatchObject({ severity: 'critical', message: 'critical', acknowledgedBy: null })
    await alerts.acknowledge((await open())?.id ?? ('' as Alert['id']), 'ada')
    expect(await raise('critical')).toBe('known')
    expect(await raise('warning')).toBe('known')
    expect(await open()).toMatchObject({ severity: 'warning', acknowledgedBy: 'ada' })
  })
  test('an alert without a subject is open once too', async () => {
    const { alerts } = current()
    expect(await alerts.raise(sampleAlert())).toBe('new')
    expect(await alerts.raise(sampleAlert())).toBe('known')
    expect(await alerts.resolve('protection/lag', null, noon)).toBe(true)
    expect(await alerts.resolve('protection/lag', null, noon)).toBe(false)
  })
  test('of many that raise one alert at the same moment one is new', async () => {
    const { alerts } = current()
    const raised = Array.from({ length: 6 }, () => alerts.raise(sampleAlert({ subjectId: 'one' })))
    expect((await Promise.all(raised)).filter((each) => each === 'new')).toHaveLength(1)
    expect((await alerts.list({}, all)).rows).toHaveLength(1)
  })
  test('a resolved alert stays in the list, and the next one is new', async () => {
    const { alerts } = current()
    const first = sampleAlert({ subjectId: 'one' })
    await alerts.raise(first)
    await alerts.acknowledge(first.id, 'ada')
    expect(await alerts.findOpen(first.code, 'one')).toMatchObject({ id: first.id })
    expect(await alerts.findOpen(first.code, null)).toBeNull()
    expect(await alerts.resolve(first.code, 'one', noon + minute)).toBe(true)
    expect(await alerts.findOpen(first.code, 'one')).toBeNull()
    const second = sampleAlert({ subjectId: 'one', raisedAt: noon + 2 * minute })
    expect(await alerts.raise(second)).toBe('new')
    const closed = { ...first, acknowledgedBy: 'ada', resolvedAt: noon + minute }
    expect((await alerts.list({}, all)).rows).toEqual([second, closed])
    expect((await alerts.list({ open: true }, all)).rows).toEqual([second])
    expect((await alerts.list({ open: false }, all)).rows).toEqual([closed])
  })
  test('everything open about a subject is resolved at once, and trimmed when it is old', async () => {
    const { alerts } = current()
    await alerts.raise(sampleAlert({ subjectId: 'one' }))
    await alerts.raise(sampleAlert({ subjectId: 'one', code: 'other/code' }))
    const other = sampleAlert({ subjectId: 'two' })
    await alerts.raise(other)
    expect(await alerts.resolveAll('one', noon + minute)).toBe(2)
    expect(await alerts.resolveAll('one', noon + minute)).toBe(0)
    expect((await alerts.list({ open: true }, all)).rows).toEqual([other])
    expect(await alerts.trim(noon + minute)).toBe(0)
    expect(await alerts.trim(noon + 2 * minute)).toBe(2)
    expect((await alerts.list({}, all)).rows).toEqual([other])
    expect(await alerts.raise(sampleAlert({ subjectId: 'one' }))).toBe('new')
  })

  test('of whom one is open is told at once, by its code', async () => {
    const { alerts } = current()
    const code = 'open/subjects'
    for (const subjectId of ['one', 'two', 'three', null])
      await alerts.raise(sampleAlert({ code, subjectId }))
    await alerts.raise(sampleAlert({ code: 'open/other', subjectId: 'four' }))
    await alerts.resolve(code, 'two', noon + minute)
    expect(await alerts.openSubjects(code)).toEqual(new Set(['one', 'three']))
  })
}

function leaseTests(current: Current): void {
  const later = noon + minute
  const addMany = async (count: number): Promise<ProtectionId[]> => {
    const ids: ProtectionId[] = []
    for (let index = 0; index < count; index += 1) {
      const { protection } = await addProtection(current(), { state: 'protected', createdAt: noon + index })
      ids.push(protection.id)
    }
    return ids.sort()
  }
  test('a mover takes what nobody has, no more than it asked for, and keeps it', async () => {
    const { leases } = current()
    const ids = await addMany(3)
    await leases.beat('mover-a', noon, later)
    const first = await leases.claim('mover-a', noon, 2)
    expect(first).toHaveLength(2)
    const second = await leases.claim('mover-a', noon, 5)
    expect([...first, ...second].sort()).toEqual(ids)
    expect([...(await leases.held('mover-a'))].sort()).toEqual(ids)
    await leases.beat('mover-b', noon, later)
    expect(await leases.claim('mover-b', noon, 5)).toEqual([])
  })
  test('what movers claim at the same moment is shared out without overlap', async () => {
    const { leases } = current()
    const ids = await addMany(6)
    const movers = ['mover-a', 'mover-b', 'mover-c']
    for (const mover of movers) await leases.beat(mover, noon, later)
    const claims = await Promise.all(movers.map((mover) => leases.claim(mover, noon, 6)))
    expect(claims.flat().sort()).toEqual(ids)
    for (const [index, mover] of movers.entries())
      expect([...(await leases.held(mover))].sort()).toEqual([...(claims[index] ?? [])].sort())
  })
  test('a mover whose heartbeat expired loses everything to whoever claims it', async () => {
    const { leases } = current()
    const ids = await addMany(2)
    await leases.beat('mover-a', noon, later)
    await leases.claim('mover-a', noon, 5)
    await leases.beat('mover-b', later, later + minute)
    expect(await leases.claim('mover-b', later - 1, 5)).toEqual([])
    expect([...(await leases.claim('mover-b', later, 5))].sort()).toEqual(ids)
    expect(await leases.held('mover-a')).toEqual([])
  })
  test('a mover that beats on time keeps its protections', async () => {
    const { leases } = current()
    const ids = await addMany(1)
    await leases.beat('mover-a', noon, later)
    await leases.claim('mover-a', noon, 5)
    await leases.beat('mover-a', later - 1, later + minute)
    await leases.beat('mover-b', later, later + minute)
    expect(await leases.claim('mover-b', later, 5)).toEqual([])
    expect(await leases.held('mover-a')).toEqual(ids)
  })
  test('a mover gives back one, or all when it leaves, and never what another has', async () => {
    const { leases } = current()
    const ids = await addMany(2)
    await leases.beat('mover-a', noon, later)
    await leases.beat('mover-b', noon, later)
    await leases.claim('mover-a', noon, 5)
    const first = present(ids[0], 'there are two')
    await leases.release('mover-b', first)
    expect(await leases.claim('mover-b', noon, 5)).toEqual([])
    await leases.release('mover-a', first)
    expect(await leases.claim('mover-b', noon, 5)).toEqual([first])
    await leases.leave('mover-a')
    expect(await leases.held('mover-b')).toEqual([first])
    expect(await leases.claim('mover-b', noon, 5)).toEqual(ids.slice(1))
  })
  test('a machine whose group another living mover has is left to that one, which takes it first', async () => {
    const { leases, groups } = current()
    const group = sampleGroup()
    await groups.create(group)
    const change = { state: 'protected', groupId: group.id } as const
    const { protection: first } = await addProtection(current(), { ...change, createdAt: noon })
    await leases.beat('mover-a', noon, later)
    await leases.beat('mover-b', noon, later)
    expect(await leases.claim('mover-a', noon, 5)).toEqual([first.id])
    await addProtection(current(), { state: 'protected', createdAt: noon + 1 })
    const { protection: mate } = await addProtection(current(), { ...change, createdAt: noon + 2 })
    expect(await leases.claim('mover-b', noon, 5)).not.toContain(mate.id)
    expect(await leases.claim('mover-a', noon, 1)).toEqual([mate.id])
    const holders = [first.id, mate.id].map((id) => [id, 'mover-a'] as const)
    expect(await leases.groupHolders(noon)).toEqual(new Map(holders))
    // A dead one keeps nobody away.
    await leases.beat('mover-b', later, later + minute)
    expect(await leases.groupHolders(later)).toEqual(new Map())
    expect([...(await leases.claim('mover-b', later, 5))].sort()).toEqual([first.id, mate.id].sort())
  })
  test('a paused mate at another mover keeps nobody away', async () => {
    const { leases, groups, protections } = current()
    const group = sampleGroup()
    await groups.create(group)
    const change = { state: 'protected', groupId: group.id } as const
    const { protection: oldest } = await addProtection(current(), { ...change, createdAt: noon })
    await leases.beat('mover-a', noon, later)
    await leases.beat('mover-b', noon, later)
    expect(await leases.claim('mover-a', noon, 5)).toEqual([oldest.id])
    const { protection: paused } = await addProtection(current(), { state: 'paused', createdAt: noon + 1 })
    expect(await leases.claim('mover-b', noon, 5)).toEqual([paused.id])
    await protections.update(paused.id, { groupId: group.id })
    const { protection: late } = await addProtection(current(), { ...change, createdAt: noon + 2 })
    expect(await leases.claim('mover-b', noon, 5)).toEqual([])
    expect(await leases.claim('mover-a', noon, 5)).toEqual([late.id])
  })
  test('a machine of a group that is failed over is taken up by whoever comes, wherever its mates are', async () => {
    const { leases, groups } = current()
    const group = sampleGroup()
    await groups.create(group)
    const { protection: mate } = await addProtection(current(), { state: 'protected', groupId: group.id })
    await leases.beat('mover-a', noon, later)
    await leases.beat('mover-b', noon, later)
    expect(await leases.claim('mover-a', noon, 5)).toEqual([mate.id])
    const { protection: orphan } = await addProtection(current(), { state: 'failedOver', groupId: group.id })
    expect(await leases.claim('mover-b', noon, 5)).toEqual([orphan.id])
  })
  test('movers are listed with their heartbeat and load, and without those that left', async () => {
    const { leases } = current()
    await addMany(2)
    await leases.beat('mover-a', noon, later)
    await leases.claim('mover-a', noon, 5)
    await leases.beat('mover-b', noon + 1, later + 1)
    const rows = [...(await leases.movers())].sort((a, b) => a.id.localeCompare(b.id))
    expect(rows).toEqual([
      { id: 'mover-a', beatAt: noon, expiresAt: later, protections: 2 },
      { id: 'mover-b', beatAt: noon + 1, expiresAt: later + 1, protections: 0 },
    ])
    await leases.leave('mover-b')
    expect((await leases.movers()).map(({ id }) => id)).toEqual(['mover-a'])
  })
  test('a protection that is removed is held by nobody', async () => {
    const { leases, protections } = current()
    const [id] = await addMany(1)
    await leases.beat('mover-a', noon, later)
    await leases.claim('mover-a', noon, 5)
    await protections.remove(present(id, 'there is one'))
    expect(await leases.held('mover-a')).toEqual([])
    expect((await leases.movers())[0]?.protections).toBe(0)
  })
}
