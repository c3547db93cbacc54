import { randomInt } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { KiB, MiB } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import { copyExtents } from '@understudy/block/copy-extents'
import type { MappedExtent } from '@understudy/block/device'
import { totalBytes } from '@understudy/block/extents'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type {
  OpenPointRequest,
  SourceDisk,
  SourcePlatform,
  SourcePoint,
} from '@understudy/engine/ports/source-platform'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readBlockGraph } from './block-graph.ts'
import type { Host } from './host.ts'
import { localHost } from './local-host.ts'
import { machineDirectory } from './machine-directory.ts'
import { visit, withMonitor } from './monitor.ts'
import { processOf } from './power.ts'
import { kvmSource } from './source.ts'
import { type TinyMachine, type TinySite, tinySite } from './tiny-machine.ts'

let site: TinySite
beforeEach(async () => {
  site = await tinySite()
})
afterEach(() => site.close())

/** A source with no memory of anything: what a new process has. */
const freshSource = ({
  host = site.host,
  others = [],
  ...options
}: {
  scratchBytes?: number
  host?: Host
  others?: readonly Host[]
} = {}): SourcePlatform =>
  kvmSource({
    hosts: [host, ...others],
    directory: machineDirectory([host, ...others], ({ error }) => {
      throw error
    }),
    clock: { now: () => Date.now() },
    bootDeadlineSeconds: 30,
    ...options,
  })

const TRACKING = 'p1'
type Ask = { since: string | null; trackingId?: string; excludedDisks?: DiskKey[] }

const request = (
  machine: TinyMachine,
  { since, trackingId = TRACKING, excludedDisks = [] }: Ask,
): OpenPointRequest => ({
  machines: [{ ref: machine.ref, trackingId, since, excludedDisks }],
  consistency: 'crash',
})

async function open(source: SourcePlatform, machine: TinyMachine, ask: Ask): Promise<SourcePoint> {
  const result = await source.openPoint(request(machine, ask))
  if (result.kind !== 'opened') throw new Error(`${result.reason.code}: ${result.reason.message}`)
  return result.point
}

const checkpointOf = (point: SourcePoint): string => point.machines[0]?.checkpoint ?? 'none'
const disksOf = (point: SourcePoint): readonly SourceDisk[] => point.machines[0]?.disks ?? []

async function changes(disk: SourceDisk | undefined): Promise<MappedExtent[]> {
  const extents: MappedExtent[] = []
  if (disk !== undefined) for await (const extent of disk.changed()) extents.push(extent)
  return extents
}

/** A replica as a cycle makes it: nothing but what `changed` names is ever copied. */
class Replica {
  readonly disks = new Map<string, Buffer>()
  readBytes = 0

  async take(disks: readonly SourceDisk[]): Promise<void> {
    for (const disk of disks) {
      const content = Buffer.alloc(disk.bytes)
      this.disks.get(disk.key)?.copy(content)
      this.disks.set(disk.key, content)
      const totals = await copyExtents({
        from: disk.reader,
        to: {
          write: async (offset, data) => {
            data.copy(content, offset)
          },
          zero: async (offset, bytes) => {
            content.fill(0, offset, offset + bytes)
          },
        },
        extents: disk.changed(),
      })
      this.readBytes += totals.readBytes
    }
  }
  equals(key: string, content: Buffer): boolean {
    return this.disks.get(key)?.equals(content) === true
  }
}

/** Everything of ours that is inside QEMU or beside it, bitmaps aside. */
async function leftovers(machine: TinyMachine): Promise<string[]> {
  const nodes = await withMonitor(machine.location, async (qmp) => [...(await readBlockGraph(qmp)).nodeNames])
  const exports = await machine.query<{ id: string }[]>('query-block-exports')
  const objects = await machine.query<{ name: string }[]>('qom-list', { path: '/objects' })
  const files = await readdir(machine.location.folder)
  return [
    ...nodes.filter((name) => name.startsWith('us-')),
    ...exports.map(({ id }) => id),
    ...objects.map(({ name }) => name).filter((name) => name.startsWith('us-held')),
    ...files.filter((name) => name.startsWith('us-scr')),
  ]
}

