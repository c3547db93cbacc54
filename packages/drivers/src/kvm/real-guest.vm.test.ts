import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MiB } from '@understudy/base/bytes'
import { copyExtents } from '@understudy/block/copy-extents'
import type { BlockReader } from '@understudy/block/device'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { Consistency } from '@understudy/domain/recovery-points/recovery-point'
import type { SourceDisk, SourcePlatform, SourcePoint } from '@understudy/engine/ports/source-platform'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { connectGuestAgent } from './guest-agent.ts'
import { buildGuestBase, makeGuestDisks } from './lab/guest-image.ts'
import { verifyChain } from './lab/verify-chain.ts'
import { localHost } from './local-host.ts'
import { saveMachineDefinition } from './machine-definition.ts'
import { machineDirectory } from './machine-directory.ts'
import { type MachineLocation, visit } from './monitor.ts'
import { endProcess } from './power.ts'
import { kvmSource } from './source.ts'
import { tinyDefinition } from './tiny-machine.ts'

// A Linux guest with two disks that writes records in turn to both, each only after the one before is durable.
const cacheFolder = fileURLToPath(new URL('../../../../node_modules/.cache/understudy-lab', import.meta.url))

let folder: string
let machine: MachineLocation
let source: SourcePlatform

beforeAll(async () => {
  const base = await buildGuestBase({ cacheFolder })
  folder = await mkdtemp(join(tmpdir(), 'us-'))
  const host = localHost({ name: 'here', machinesFolder: folder })
  const disks = [
    { key: 'system', format: 'qcow2', bytes: 96 * MiB },
    { key: 'data', format: 'raw', bytes: 48 * MiB },
  ] as const
  const machineFolder = join(folder, 'shop')
  await makeGuestDisks(base, {
    name: 'shop',
    disks: disks.map(({ key, format, bytes }) => ({
      file: join(machineFolder, `${key}.${format}`),
      format,
      bytes,
    })),
  })
  const definition = tinyDefinition('shop', disks, 0, { memoryBytes: 128 * MiB, guestAgent: true })
  await saveMachineDefinition(host, machineFolder, definition)
  const directory = machineDirectory([host], ({ error }) => {
    throw error
  })
  machine = await directory.find(definition.ref)
  source = kvmSource({ hosts: [host], directory, clock: { now: () => Date.now() }, bootDeadlineSeconds: 60 })
  await source.start(machine.ref)
  await vi.waitFor(async () => expect(await agentAnswers()).toBe(true), { timeout: 120_000, interval: 1000 })
})

afterAll(async () => {
  if (machine !== undefined) await endProcess(machine)
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

const openAgent = () =>
  connectGuestAgent(() => machine.host.connect(machine.agentPath ?? ''), { name: 'shop' })

async function agentAnswers(): Promise<boolean> {
  const agent = await openAgent().catch(() => null)
  agent?.close()
  return agent !== null
}

async function freezeStatus(): Promise<string> {
  const agent = await openAgent()
  const status = await agent.call<string>('guest-fsfreeze-status')
  agent.close()
  return status
}

async function open(since: string | null, consistency: Consistency): Promise<SourcePoint> {
  const result = await source.openPoint({
    machines: [{ ref: machine.ref, trackingId: 'p1', since, excludedDisks: [] }],
    consistency,
  })
  if (result.kind !== 'opened') throw new Error(result.reason.message)
  return result.point
}

const disksOf = (point: SourcePoint): readonly SourceDisk[] => point.machines[0]?.disks ?? []

/** The replica's disks, brought up to date by nothing but what `changed` names. */
async function take(replica: Map<DiskKey, Buffer>, disks: readonly SourceDisk[]): Promise<void> {
  for (const disk of disks) {
    const content = replica.get(disk.key) ?? Buffer.alloc(disk.bytes)
    replica.set(disk.key, content)
    await copyExtents({
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
  }
}

const readers = (replica: Map<DiskKey, Buffer>): readonly BlockReader[] =>
  [...replica.values()].map((content) => ({
    bytes: content.length,
    read: async (offset, bytes) => Buffer.from(content.subarray(offset, offset + bytes)),
    close: async () => undefined,
  }))

async function expectEqualToPoint(
  replica: Map<DiskKey, Buffer>,
  disks: readonly SourceDisk[],
): Promise<void> {
  for (const disk of disks)
    for (let offset = 0; offset < disk.bytes; offset += MiB) {
      const piece = await disk.reader.read(offset, MiB)
      const equal = replica
        .get(disk.key)
        ?.subarray(offset, offset + MiB)
        .equals(piece)
      expect(equal, `${disk.key} at ${offset}`).toBe(true)
    }
}

test('cycles of a busy guest keep the replica equal to every point, and every point one instant of both disks', async () => {
  const replica = new Map<DiskKey, Buffer>()
  let since: string | null = null
  let newest = 0
  for (const consistency of ['crash', 'crash', 'application', 'crash', 'application'] as const) {
    const point: SourcePoint = await open(since, consistency)
    expect(point).toMatchObject({ consistency, consistencyNote: null })
    await take(replica, disksOf(point))
    await expectEqualToPoint(replica, disksOf(point))
    const verdict = await verifyChain(readers(replica))
    expect(verdict).toMatchObject({ ok: true, reason: null })
    expect(verdict.newestRecord).toBeGreaterThan(newest)
    newest = verdict.newestRecord
    since = point.machines[0]?.checkpoint ?? null
    await point.release(true)
    expect(await freezeStatus()).toBe('thawed')
    await sleep(3000)
  }
})

test('a guest that a dead visitor left frozen is thawed by the next one', async () => {
  const { qmp, end } = await visit(machine)
  await qmp.execute('object-add', { 'qom-type': 'secret', id: 'us-held-frozen', data: 'none' })
  const agent = await openAgent()
  expect(await agent.call<number>('guest-fsfreeze-freeze')).toBeGreaterThan(0)
  agent.close()
  end()
  expect(await freezeStatus()).toBe('frozen')
  expect(await source.powerState(machine.ref)).toBe('running')
  expect(await freezeStatus()).toBe('thawed')
})

test('a shut-down is asked of the agent and proven, and the last delta makes the replica equal to the disks', async () => {
  const replica = new Map<DiskKey, Buffer>()
  const point = await open(null, 'crash')
  await take(replica, disksOf(point))
  await point.release(true)
  const before = (await verifyChain(readers(replica))).newestRecord
  const proof = await source.shutDown(machine.ref, { timeoutSeconds: 90 })
  expect(proof.evidence).toContain('by its agent')
  const stopped = await source.openStoppedDisks(machine.ref, {
    excludedDisks: [],
    trackingId: 'p1',
    since: point.machines[0]?.checkpoint ?? null,
  })
  expect(stopped.sinceKnown).toBe(true)
  await take(replica, stopped.disks)
  await expectEqualToPoint(replica, stopped.disks)
  const verdict = await verifyChain(readers(replica))
  expect(verdict).toMatchObject({ ok: true })
  expect(verdict.newestRecord).toBeGreaterThan(before)
  await stopped.close()
})
