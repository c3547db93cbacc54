import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MiB } from '@understudy/base/bytes'
import { copyExtents } from '@understudy/block/copy-extents'
import type { BlockReader } from '@understudy/block/device'
import type { GuestHardware } from '@understudy/domain/boot-check/guest-hardware'
import { judgeBoot } from '@understudy/domain/boot-check/judge-boot'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { Consistency } from '@understudy/domain/recovery-points/recovery-point'
import type { SourceDisk, SourcePlatform, SourcePoint } from '@understudy/engine/ports/source-platform'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { readBootFacts } from './boot-facts.ts'
import { connectGuestAgent, type GuestAgent } from './guest-agent.ts'
import { guestPrograms } from './guest-programs.ts'
import {
  chainAreaBytes,
  chainPartitionType,
  chainSlots,
  sectorBytes,
  toChainHeader,
} from './lab/chain-layout.ts'
import { buildGuestBase, type GuestBase, makeGuestDisks } from './lab/guest-image.ts'
import { toPartitionTable } from './lab/partition-table.ts'
import { verifyChain } from './lab/verify-chain.ts'
import { localHost } from './local-host.ts'
import { type MachineDefinition, saveMachineDefinition } from './machine-definition.ts'
import { type MachineDirectory, machineDirectory } from './machine-directory.ts'
import { type MachineLocation, visit } from './monitor.ts'
import { endProcess } from './power.ts'
import { kvmSource } from './source.ts'
import { type TinyDisk, tinyDefinition } from './tiny-machine.ts'

// Linux guests that write records in turn to all their disks, each only after the one before is durable.
const cacheFolder = fileURLToPath(new URL('../../../../node_modules/.cache/understudy-lab', import.meta.url))

let folder: string
let base: GuestBase
let source: SourcePlatform
let directory: MachineDirectory
const machines: MachineLocation[] = []

beforeAll(async () => {
  base = await buildGuestBase({ cacheFolder })
  folder = await mkdtemp(join(tmpdir(), 'us-'))
  const host = localHost({ name: 'here', machinesFolder: folder })
  directory = machineDirectory([host], ({ error }) => {
    throw error
  })
  source = kvmSource({ hosts: [host], directory, clock: { now: () => Date.now() }, bootDeadlineSeconds: 60 })
})

