import { GiB } from '@understudy/base/bytes'
import { expect, test } from 'vitest'
import type { DiskKey, MachineRef } from '../machines/machine.ts'
import type { SiteId } from '../sites/site.ts'
import { assignDisks, proposeDisks, type ReceiverDisk, runsElsewhere } from './receiver.ts'

const key = (text: string): DiskKey => text as DiskKey
const there = (path: string, bytes: number, change: Partial<ReceiverDisk> = {}): ReceiverDisk => ({
  path,
  bytes,
  model: 'M',
  serial: path,
  bus: 'sata',
  key: key(path),
  keyIsStable: false,
  blocked: null,
  ...change,
})
const disk = (name: string, bytes: number) => ({ key: key(name), label: name, bytes })
const proposed = (...given: Parameters<typeof proposeDisks>) =>
  [...proposeDisks(...given).values()].map((each) => each?.path ?? null)

test('a disk goes to itself wherever it is plugged in now, also when another one has its size', () => {
  const disks = [
    there('/dev/sda', 8 * GiB),
    there('/dev/sdb', 16 * GiB, { key: key('wwn-1'), keyIsStable: true }),
  ]
  expect(proposed([disk('wwn-1', 8 * GiB)], disks)).toEqual(['/dev/sdb'])
  // A name like sda is that of a place.
  expect(proposed([disk('/dev/sdc', 8 * GiB)], [there('/dev/sdc', 16 * GiB), ...disks])).toEqual(['/dev/sda'])
})
test('the same size comes before the smallest that is big enough, and none is used twice', () => {
  const disks = [there('/dev/sda', 32 * GiB), there('/dev/sdb', 16 * GiB), there('/dev/sdc', 8 * GiB)]
  const wanted = [disk('a', 10 * GiB), disk('b', 16 * GiB), disk('c', 20 * GiB)]
  expect(proposed(wanted, disks)).toEqual(['/dev/sda', '/dev/sdb', null])
})
test('what is in use, or too small, is not proposed', () => {
  const disks = [there('/dev/sda', 8 * GiB, { blocked: 'it is mounted' }), there('/dev/sdb', 4 * GiB)]
  expect(proposed([disk('a', 8 * GiB)], disks)).toEqual([null])
})

const chosen = (name: string, from: ReceiverDisk) => ({
  key: key(name),
  path: from.path,
  bytes: from.bytes,
  serial: from.serial,
})
test('a choice is kept with what tells the disks apart', () => {
  const sda = there('/dev/sda', 8 * GiB)
  expect(assignDisks([disk('a', 8 * GiB)], [sda], [chosen('a', sda)])).toEqual([
    { key: 'a', path: '/dev/sda', bytes: 8 * GiB, model: 'M', serial: '/dev/sda' },
  ])
})
const sda = there('/dev/sda', 8 * GiB)
const sdb = there('/dev/sdb', 8 * GiB, { blocked: 'it is mounted at /mnt' })
test.each([
  ['nothing at all', [], 'receiver/nothing-chosen'],
  ['one disk for two', [chosen('a', sda), chosen('b', sda)], 'receiver/disk-twice'],
  ['two for one disk', [chosen('a', sda), { ...chosen('a', sda), path: '/dev/sdx' }], 'receiver/disk-twice'],
  ['a disk that the server has not', [chosen('z', sda)], 'receiver/no-such-disk'],
  ['one that is gone', [{ ...chosen('a', sda), path: '/dev/sdx' }], 'receiver/disk-changed'],
  ['another one at its place', [{ ...chosen('a', sda), serial: 'other' }], 'receiver/disk-changed'],
  ['one in use', [chosen('a', sdb)], 'receiver/disk-in-use'],
  ['one that is too small', [chosen('b', sda)], 'receiver/disk-too-small'],
])('%s is refused', (_what, choice, code) => {
  const wanted = [disk('a', 8 * GiB), disk('b', 8 * GiB + 512)]
  expect(() => assignDisks(wanted, [sda, sdb], choice)).toThrow(expect.objectContaining({ code }))
})

test('only a server that runs as its replica may be written, before and after its direction turned', () => {
  const site = 'home' as SiteId
  const ref = 'db' as MachineRef
  const forward = {
    direction: 'forward' as const,
    sourceSiteId: site,
    sourceRef: ref,
    targetSiteId: 'away' as SiteId,
    originalRef: null,
  }
  const of = (change: object) => runsElsewhere(site, ref, { ...forward, state: 'protected', ...change })
  expect(of({})).toBe(false)
  expect(of({ state: 'failedOver' })).toBe(true)
  expect(of({ state: 'committed' })).toBe(true)
  expect(of({ state: 'committed', sourceRef: 'other' })).toBe(false)
  const reverse = { sourceSiteId: 'away', sourceRef: 'vm', targetSiteId: site, originalRef: ref }
  expect(of(reverse)).toBe(true)
  expect(of({ ...reverse, originalRef: null })).toBe(false)
  expect(of({ ...reverse, state: 'gone' })).toBe(false)
})
