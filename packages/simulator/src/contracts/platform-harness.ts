// What a platform's tests must offer so that the contract suites can be run against it: real or simulated machines whose
// disks the suite can write to as their guest would, and read whole.

import { randomUUID } from 'node:crypto'
import { present } from '@understudy/base/invariant'
import type { BlockReader, MappedExtent } from '@understudy/block/device'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SourceDisk, SourcePlatform, SourcePoint } from '@understudy/engine/ports/source-platform'
import type { BootSpec, Placing, TargetPlatform, Whereabouts } from '@understudy/engine/ports/target-platform'
import { expect } from 'vitest'

export type NewMachine = {
  /** Unique at the site. */
  readonly name: string
  /** Bytes of each disk; the disks read as zeros. The first one is the boot disk. */
  readonly disks: readonly number[]
}

export type SourceHarness = {
  readonly source: SourcePlatform
  /** A machine that runs, with nobody inside who writes. */
  addMachine(machine: NewMachine): Promise<MachineRef>
  removeMachine(ref: MachineRef): Promise<void>
  /** As the guest would while it runs; as somebody with a tool would while it is off. Bytes are durable at return. */
  writeToDisk(ref: MachineRef, key: DiskKey, offset: number, data: Buffer): Promise<void>
  /** The whole content now, whether it runs or not. */
  readDiskNow(ref: MachineRef, key: DiskKey): Promise<Buffer>
  /** The power fails: nothing is shut down, tracking in memory is lost. The machine is off afterwards. */
  killMachine(ref: MachineRef): Promise<void>
  /** Absent when the platform cannot while the machine runs. */
  resizeDisk?(ref: MachineRef, key: DiskKey, bytes: number): Promise<void>
  addDisk?(ref: MachineRef, bytes: number): Promise<DiskKey>
  /** Whether the guest reacts to the power button. Machines without an operating system do not. */
  readonly obeysShutDown: boolean
  /** Whether an agent answers in the guests, so that application-consistent points are possible. */
  readonly guestAgent: boolean
  /** What changed is known even over a loss of power: the platform keeps it, not the host of the machine. */
  readonly tracksOverPowerLoss?: true
  /** Our own process dies and comes back: a new platform over the same machines. The old one is not closed. */
  reopen(): Promise<{ readonly source: SourcePlatform }>
  /** Lets time pass: virtual, or real. */
  pass(milliseconds: number): Promise<void>
  close(): Promise<void>
}

export type TargetHarness = Omit<SourceHarness, 'reopen'> & {
  readonly target: TargetPlatform
  /** Ids of networks of the site. */
  readonly isolatedNetwork: string
  readonly openNetwork: string
  /** As above, with both sides of the site. */
  reopen(): Promise<{ readonly source: SourcePlatform; readonly target: TargetPlatform }>
}

export const KiB = 1024
export const MiB = 1024 * KiB

export async function diskKeys(source: SourcePlatform, ref: MachineRef): Promise<readonly DiskKey[]> {
  const machine = (await source.inventory()).find((candidate) => candidate.ref === ref)
  return present(machine, `the inventory has ${ref}`).hardware.disks.map(({ key }) => key)
}

export async function firstDisk(source: SourcePlatform, ref: MachineRef): Promise<DiskKey> {
  return present((await diskKeys(source, ref))[0], 'the machine has a disk')
}

/** Polls with a deadline; `pass` lets time pass between two looks. */
export async function until(
  pass: SourceHarness['pass'],
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  for (let polls = 0; !(await condition()); polls += 1) {
    if (polls > 200) throw new Error(`never: ${what}`)
    await pass(100)
  }
}

export const request = (
  ref: MachineRef,
  since: string | null,
  change: { readonly trackingId?: string; readonly excludedDisks?: readonly DiskKey[] } = {},
) => ({ ref, since, trackingId: change.trackingId ?? 'owner-1', excludedDisks: change.excludedDisks ?? [] })

/** Opens a point of one machine, which must not have lost its tracking. */
export async function openOne(
  source: SourcePlatform,
  wanted: ReturnType<typeof request>,
): Promise<{ point: SourcePoint; disks: readonly SourceDisk[]; checkpoint: string }> {
  const result = await source.openPoint({ machines: [wanted], consistency: 'crash' })
  if (result.kind !== 'opened') throw new Error(`tracking lost: ${result.reason.message}`)
  const machine = present(result.point.machines[0], 'the point has the machine')
  const checkpoint = present(machine.checkpoint, 'the machine can be tracked')
  return { point: result.point, disks: machine.disks, checkpoint }
}

/** Opens a first point and keeps it. Returns the checkpoint and the content of every disk. */
export async function takeFirstPoint(
  source: SourcePlatform,
  wanted: ReturnType<typeof request>,
): Promise<{ checkpoint: string; content: ReadonlyMap<DiskKey, Buffer> }> {
  const { point, disks, checkpoint } = await openOne(source, wanted)
  const content = await readDisks(disks)
  await point.release(true)
  return { checkpoint, content }
}

