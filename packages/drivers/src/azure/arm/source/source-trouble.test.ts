// Every trouble of the way back, in its words, and what comes after it.
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import {
  anywhere,
  applyChanges,
  collectExtents,
  expectEqual,
  openOne,
  readDisks,
  request,
  takeFirstPoint,
  testBoot,
  testRun,
} from '@understudy/simulator/contracts/platform-harness'
import { expect, test } from 'vitest'
import type { Json, Resource } from '../double/double-parts.ts'
import { type TestSite, testSite } from '../test-site.ts'
import { azureSource } from './azure-source.ts'
import { markTags } from './marks.ts'

const SNAPSHOT = 'Microsoft.Compute/snapshots'
const key = 'os' as DiskKey
const crash = (ref: MachineRef, since: string | null) => ({
  machines: [request(ref, since)],
  consistency: 'crash' as const,
})

async function tracked(): Promise<{ site: TestSite; ref: MachineRef; checkpoint: string; content: Buffer }> {
  const site = await testSite()
  const ref = await site.addMachine('web', [2 * MiB])
  await site.writeToDisk(ref, key, 4096, Buffer.alloc(8192, 5))
  const { checkpoint, content } = await takeFirstPoint(site.source, request(ref, null))
  return { site, ref, checkpoint, content: present(content.get(key), 'read') }
}

const snapshots = (site: TestSite): readonly Resource[] => site.double.ofType(SNAPSHOT)

test('a snapshot that somebody has deleted is lost tracking, with the disk that it is about', async () => {
  const { site, ref, checkpoint } = await tracked()
  for (const { id } of snapshots(site)) site.double.site.resources.delete(id.toLowerCase())
  expect(await site.source.openPoint(crash(ref, checkpoint))).toMatchObject({
    kind: 'tracking-lost',
    reason: {
      code: 'tracking/lost',
      message: expect.stringMatching(/disk os of web is compared with is not there/),
    },
  })
})

test('a snapshot of the same name and tags that is another one is not compared with', async () => {
  const { site, ref, checkpoint } = await tracked()
  const [snapshot] = snapshots(site)
  present(snapshot, 'one').properties.uniqueId = '00000000-0000-4000-8000-00000000000f'
  expect((await site.source.openPoint(crash(ref, checkpoint))).kind).toBe('tracking-lost')
})

test('a comparison that Azure refuses is lost tracking, and the marks that were to be go again', async () => {
  const { site, ref, checkpoint } = await tracked()
  const before = snapshots(site).map(({ name }) => name)
  site.double.fault = ({ path }) =>
    path.startsWith('/md-snapshots/')
      ? { kind: 'answer', status: 409, code: 'FeatureNotSupported', message: 'no' }
      : null
  // The double's faults speak JSON, as Resource Manager does; what counts is the status.
  const result = await site.source.openPoint(crash(ref, checkpoint))
  expect(result).toMatchObject({ kind: 'tracking-lost', ref })
  expect(snapshots(site).map(({ name }) => name)).toEqual(before)
  expect(snapshots(site).filter(({ signature }) => signature !== undefined)).toEqual([])
})

test('another disk in the place of the first counts as wholly changed', async () => {
  const { site, ref, checkpoint } = await tracked()
  const disk = present(site.double.ofType('Microsoft.Compute/disks')[0], 'one')
  disk.properties.uniqueId = '00000000-0000-4000-8000-00000000000e'
  const { point, disks } = await openOne(site.source, request(ref, checkpoint))
  const { content, changedBytes } = await applyChanges(Buffer.alloc(2 * MiB, 0xee), present(disks[0], 'one'))
  expect(changedBytes).toBe(2 * MiB)
  expectEqual(content, await site.diskOf(ref, key).read(0, 2 * MiB), 'the disk')
  await point.release(true)
})

test('an address that has expired is asked for again', async () => {
  const { site, ref, content } = await tracked()
  const { point, disks } = await openOne(site.source, request(ref, null))
  const { reader } = present(disks[0], 'one')
  await reader.read(0, 512)
  for (const snapshot of snapshots(site)) delete snapshot.signature
  expectEqual(await reader.read(0, 2 * MiB), content, 'the disk')
  await point.release(false)
  expect(snapshots(site)).toEqual([])
})