async function bitmapNames(machine: TinyMachine): Promise<string[]> {
  const { disks } = await withMonitor(machine.location, readBlockGraph)
  return disks.flatMap((disk) => disk.bitmaps.map(({ name }) => name))
}

const status = async (machine: TinyMachine): Promise<string> =>
  (await machine.query<{ status: string }>('query-status')).status

const twoDisks = [
  { key: 'system', format: 'qcow2', bytes: 24 * MiB },
  { key: 'data', format: 'raw', bytes: 16 * MiB },
] as const

describe('a point of a running machine', () => {
  test('shows all disks at one instant, whatever is written afterwards, and names zeros where they are known', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    await machine.write('system', MiB, 64 * KiB, 0x11)
    await machine.write('data', 4 * KiB, 4 * KiB, 0x22)
    const then = new Map(['system', 'data'].map((key) => [key, Buffer.from(machine.model(key))]))

    const point = await open(freshSource(), machine, { since: null })
    const system = await changes(disksOf(point)[0])
    await machine.write('system', 0, 2 * MiB, 0x33)
    await machine.discard('data', 0, MiB)
    const replica = new Replica()
    await replica.take(disksOf(point))

    for (const [key, content] of then) expect(replica.equals(key, content), key).toBe(true)
    expect(totalBytes(system)).toBe(24 * MiB)
    expect(totalBytes(system.filter(({ kind }) => kind === 'data'))).toBe(64 * KiB)
    expect(point.pauseMilliseconds).toBeGreaterThan(0)
    expect(await status(machine)).toBe('running')
    await point.release(true)
    expect(await leftovers(machine)).toEqual([])
    expect(await bitmapNames(machine)).toEqual([
      expect.stringMatching(/^us-p1-000001-/),
      expect.stringMatching(/^us-p1-000001-/),
    ])
  })

  test.each(['discard', 'zero'] as const)(
    'keeps what the guest makes zeros of afterwards (%s)',
    async (way) => {
      const machine = await site.add('alpha', twoDisks)
      await machine.start()
      await machine.write('system', MiB, MiB, 0x11)
      await machine.write('data', 0, 64 * KiB, 0x22)
      const then = new Map(['system', 'data'].map((key) => [key, Buffer.from(machine.model(key))]))
      const point = await open(freshSource(), machine, { since: null })
      await machine[way]('system', 0, 4 * MiB)
      await machine[way]('data', 0, MiB)
      const replica = new Replica()
      await replica.take(disksOf(point))
      for (const [key, content] of then) expect(replica.equals(key, content), key).toBe(true)
      await point.release(true)
      expect(await leftovers(machine)).toEqual([])
    },
  )

  test.each(['write', 'discard'] as const)(
    'reads across the edge of what the guest changes afterwards as it was, on both sides (%s)',
    async (way) => {
      const machine = await site.add('alpha', twoDisks)
      await machine.start()
      await machine.write('data', 0, 256 * KiB, 0x33)
      const then = Buffer.from(machine.model('data'))
      const point = await open(freshSource(), machine, { since: null })
      await (way === 'write'
        ? machine.write('data', 0, 128 * KiB, 0x44)
        : machine.discard('data', 0, 128 * KiB))
      const { reader } = present(
        disksOf(point).find(({ key }) => key === 'data'),
        'the point has the disk',
      )
      for (const [offset, bytes] of [
        [96 * KiB, 64 * KiB],
        [0, 256 * KiB],
        [127 * KiB, 2 * KiB],
      ] as const) {
        const expected = then.subarray(offset, offset + bytes)
        const into = Buffer.alloc(bytes)
        await reader.readInto?.(offset, into)
        expect(into.equals(expected), `${bytes} bytes at ${offset} in place`).toBe(true)
        expect((await reader.read(offset, bytes)).equals(expected), `${bytes} bytes at ${offset}`).toBe(true)
      }
      await point.release(true)
    },
  )

  test('does not pause a machine with a single disk', async () => {
    const machine = await site.add('single', [{ key: 'only', format: 'raw', bytes: 8 * MiB }])
    await machine.start()
    const point = await open(freshSource(), machine, { since: null })
    expect(point.pauseMilliseconds).toBe(0)
    await point.release(true)
  })

  test('leaves a machine paused that the operator has paused', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    await machine.query('stop')
    const point = await open(freshSource(), machine, { since: null })
    await point.release(true)
    expect(await status(machine)).toBe('paused')
  })

  test('moves at most 1.2 times the bytes of 300 random 4 KiB writes', async () => {
    const machine = await site.add('alpha', [{ key: 'only', format: 'qcow2', bytes: 64 * MiB }])
    await machine.start()
    const source = freshSource()
    const first = await open(source, machine, { since: null })
    await first.release(true)
    const offsets = new Set<number>()
    while (offsets.size < 300) offsets.add(randomInt((64 * MiB) / (4 * KiB)) * 4 * KiB)
    await withMonitor(machine.location, async (qmp) => {
      for (const offset of offsets)
        await qmp.human(`qemu-io -d /machine/peripheral/dev-only/virtio-backend "write -q -P 7 ${offset} 4k"`)
    })

    const replica = new Replica()
    const point = await open(source, machine, { since: checkpointOf(first) })
    await replica.take(disksOf(point))
    await point.release(true)
    expect(replica.readBytes).toBeGreaterThanOrEqual(300 * 4 * KiB)
    expect(replica.readBytes).toBeLessThanOrEqual(1.2 * 300 * 4 * KiB)
  })
})