export async function readDisks(disks: readonly SourceDisk[]): Promise<Map<DiskKey, Buffer>> {
  const content = new Map<DiskKey, Buffer>()
  for (const { key, reader } of disks) content.set(key, await readWhole(reader))
  return content
}

export async function readWhole(reader: BlockReader): Promise<Buffer> {
  const pieces: Buffer[] = []
  for (let offset = 0; offset < reader.bytes; offset += 256 * KiB)
    pieces.push(await reader.read(offset, Math.min(256 * KiB, reader.bytes - offset)))
  return Buffer.concat(pieces)
}

/** Checks order and bounds while collecting. */
export async function collectExtents(
  extents: AsyncIterable<MappedExtent>,
  diskBytes: number,
): Promise<MappedExtent[]> {
  const found: MappedExtent[] = []
  let end = 0
  for await (const extent of extents) {
    expect(extent.bytes, 'extents are not empty').toBeGreaterThan(0)
    expect(extent.offset, 'extents are sorted and do not overlap').toBeGreaterThanOrEqual(end)
    end = extent.offset + extent.bytes
    expect(end, 'extents lie inside the disk').toBeLessThanOrEqual(diskBytes)
    found.push(extent)
  }
  return found
}

/**
 * Does what replication does: takes the changed extents over the older content. Returns the new content and the bytes
 * that changed. Zero extents are taken as zeros without reading.
 */
export async function applyChanges(
  base: Buffer,
  disk: SourceDisk,
): Promise<{ content: Buffer; changedBytes: number }> {
  const content = Buffer.concat([base.subarray(0, disk.bytes)], disk.bytes)
  let changedBytes = 0
  for (const { offset, bytes, kind } of await collectExtents(disk.changed(), disk.bytes)) {
    changedBytes += bytes
    if (kind === 'zero') content.fill(0, offset, offset + bytes)
    else
      for (let at = offset; at < offset + bytes; at += MiB) {
        const piece = await disk.reader.read(at, Math.min(MiB, offset + bytes - at))
        piece.copy(content, at)
      }
  }
  return { content, changedBytes }
}

/** Whole-disk equality with a message that a person can read. */
export function expectEqual(found: Buffer, expected: Buffer, what: string): void {
  expect(found.length, `size of ${what}`).toBe(expected.length)
  const wrong = found.equals(expected) ? null : found.findIndex((byte, index) => byte !== expected[index])
  expect(wrong, `first wrong byte of ${what}`).toBeNull()
}

/** A reader over a buffer that counts what is read, and can be switched off. */
export type TestReader = BlockReader & { readBytes: number; broken: boolean }

export function bufferReader(content: Buffer): TestReader {
  const reader: TestReader = {
    bytes: content.length,
    readBytes: 0,
    broken: false,
    async read(offset, bytes) {
      if (reader.broken) throw new Error('this reader is closed')
      reader.readBytes += bytes
      return Buffer.from(content.subarray(offset, offset + bytes))
    },
    close: async () => {},
  }
  return reader
}

export type TestBoot = { readonly spec: BootSpec; readonly readers: readonly TestReader[] }

const here = randomUUID().slice(0, 8)

/**
 * A run of this test file alone: a replica's uuid follows from its run, and being off is proven by looking for that uuid among all
 * processes of the computer, where other tests run theirs.
 */
export const testRun = (name: string): RunId => `run-${name}-${here}` as RunId

/** What to boot a machine with these disk contents from. */
/** For a test that does not care: every place has to answer. */
export const anywhere: Whereabouts = { kind: 'anywhere' }

/** As the engine does: what is kept is there for the next attempt. */
export function newPlacing(): Placing {
  let before: Whereabouts = { kind: 'nowhere' }
  return {
    get before() {
      return before
    },
    keep: async (place) => {
      before = { kind: 'at', place }
    },
  }
}

export function testBoot(
  contents: readonly Buffer[],
  options: {
    readonly runId: string
    readonly network: string
    readonly mode?: 'test' | 'failover'
    readonly name?: string
    readonly trackingId?: string | null
  },
): TestBoot {
  const readers = contents.map(bufferReader)
  const disks = readers.map((reader, index) => ({
    key: `disk${index}` as DiskKey,
    bytes: reader.bytes,
    boot: index === 0,
    reader,
  }))
  const hardware = {
    cpus: 1,
    memoryBytes: 128 * MiB,
    firmware: 'bios' as const,
    disks: disks.map(({ key, bytes, boot }) => ({
      key,
      bytes,
      boot,
      label: key,
      format: 'raw',
      bus: 'virtio',
    })),
    adapters: [{ key: 'net0', macAddress: '52:54:00:12:34:56', networkId: null, model: 'virtio-net-pci' }],
  }
  const { runId, network, mode = 'test', name = `copy ${runId}`, trackingId = null } = options
  const networks = new Map([['net0', network]])
  const placing = newPlacing()
  return {
    spec: { runId: runId as RunId, name, mode, hardware, disks, networks, trackingId, placing },
    readers,
  }
}