test('a storage that is busy or breaks off is asked again', async () => {
  const { site, ref, checkpoint, content } = await tracked()
  let count = 0
  site.double.fault = ({ path }) => {
    if (!path.startsWith('/md-snapshots/')) return null
    count += 1
    if (count % 3 === 1) return { kind: 'no-line' }
    return count % 3 === 2 ? { kind: 'answer', status: 503, code: 'ServerBusy', message: 'busy' } : null
  }
  const { point, disks } = await openOne(site.source, request(ref, checkpoint))
  expectEqual(present((await readDisks(disks)).get(key), 'read'), content, 'the disk')
  await point.release(true)
})

test('more of our snapshots than Azure lets anybody read is an outage, and nothing is left', async () => {
  const { site, ref, checkpoint } = await tracked()
  site.double.fault = ({ path }) =>
    path.endsWith('/beginGetAccess')
      ? {
          kind: 'answer',
          status: 409,
          code: 'OperationNotAllowed',
          message: '5 snapshots of the family are being read already.',
        }
      : null
  await expect(site.source.openPoint(crash(ref, checkpoint))).rejects.toMatchObject({
    name: 'Outage',
    code: 'azure/busy',
  })
  site.double.fault = () => null
  const { point } = await openOne(site.source, request(ref, checkpoint))
  await point.release(true)
  expect(snapshots(site)).toHaveLength(1)
})

test('what carries our tags under another name is left alone, whatever ends', async () => {
  const { site, ref } = await tracked()
  const subject = { kind: 'machine', name: 'web' } as const
  const disk = present(site.double.ofType('Microsoft.Compute/disks')[0], 'one')
  await site.double.place({
    type: SNAPSHOT,
    name: 'kept-by-olga',
    tags: markTags({ subject, trackingId: 'owner-1', mark: 'old', disk: key }),
    properties: { incremental: true, creationData: { createOption: 'Copy', sourceResourceId: disk.id } },
  })
  await takeFirstPoint(site.source, request(ref, null))
  await site.source.stopTracking(ref, 'owner-1')
  expect(snapshots(site).map(({ name }) => name)).toEqual(['kept-by-olga'])
})

test('a disk that cannot be read says so before anything is protected, and can be left out', async () => {
  const site = await testSite()
  const ref = await site.addMachine('web', [MiB, MiB])
  const disk = present(site.double.ofType('Microsoft.Compute/disks')[1], 'two')
  disk.sku = { name: 'UltraSSD_LRS' }
  const { findings } = await site.source.eligibility(ref)
  expect(findings).toMatchObject([{ level: 'blocker', code: 'azure/disk-kind', disk: 'lun0' }])
  await expect(site.source.openPoint(crash(ref, null))).rejects.toMatchObject({ code: 'azure/disk-kind' })
  const excludedDisks = ['lun0' as DiskKey]
  const { point, disks } = await openOne(site.source, request(ref, null, { excludedDisks }))
  expect(disks.map((one) => one.key)).toEqual(['os'])
  await point.release(false)
})

test('a point of several disks of a machine that runs says that they are not one instant, of one that is off it does not', async () => {
  const site = await testSite()
  const ref = await site.addMachine('web', [MiB, MiB])
  const { point } = await openOne(site.source, request(ref, null))
  expect(point.consistencyNote).toMatch(/2 disks one by one/)
  await point.release(false)
  await site.source.shutDown(ref, { timeoutSeconds: 60 })
  const stopped = await openOne(site.source, request(ref, null))
  expect(stopped.point.consistencyNote).toBeNull()
  await stopped.point.release(false)
})