describe('change tracking', () => {
  const seed = Number(process.env.UNDERSTUDY_SEED ?? randomInt(2 ** 31))

  test(`keeps a replica equal over many cycles of writes, zeros, discards, given-up and abandoned points (seed ${seed})`, async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const random = randomNumbers(seed)
    const replica = new Replica()
    let since: string | null = null
    let source = freshSource()
    for (let cycle = 0; cycle < 14; cycle++) {
      await scribble(machine, random)
      const then = new Map(twoDisks.map(({ key }) => [key as string, Buffer.from(machine.model(key))]))
      const point = await open(source, machine, { since })
      await scribble(machine, random)
      const fate = cycle === 0 ? 0 : random(5)
      if (fate <= 2) {
        await replica.take(disksOf(point))
        for (const [key, content] of then)
          expect(replica.equals(key, content), `${key} in cycle ${cycle}`).toBe(true)
        since = checkpointOf(point)
      }
      // 0, 1: all well. 2: killed between seal and release. 3: given up before the seal. 4: killed before the seal.
      if (fate <= 1) await point.release(true)
      if (fate === 3) await point.release(false)
      if (fate === 2 || fate === 4) source = freshSource()
    }
    const last = await open(source, machine, { since })
    await replica.take(disksOf(last))
    await last.release(true)
    for (const { key } of twoDisks) {
      expect(replica.equals(key, machine.model(key)), key).toBe(true)
      await machine.human(`qemu-io -d /machine/peripheral/dev-${key}/virtio-backend "flush"`)
      expect((await machine.image(key)).equals(machine.model(key)), `image of ${key}`).toBe(true)
    }
    expect(await leftovers(machine)).toEqual([])
    expect(await bitmapNames(machine)).toHaveLength(2)
  })

  test('of two owners does not disturb each other, whoever lets go first', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    await machine.write('system', 0, MiB, 0x01)
    const source = freshSource()
    const first = await open(source, machine, { since: null, trackingId: 'a' })
    const firstThen = Buffer.from(machine.model('system'))
    await machine.write('system', 0, 128 * KiB, 0x02)
    const second = await open(source, machine, { since: null, trackingId: 'a-000001-00000000' })
    const secondThen = Buffer.from(machine.model('system'))
    await machine.write('system', 64 * KiB, 128 * KiB, 0x03)

    const one = new Replica()
    await one.take(disksOf(first))
    await first.release(true)
    await machine.write('system', 0, 256 * KiB, 0x04)
    const two = new Replica()
    await two.take(disksOf(second))
    expect(one.equals('system', firstThen)).toBe(true)
    expect(two.equals('system', secondThen)).toBe(true)
    await second.release(true)
    expect((await leftovers(machine)).filter((name) => !name.endsWith('.qcow2'))).toEqual([])

    const next = await open(source, machine, { since: checkpointOf(first), trackingId: 'a' })
    await one.take(disksOf(next))
    await next.release(true)
    expect(one.equals('system', machine.model('system'))).toBe(true)
    expect(await leftovers(machine)).toEqual([])
  })

  test('that is stopped leaves nothing of its owner, and everything of the other', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const source = freshSource()
    await (await open(source, machine, { since: null, trackingId: 'keep' })).release(true)
    await open(source, machine, { since: null, trackingId: 'drop' })
    await source.stopTracking(machine.ref, 'drop')
    await source.stopTracking(machine.ref, 'drop')
    expect(await leftovers(machine)).toEqual([])
    expect((await bitmapNames(machine)).every((name) => name.startsWith('us-keep-'))).toBe(true)
  })

  test('counts a disk that was excluded before as wholly changed, and the growth of a disk as changed', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const source = freshSource()
    const first = await open(source, machine, { since: null, excludedDisks: ['data' as DiskKey] })
    expect(disksOf(first).map(({ key }) => key)).toEqual(['system'])
    await first.release(true)
    await machine.query('block_resize', { 'node-name': 'disk-system', size: 32 * MiB })
    const second = await open(source, machine, { since: checkpointOf(first) })
    const [system, data] = disksOf(second)
    expect(system?.bytes).toBe(32 * MiB)
    expect(await changes(system)).toEqual([{ offset: 24 * MiB, bytes: 8 * MiB, kind: 'zero' }])
    expect(totalBytes(await changes(data))).toBe(16 * MiB)
    await second.release(true)
  })
})