afterAll(async () => {
  for (const machine of machines) await endProcess(machine)
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

/** A running guest whose agent answers. `blank`: disks that the guest is left to use as it likes. */
async function boot(
  name: string,
  disks: readonly TinyDisk[],
  { blank = [], ...more }: Partial<MachineDefinition> & { readonly blank?: readonly string[] } = {},
): Promise<MachineLocation> {
  const machineFolder = join(folder, name)
  const fileOf = ({ key, format }: TinyDisk): string => join(machineFolder, `${key}.${format}`)
  await makeGuestDisks(base, {
    name,
    disks: disks
      .filter(({ key }) => !blank.includes(key))
      .map((disk) => ({ file: fileOf(disk), format: disk.format, bytes: disk.bytes })),
  })
  for (const disk of disks.filter(({ key }) => blank.includes(key)))
    await writeFile(fileOf(disk), Buffer.alloc(disk.bytes))
  const change = { memoryBytes: 128 * MiB, guestAgent: true, ...more }
  const definition = tinyDefinition(name, disks, machines.length, change)
  await saveMachineDefinition(localHost({ name: 'here', machinesFolder: folder }), machineFolder, definition)
  const machine = await directory.find(definition.ref)
  machines.push(machine)
  await source.start(machine.ref)
  const answers = async (): Promise<void> => (await openAgent(machine)).close()
  await vi.waitFor(answers, { timeout: 120_000, interval: 1000 })
  return machine
}

const openAgent = (machine: MachineLocation): Promise<GuestAgent> =>
  connectGuestAgent(() => machine.host.connect(machine.agentPath ?? ''), { name: machine.name })

/** Has the guest overwrite random pieces of a file until it is switched off. */
async function keepWriting(machine: MachineLocation, file: string): Promise<void> {
  const agent = await openAgent(machine)
  const script = `dd if=/dev/urandom of=${file} bs=64k count=96; while :; do dd if=/dev/urandom of=${file} bs=4k count=$((RANDOM % 64 + 1)) seek=$((RANDOM % 1400)) conv=notrunc,fsync; done`
  await agent.call('guest-exec', { path: '/bin/sh', arg: ['-c', script] })
  agent.close()
}

async function freezeStatus(machine: MachineLocation): Promise<string> {
  const agent = await openAgent(machine)
  const status = await agent.call<string>('guest-fsfreeze-status')
  agent.close()
  return status
}

async function open(
  machine: MachineLocation,
  since: string | null,
  consistency: Consistency,
): Promise<SourcePoint> {
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

/** Cycle after cycle: the replica equals the point, and the point is one instant of the guest. */
async function expectSoundCycles(
  machine: MachineLocation,
  wanted: readonly Consistency[],
): Promise<readonly SourcePoint[]> {
  const replica = new Map<DiskKey, Buffer>()
  const points: SourcePoint[] = []
  let since: string | null = null
  let newest = 0
  for (const consistency of wanted) {
    const point: SourcePoint = await open(machine, since, consistency)
    points.push(point)
    expect(point).toMatchObject({ consistency, consistencyNote: null })
    await take(replica, disksOf(point))
    await expectEqualToPoint(replica, disksOf(point))
    const verdict = await verifyChain(readers(replica))
    expect(verdict).toMatchObject({ ok: true, reason: null })
    expect(verdict.newestRecord).toBeGreaterThanOrEqual(newest)
    newest = verdict.newestRecord
    since = point.machines[0]?.checkpoint ?? null
    await point.release(true)
    expect(await freezeStatus(machine)).toBe('thawed')
    await sleep(2000)
  }
  expect(newest).toBeGreaterThan(0)
  return points
}

describe('a guest with two disks', () => {
  let machine: MachineLocation
  beforeAll(async () => {
    machine = await boot('shop', [
      { key: 'system', format: 'qcow2', bytes: 96 * MiB },
      { key: 'data', format: 'raw', bytes: 48 * MiB },
    ])
    await keepWriting(machine, '/database/churn')
  })

  test('is replicated while it writes: every point is one instant of both disks, and the replica equals it', async () => {
    const points = await expectSoundCycles(machine, ['crash', 'crash', 'application', 'crash', 'application'])
    for (const { pauseMilliseconds } of points) expect(pauseMilliseconds).toBeGreaterThan(0)
  })

  test('that a dead visitor left frozen is thawed by the next one', async () => {
    const { qmp, end } = await visit(machine)
    await qmp.execute('object-add', { 'qom-type': 'secret', id: 'us-held-frozen', data: 'none' })
    const agent = await openAgent(machine)
    expect(await agent.call<number>('guest-fsfreeze-freeze')).toBeGreaterThan(0)
    agent.close()
    end()
    expect(await freezeStatus(machine)).toBe('frozen')
    expect(await source.powerState(machine.ref)).toBe('running')
    expect(await freezeStatus(machine)).toBe('thawed')
  })

  test('runs a program for a step of a plan, tells its end once, and ends one that is to end', async () => {
    const programs = guestPrograms((signal) => directory.find(machine.ref, signal))
    const script = 'echo $STAGE; echo "$1" >&2; ls /nowhere || exit 7'
    const pid = await programs.start({
      command: 'sh',
      arguments: ['-c', script, 'sh', 'two  words; $x'],
      environment: { STAGE: 'übung' },
    })
    const ended = await vi.waitFor(
      async () => {
        const state = await programs.state(pid)
        if (state.kind !== 'ended') throw new Error(state.kind)
        return state
      },
      { timeout: 30_000, interval: 200 },
    )
    expect(ended).toMatchObject({ exitCode: 7, output: expect.stringContaining('übung\ntwo  words; $x\n') })
    expect(await programs.state(pid)).toEqual({ kind: 'unknown' })

    const missing = { command: '/no/such/program', arguments: [], environment: {} }
    await expect(programs.start(missing)).rejects.toMatchObject({ code: 'guest-program/not-started' })

    const slow = await programs.start({ command: 'sleep', arguments: ['600'], environment: {} })
    expect(await programs.state(slow)).toEqual({ kind: 'running' })
    expect(await programs.end(slow)).toBe(true)
    await vi.waitFor(
      async () => expect(await programs.state(slow)).toMatchObject({ kind: 'ended', exitCode: null }),
      { timeout: 30_000, interval: 500 },
    )
  })

  test('tells of itself whether it would boot elsewhere: on virtio it has what it needs, on Hyper-V no disk is found', async () => {
    const facts = await readBootFacts(async () => machine)
    if (facts.system !== 'linux') throw new Error('it is a Linux guest')
    expect(facts).toMatchObject({
      distribution: { id: 'understudy-lab' },
      firmware: 'bios',
      commandLine: expect.stringContaining('root=LABEL=lab-root'),
      fstab: [expect.stringContaining('LABEL=lab-root'), expect.stringContaining('nofail')],
    })
    expect(facts.kernels).toMatchObject([
      {
        version: facts.runningKernel,
        initramfs: { kind: 'read', drivers: expect.arrayContaining(['virtio_blk']) },
      },
    ])
    const outcomeOf = (code: string, kind: GuestHardware) =>
      judgeBoot(facts, { hardware: { kind, serialLineOnly: true }, firmware: 'bios' }).find(
        (finding) => finding.code === code,
      )?.outcome
    expect([outcomeOf('boot/disk-drivers', 'virtio'), outcomeOf('boot/disk-drivers', 'hyper-v')]).toEqual([
      'passed',
      'blocker',
    ])
    expect([outcomeOf('boot/root', 'hyper-v'), outcomeOf('boot/fstab', 'hyper-v')]).toEqual([
      'passed',
      'passed',
    ])
  })

  test('is shut down through its agent, proven off, and its last delta makes the replica equal to its disks', async () => {
    const replica = new Map<DiskKey, Buffer>()
    const point = await open(machine, null, 'crash')
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
})

describe('a guest with one disk', () => {
  test('is replicated while it writes without ever being paused, and the replica equals every point', async () => {
    const machine = await boot('web', [{ key: 'system', format: 'raw', bytes: 96 * MiB }])
    await keepWriting(machine, '/churn')
    const points = await expectSoundCycles(
      machine,
      Array.from({ length: 5 }, () => 'crash'),
    )
    for (const { pauseMilliseconds } of points) expect(pauseMilliseconds).toBe(0)
  })
})

describe('two guests of a group', () => {
  /** Joins the guests: what the one says the other hears. Neither of them writes before it was told what the other one has written. */
  let relay: Server
  const callers: Socket[] = []
  let hops = 0
  let one: MachineLocation
  let two: MachineLocation

  beforeAll(async () => {
    relay = createServer((socket) => {
      callers.push(socket)
      socket.on('error', () => socket.destroy())
      const [first, second] = callers
      if (first === undefined || second === undefined) return
      first.pipe(second)
      second.pipe(first)
      for (const caller of callers) caller.on('data', () => (hops += 1))
    })
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve))
    const { port } = relay.address() as AddressInfo
    const disks = (key: string): readonly TinyDisk[] => [
      { key: 'system', format: 'qcow2', bytes: 96 * MiB },
      { key, format: 'raw', bytes: 2 * MiB },
    ]
    const adapters = (digit: number) => [
      {
        key: 'net0',
        macAddress: `52:54:00:12:34:0${digit}`,
        networkId: 'lan',
        model: 'virtio-net-pci' as const,
        kind: 'user' as const,
        restrict: false,
        forwards: [],
      },
    ]
    one = await boot('one', disks('hop0'), { blank: ['hop0'], adapters: adapters(1) })
    two = await boot('two', disks('hop1'), { blank: ['hop1'], adapters: adapters(2) })
    await hop(one, 0, port)
    await hop(two, 1, port)
    await vi.waitFor(() => expect(hops).toBeGreaterThan(4), { timeout: 60_000, interval: 500 })
  })
  afterAll(() => {
    for (const socket of callers) socket.destroy()
    relay.close()
  })

  test('write a chain that hops between their disks, and every common point holds a beginning of it without a gap', async () => {
    const replicas = [new Map<DiskKey, Buffer>(), new Map<DiskKey, Buffer>()]
    const checkpoints: (string | null)[] = [null, null]
    let newest = 0
    for (const consistency of [
      'crash',
      'crash',
      'crash',
      'application',
      'crash',
      'crash',
      'crash',
      'crash',
    ] as const) {
      await sleep(1500)
      const result = await source.openPoint({
        machines: [one, two].map(({ ref }, index) => ({
          ref,
          trackingId: 'p1',
          since: checkpoints[index] ?? null,
          excludedDisks: [],
        })),
        consistency,
      })
      if (result.kind !== 'opened') throw new Error(result.reason.message)
      const { point } = result
      expect(point).toMatchObject({ consistency, consistencyNote: null })
      // All of it measured: from the first guest that stood still to the last one that went on.
      expect(point.pauseMilliseconds).toBeGreaterThan(0)
      expect(point.pauseMilliseconds).toBeLessThan(5000)
      for (const [index, machine] of point.machines.entries()) {
        const replica = replicas[index]
        if (!replica) throw new Error('there are two machines')
        await take(replica, machine.disks)
        await expectEqualToPoint(replica, machine.disks)
        checkpoints[index] = machine.checkpoint
        await machine.release(true)
      }
      const verdict = await verifyChain([hopDisk(replicas[0], 0), hopDisk(replicas[1], 1)])
      expect(verdict).toMatchObject({ ok: true, reason: null })
      expect(verdict.newestRecord).toBeGreaterThan(newest)
      newest = verdict.newestRecord
    }
    expect(newest).toBeGreaterThan(20)
  })

  /** Has the guest write every other record of the chain, as chain-layout.ts says, onto its second disk. */
  async function hop(machine: MachineLocation, track: number, port: number): Promise<void> {
    const zeros = '0'.repeat(64)
    const script = `
      while [ ! -s /run/lab/address ]; do sleep 1; done
      mkfifo /run/in /run/out
      nc 10.0.2.2 ${port} <>/run/out >/run/in &
      exec 3>/run/out 4</run/in
      write() {
        body="record $1 track ${track} previous $2 boot here uptime 0"
        sum=$(printf %s "$body" | sha256sum)
        printf '%s sha256 %s\n' "$body" "\${sum%% *}" |
          dd of=/dev/vdb bs=512 seek=$((($1 - 1) / 2 % ${chainSlots})) conv=notrunc,sync,fsync 2>/dev/null
        echo "$1 \${sum%% *}" >&3
      }
      ${track === 0 ? `sleep 5; write 1 ${zeros}` : ''}
      while read -r number hash <&4; do write $((number + 1)) $hash; done`
    const agent = await openAgent(machine)
    await agent.call('guest-exec', { path: '/bin/sh', arg: ['-c', script] })
    agent.close()
  }

  /** What a guest wrote, laid out as verifyChain reads it. */
  function hopDisk(replica: Map<DiskKey, Buffer> | undefined, track: number): BlockReader {
    const records = replica?.get(`hop${track}` as DiskKey)?.subarray(0, chainSlots * sectorBytes)
    const table = toPartitionTable([
      { type: chainPartitionType, offset: sectorBytes, bytes: chainAreaBytes, active: false },
    ])
    const header = toChainHeader({ tracks: 2, track, slots: chainSlots })
    const [disk] = readers(
      new Map([['hop' as DiskKey, Buffer.concat([table, header, records ?? Buffer.alloc(0)])]]),
    )
    if (!disk) throw new Error('it is one disk')
    return disk
  }
})