test('disks of a run are called as in its point, and are as large, though Azure rounds them up', async () => {
  const site = await testSite()
  const runId = testRun('keys')
  const { spec } = testBoot([Buffer.alloc(MiB + 512, 3)], {
    runId,
    network: site.openSubnet,
    trackingId: 'owner-1',
  })
  const renamed = { ...spec, disks: spec.disks.map((disk) => ({ ...disk, key: 'vda' as DiskKey })) }
  const { ref, checkpoint } = await site.target.boot(renamed)
  const [machine] = await site.source.inventory()
  expect(machine).toMatchObject({ ref, ownedBy: runId, power: 'running' })
  expect(machine?.hardware.disks).toMatchObject([{ key: 'vda', bytes: MiB + 512, boot: true }])
  const { point, disks } = await openOne(site.source, request(ref, checkpoint))
  expect(disks).toMatchObject([{ key: 'vda', bytes: MiB + 512 }])
  await point.release(true)
  await site.target.destroy(runId, anywhere)
  expect(snapshots(site)).toEqual([])
})

test('a disk that a machine has had gets no base: the way back compares everything', async () => {
  const site = await testSite()
  const runId = testRun('no-base')
  const boot = () =>
    testBoot([Buffer.alloc(MiB, 3)], {
      runId,
      network: site.openSubnet,
      trackingId: 'owner-1',
      mode: 'failover',
    }).spec
  const first = await site.target.boot(boot())
  expect(first.checkpoint).not.toBeNull()
  for (const { id } of snapshots(site)) site.double.site.resources.delete(id.toLowerCase())
  expect((await site.target.boot(boot())).checkpoint).toBeNull()
  // Nor when the machine has to be made anew of disks that a guest has written to.
  site.double.site.resources.delete(first.ref)
  for (const { properties, type } of site.double.site.resources.values() as Iterable<Json & Resource>) {
    if (type === 'Microsoft.Compute/disks') properties.diskState = 'Unattached'
    delete properties.virtualMachine
  }
  expect((await site.target.boot(boot())).checkpoint).toBeNull()
  expect(snapshots(site)).toEqual([])
})

test('a machine that Azure does not shut down in time is an outage, and it is told that it is on', async () => {
  const { site, ref } = await tracked()
  site.double.fault = ({ path }) => (path.endsWith('/deallocate') ? { kind: 'work-endless' } : null)
  await expect(site.source.shutDown(ref, { timeoutSeconds: 0.2 })).rejects.toMatchObject({
    name: 'Outage',
    code: 'machine/still-on',
  })
  expect(await site.source.powerState(ref)).toBe('running')
})

test('what Azure tells beyond the end of the disk, and told twice, is no change of the disk', async () => {
  const { site, ref, checkpoint } = await tracked()
  const pages = {
    ...site.sourceParts.pages,
    changedPages: async () => ({
      written: [{ offset: MiB, bytes: MiB + 512 }],
      cleared: [{ offset: 0, bytes: MiB + 4096 }],
    }),
  }
  const source = azureSource({ ...site.sourceParts, pages })
  const { point, disks } = await openOne(source, request(ref, checkpoint))
  expect(await collectExtents(present(disks[0], 'one').changed(), 2 * MiB)).toEqual([
    { offset: 0, bytes: MiB, kind: 'zero' },
    { offset: MiB, bytes: MiB, kind: 'data' },
  ])
  await point.release(false)
})

test('a list of changes that comes in parts is read to its end', async () => {
  const { site, ref, checkpoint, content } = await tracked()
  for (let page = 0; page < 60; page += 1)
    await site.writeToDisk(ref, key, page * 32 * 1024, Buffer.alloc(512, page + 1))
  const { point, disks } = await openOne(site.source, request(ref, checkpoint))
  const { content: applied, changedBytes } = await applyChanges(content, present(disks[0], 'one'))
  expect(changedBytes).toBe(60 * 512)
  expectEqual(applied, await site.diskOf(ref, key).read(0, 2 * MiB), 'the disk')
  await point.release(true)
})

test('a point whose release has failed is let go when it is asked again', async () => {
  const { site, ref } = await tracked()
  const { point } = await openOne(site.source, request(ref, null))
  const made = snapshots(site).length
  const [machine] = point.machines
  site.double.fault = ({ method, path }) =>
    method === 'DELETE' && path.includes('/snapshots/')
      ? { kind: 'answer', status: 403, code: 'AuthorizationFailed', message: 'no right to delete' }
      : null
  await expect(machine?.release(false)).rejects.toThrow()
  site.double.fault = () => null
  await machine?.release(false)
  expect(snapshots(site)).toHaveLength(made - 1)
})