describe('a restart of the machine', () => {
  test('in good order keeps the tracking of qcow2 disks and says that raw disks lost theirs', async () => {
    const machine = await site.add('alpha', [{ key: 'only', format: 'qcow2', bytes: 16 * MiB }])
    const mixed = await site.add('mixed', twoDisks)
    const source = freshSource()
    const replica = new Replica()
    const checkpoints = new Map<TinyMachine, string>()
    for (const one of [machine, mixed]) {
      await one.start()
      const point = await open(source, one, { since: null })
      if (one === machine) await replica.take(disksOf(point))
      await point.release(true)
      checkpoints.set(one, checkpointOf(point))
    }
    await machine.write('only', 8 * MiB, 4 * KiB, 0x55)
    for (const one of [machine, mixed]) {
      await source.powerOff(one.ref)
      await source.start(one.ref)
    }
    await machine.write('only', 9 * MiB, 4 * KiB, 0x66)

    const point = await open(source, machine, { since: checkpoints.get(machine) ?? null })
    expect(await changes(disksOf(point)[0])).toEqual([
      { offset: 8 * MiB, bytes: 4 * KiB, kind: 'data' },
      { offset: 9 * MiB, bytes: 4 * KiB, kind: 'data' },
    ])
    await replica.take(disksOf(point))
    expect(replica.equals('only', machine.model('only'))).toBe(true)
    await point.release(true)
    expect(await source.openPoint(request(mixed, { since: checkpoints.get(mixed) ?? null }))).toMatchObject({
      kind: 'tracking-lost',
      ref: mixed.ref,
      reason: { code: 'tracking/restarted' },
    })
  })

  test('after a kill is never taken for intact tracking, and a whole copy works afterwards', async () => {
    const machine = await site.add('alpha', [{ key: 'only', format: 'qcow2', bytes: 16 * MiB }])
    await machine.start()
    const source = freshSource()
    const first = await open(source, machine, { since: null })
    await first.release(true)
    await machine.write('only', MiB, 4 * KiB, 0x55)
    const pid = await processOf(machine.location)
    process.kill(pid ?? 0, 'SIGKILL')
    await expect.poll(() => source.powerState(machine.ref)).toBe('off')
    await source.start(machine.ref)

    expect(await source.openPoint(request(machine, { since: checkpointOf(first) }))).toMatchObject({
      kind: 'tracking-lost',
      reason: { code: 'tracking/host-crashed' },
    })
    const again = await open(source, machine, { since: null })
    await again.release(true)
    expect(await bitmapNames(machine)).toHaveLength(1)
    const delta = await open(source, machine, { since: checkpointOf(again) })
    expect(await changes(disksOf(delta)[0])).toEqual([])
    await delta.release(false)
  })

  test('while a point is open fails its reads as an outage, and releasing it does not throw', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const source = freshSource()
    const point = await open(source, machine, { since: null })
    const pid = await processOf(machine.location)
    process.kill(pid ?? 0, 'SIGKILL')
    await expect(disksOf(point)[0]?.reader.read(0, 4096)).rejects.toBeInstanceOf(Outage)
    await point.release(false)
    await expect(source.openPoint(request(machine, { since: null }))).rejects.toMatchObject({
      code: 'source/machine-off',
    })
    expect((await readdir(machine.location.folder)).filter((name) => name.startsWith('us-scr'))).toEqual([])
  })
})

describe('a point at which nothing has changed', () => {
  test.each([true, false])(
    'leaves the disks alone, and what is written later is in the next one (kept: %s)',
    async (kept) => {
      const machine = await site.add('alpha', twoDisks)
      await machine.start()
      await machine.write('system', MiB, 64 * KiB, 0x11)
      const source = freshSource()
      const replica = new Replica()
      const first = await open(source, machine, { since: null })
      await replica.take(disksOf(first))
      await first.release(true)

      const idle = await open(source, machine, { since: checkpointOf(first) })
      expect(await leftovers(machine)).toEqual([])
      expect(idle).toMatchObject({ consistency: 'crash', pauseMilliseconds: 0 })
      await machine.write('data', 2 * MiB, 8 * KiB, 0x22)
      await replica.take(disksOf(idle))
      expect(disksOf(idle).map(({ key, bytes }) => [key, bytes])).toEqual(
        twoDisks.map(({ key, bytes }) => [key, bytes]),
      )
      expect(replica.equals('data', Buffer.alloc(16 * MiB))).toBe(true)
      await idle.release(kept)
      expect(await bitmapNames(machine)).toHaveLength(2)

      const next = await open(source, machine, { since: checkpointOf(kept ? idle : first) })
      expect(await changes(disksOf(next)[1])).toEqual([{ offset: 2 * MiB, bytes: 8 * KiB, kind: 'data' }])
      await replica.take(disksOf(next))
      await next.release(true)
      for (const { key } of twoDisks) expect(replica.equals(key, machine.model(key)), key).toBe(true)
    },
  )

  test('holds what the guest writes right before the instant, as any other point does', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const first = await open(freshSource(), machine, { since: null })
    const replica = new Replica()
    await replica.take(disksOf(first))
    await first.release(true)

    const write = { offset: 3 * MiB, bytes: 4 * KiB }
    let wrote = 0
    const source = freshSource({
      host: beforeMarking(site.host, () => {
        machine.model('data').fill(0x33, write.offset, write.offset + write.bytes)
        wrote += 1
        return `qemu-io -d /machine/peripheral/dev-data/virtio-backend "write -q -P 0x33 ${write.offset} ${write.bytes}"`
      }),
    })
    const late = await open(source, machine, { since: checkpointOf(first) })
    expect(wrote).toBe(1)
    expect(await changes(disksOf(late)[1])).toEqual([{ ...write, kind: 'data' }])
    await replica.take(disksOf(late))
    await late.release(true)
    expect(replica.equals('data', machine.model('data'))).toBe(true)
    expect(await leftovers(machine)).toEqual([])
    expect(await bitmapNames(machine)).toHaveLength(2)
  })
})

/** The host, whose QEMU obeys `command` once, after everything was looked at and right before the new bitmaps begin. */
function beforeMarking(host: Host, command: () => string): Host {
  let done = false
  return {
    ...host,
    async connect(path, signal) {
      const stream = await host.connect(path, signal)
      const write = stream.write.bind(stream)
      stream.write = ((text: string) => {
        if (done || !text.includes('block-dirty-bitmap-add')) return write(text)
        done = true
        const first = { execute: 'human-monitor-command', arguments: { 'command-line': command() }, id: 1e9 }
        return write(`${JSON.stringify(first)}\n${text}`)
      }) as typeof stream.write
      return stream
    },
  }
}

describe('the guest comes first', () => {
  test('a full scratch breaks the point and not the guest, and the next cycle is complete', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    await machine.write('system', 0, 20 * MiB, 0x10)
    await machine.write('data', 0, 14 * MiB, 0x20)
    const replica = new Replica()
    const tight = freshSource({ scratchBytes: 4 * MiB })
    const first = await open(tight, machine, { since: null })
    await replica.take(disksOf(first))
    await first.release(true)
    await machine.write('system', 4 * KiB, 4 * KiB, 0x12)

    const point = await open(tight, machine, { since: checkpointOf(first) })
    // More than the scratch holds; every write must come through.
    for (let at = 0; at < 20; at++) await machine.write('system', at * MiB, MiB, 0x40 + at)
    await expect(replica.take(disksOf(point))).rejects.toMatchObject({
      name: 'Outage',
      code: 'source/scratch-full',
    })
    await point.release(false)
    expect(await leftovers(machine)).toEqual([])

    const next = await open(tight, machine, { since: checkpointOf(first) })
    await replica.take(disksOf(next))
    await next.release(true)
    for (const { key } of twoDisks) {
      await machine.human(`qemu-io -d /machine/peripheral/dev-${key}/virtio-backend "flush"`)
      expect((await machine.image(key)).equals(machine.model(key)), `image of ${key}`).toBe(true)
      expect(replica.equals(key, machine.model(key)), key).toBe(true)
    }
  })

  test('a visitor that died while it held the guest is noticed by the next one, who lets the guest go', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const { qmp, end } = await visit(machine.location)
    await qmp.execute('object-add', { 'qom-type': 'secret', id: 'us-held-paused', data: 'none' })
    await qmp.execute('stop')
    end()
    expect(await status(machine)).toBe('running')
    expect(await leftovers(machine)).toEqual([])
  })

  test('a command that fails in the middle of marking leaves the guest running and the old baseline usable', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const source = freshSource()
    const first = await open(source, machine, { since: null })
    await first.release(true)
    await machine.write('data', MiB, 4 * KiB, 0x77)
    // The bitmap of the data disk cannot be switched off while somebody else shows it.
    const checkpoint = checkpointOf(first)
    const bitmap = checkpoint.slice(0, checkpoint.indexOf('@'))
    await machine.query('block-dirty-bitmap-disable', { node: 'disk-data', name: bitmap })
    await machine.query('block-export-add', {
      type: 'nbd',
      id: 'foreign',
      'node-name': 'disk-data',
      name: 'foreign',
      bitmaps: [{ node: 'disk-data', name: bitmap }],
    })
    await expect(source.openPoint(request(machine, { since: checkpoint }))).resolves.toMatchObject({
      kind: 'tracking-lost',
    })
    await machine.query('block-export-del', { id: 'foreign', mode: 'hard' })
    expect(await status(machine)).toBe('running')
    expect(await leftovers(machine)).toEqual([])
  })

  test('several machines are held together, marked together, and all go on', async () => {
    const one = await site.add('one', twoDisks)
    const two = await site.add('two', [{ key: 'only', format: 'raw', bytes: 8 * MiB }])
    await one.start()
    await two.start()
    await one.write('data', 0, MiB, 0x01)
    await two.write('only', 0, MiB, 0x02)
    const result = await freshSource().openPoint({
      machines: [two, one].map(({ ref }) => ({ ref, trackingId: TRACKING, since: null, excludedDisks: [] })),
      consistency: 'crash',
    })
    if (result.kind !== 'opened') throw new Error(result.reason.message)
    expect(result.point.machines.map(({ ref }) => ref)).toEqual([two.ref, one.ref])
    expect(result.point.pauseMilliseconds).toBeGreaterThan(0)
    for (const machine of [one, two]) expect(await status(machine)).toBe('running')
    const replica = new Replica()
    for (const { disks } of result.point.machines) await replica.take(disks)
    expect(replica.equals('data', one.model('data'))).toBe(true)
    expect(replica.equals('only', two.model('only'))).toBe(true)
    await result.point.release(true)
    for (const machine of [one, two]) expect(await leftovers(machine)).toEqual([])
  })

  test('machines of two hosts are held together, and each goes on from its own checkpoint', async () => {
    const second = await tinySite()
    try {
      const there = localHost({ name: 'there', machinesFolder: second.folder })
      const one = await site.add('one', [{ key: 'a', format: 'raw', bytes: 8 * MiB }])
      const two = await second.add('two', [{ key: 'b', format: 'qcow2', bytes: 8 * MiB }])
      await one.start()
      await two.start()
      const source = freshSource({ others: [there] })
      const replica = new Replica()
      let since: readonly (string | null)[] = [null, null]
      for (const pattern of [1, 2, 3]) {
        await one.write('a', pattern * MiB, 64 * KiB, pattern)
        await two.write('b', pattern * MiB, 64 * KiB, pattern)
        const result = await source.openPoint({
          machines: [one, two].map(({ ref }, index) => ({
            ref,
            trackingId: TRACKING,
            since: since[index] ?? null,
            excludedDisks: [],
          })),
          consistency: 'crash',
        })
        if (result.kind !== 'opened') throw new Error(result.reason.message)
        expect(result.point.pauseMilliseconds).toBeGreaterThan(0)
        for (const { disks } of result.point.machines) await replica.take(disks)
        expect(replica.equals('a', one.model('a'))).toBe(true)
        expect(replica.equals('b', two.model('b'))).toBe(true)
        since = result.point.machines.map(({ checkpoint }) => checkpoint)
        await result.point.release(true)
      }
      for (const machine of [one, two]) {
        expect(await status(machine)).toBe('running')
        expect(await leftovers(machine)).toEqual([])
      }
    } finally {
      await second.close()
    }
  })

  test('an application-consistent point without an agent is crash-consistent and says why', async () => {
    const machine = await site.add('alpha', twoDisks, { guestAgent: true })
    await machine.start()
    const result = await freshSource().openPoint({
      ...request(machine, { since: null }),
      consistency: 'application',
    })
    if (result.kind !== 'opened') throw new Error(result.reason.message)
    expect(result.point.consistency).toBe('crash')
    expect(result.point.consistencyNote).toContain('guest agent of alpha')
    await result.point.release(true)
    expect(await leftovers(machine)).toEqual([])
  })
})

/** Writes, zeroes and discards here and there. */
async function scribble(machine: TinyMachine, random: (below: number) => number): Promise<void> {
  for (let count = 3 + random(5); count > 0; count--) {
    const disk = twoDisks[random(twoDisks.length)] ?? twoDisks[0]
    const kind = random(5)
    if (kind === 0) {
      const offset = random(disk.bytes / (64 * KiB) - 16) * 64 * KiB
      await machine.discard(disk.key, offset, (1 + random(16)) * 64 * KiB)
    } else {
      const bytes = (1 + random(64)) * 512 * (1 + random(8))
      const offset = random((disk.bytes - bytes) / 512) * 512
      if (kind === 1) await machine.zero(disk.key, offset, bytes)
      else await machine.write(disk.key, offset, bytes, 1 + random(255))
    }
  }
}

/** A small generator (mulberry32): the same seed gives the same scribbles. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below) | 0
  }
}
