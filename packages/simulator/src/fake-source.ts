// The source port over machines in memory.
import { createHash } from 'node:crypto'
import { Outage, Refusal } from '@understudy/base/errors'
import type { BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import {
  type DiskFingerprint,
  LET_GO,
  type OpenPointRequest,
  type ShutDownProof,
  type SourceDisk,
  type SourceMachinePoint,
  type SourcePlatform,
} from '@understudy/engine/ports/source-platform'
import type { FakeCheckpoint, FakeMachine } from './fake-machine.ts'
import { imageReader, readAll } from './memory-disk.ts'
import type { VirtualClock } from './virtual-clock.ts'

export type FakeMachines = {
  readonly clock: VirtualClock
  list(): readonly FakeMachine[]
  find(ref: MachineRef): FakeMachine
  onChange(listener: () => void): () => void
  shortestIntervalSeconds(): number
  /** Its machines are read by a program inside each of them: silent when off, neither switched nor started from here, but at a last point. */
  readByThemselves(): boolean
  /** Readers that fail when the site is down. */
  guard(reader: BlockReader): BlockReader
}

const PAUSE_MILLISECONDS = 2
const SETTLING_PAUSE_MILLISECONDS = 40

export function fakeSource(machines: FakeMachines): SourcePlatform {
  const { clock } = machines
  const proof = (ref: MachineRef, how: string): ShutDownProof => ({
    at: clock.now(),
    evidence: `${ref}: ${how}`,
  })

  const byHand = (): Refusal =>
    new Refusal({
      code: 'machine/by-hand',
      message: 'This machine is not switched from here',
      remedy: 'Switch it by hand.',
    })
  return {
    get shortestIntervalSeconds() {
      return machines.shortestIntervalSeconds()
    },
    get shutsDownAtPoint() {
      return machines.readByThemselves()
    },
    inventory: async () => machines.list().map((machine) => machine.discovered()),
    watch(onChange, signal) {
      signal.addEventListener('abort', machines.onChange(onChange), { once: true })
    },
    async eligibility(ref) {
      const machine = machines.find(ref)
      const untrackable = {
        level: 'blocker',
        code: 'machine/untrackable',
        message: `${machine.name} cannot be tracked`,
        remedy: 'Move its disks to a format that keeps track of changes.',
      } as const
      return {
        findings: machine.untrackable ? [untrackable] : [],
        shortestIntervalSeconds: machines.shortestIntervalSeconds(),
        applicationConsistent: machine.guestAgent,
      }
    },
    async openPoint(request) {
      const found = request.machines.map((wanted) => ({ wanted, machine: machines.find(wanted.ref) }))
      // Everything is checked before anything changes: a failed call leaves `since` valid.
      for (const { machine } of found) requireRunning(machine)
      for (const { wanted, machine } of found)
        if (wanted.since !== null && machine.checkpoints.get(wanted.since)?.trackingId !== wanted.trackingId)
          return { kind: 'tracking-lost', ref: wanted.ref, reason: trackingLost(machine) }
      const { last } = request
      const opened = found.map(({ wanted, machine }) =>
        openMachinePoint(machines, machine, { ...wanted, last }),
      )
      const withoutAgent = found.find(({ machine }) => !machine.guestAgent)?.machine
      const asked = request.consistency === 'application'
      return {
        kind: 'opened',
        point: {
          instant: clock.now(),
          consistency: asked && !withoutAgent ? 'application' : 'crash',
          consistencyNote: asked && withoutAgent ? `No guest agent answers in ${withoutAgent.name}` : null,
          machines: opened,
          pauseMilliseconds: PAUSE_MILLISECONDS,
          async release(kept) {
            for (const point of opened) await point.release(kept)
          },
        },
      }
    },
    async stopTracking(ref, trackingId) {
      for (const machine of machines.list())
        if (machine.ref === ref) machine.dropCheckpoints((checkpoint) => checkpoint.trackingId === trackingId)
    },
    async powerState(ref) {
      const { power } = machines.find(ref)
      return power === 'off' && machines.readByThemselves() ? 'unknown' : power
    },
    async shutDown(ref, { timeoutSeconds, signal }) {
      if (machines.readByThemselves()) throw byHand()
      const machine = machines.find(ref)
      if (machine.power === 'off') return proof(ref, 'was off already')
      if (machine.ignoresShutDown) {
        await clock.sleep(timeoutSeconds * 1000, signal)
        throw new Outage({
          code: 'machine/still-on',
          message: `${machine.name} has not shut down within ${timeoutSeconds} s`,
          remedy: 'Shut it down by hand, or power it off.',
        })
      }
      machine.shutDown()
      return proof(ref, 'guest powered down')
    },
    async powerOff(ref) {
      if (machines.readByThemselves()) throw byHand()
      machines.find(ref).powerOff()
      return proof(ref, 'powered off')
    },
    async start(ref) {
      if (machines.readByThemselves()) throw byHand()
      const machine = machines.find(ref)
      refuseMixed(machine)
      await machine.start()
    },
    async openStoppedDisks(ref, { excludedDisks, trackingId, since }) {
      if (machines.readByThemselves()) throw byHand()
      const machine = machines.find(ref)
      refuseRunning(machine)
      const checkpoint = since === null ? undefined : machine.checkpoints.get(since)
      const known = checkpoint?.trackingId === trackingId ? checkpoint : null
      return {
        sinceKnown: known !== null,
        disks: sourceDisks(machines, machine, excludedDisks, known),
        fingerprints: await fingerprintsOf(machine),
        close: async () => {},
      }
    },
  }
}

function openMachinePoint(
  machines: FakeMachines,
  machine: FakeMachine,
  {
    trackingId,
    since,
    excludedDisks,
    readWhole = false,
    last,
  }: OpenPointRequest['machines'][number] & { readonly last: OpenPointRequest['last'] },
): SourceMachinePoint {
  machine.letGo()
  // Whatever else this owner tracks was left behind by a predecessor that died.
  machine.dropCheckpoints((checkpoint) => checkpoint.trackingId === trackingId && checkpoint.id !== since)
  const baseline = since === null ? null : (machine.checkpoints.get(since) ?? null)
  const opened = sourceDisks(machines, machine, excludedDisks, baseline)
  const isIdle =
    baseline !== null && opened.every(({ key }) => machine.changedSince(baseline, key)?.length === 0)
  // As strict as the port allows.
  const disks = isIdle && !readWhole ? opened.map((disk) => ({ ...disk, reader: unreadable(disk) })) : opened
  if (machine.settles || last)
    return openSettlingPoint(machines, machine, {
      trackingId,
      excludedDisks,
      baseline,
      disks,
      isWhole: since === null || readWhole,
      holdSeconds: last?.holdSeconds ?? null,
    })
  const checkpoint = machine.untrackable ? null : machine.addCheckpoint(trackingId, excludedDisks)
  let released = false
  return {
    ref: machine.ref,
    checkpoint: checkpoint?.id ?? null,
    disks,
    async release(kept) {
      if (released) return
      released = true
      const dropped = kept ? baseline : checkpoint
      machine.dropCheckpoints((other) => other === dropped)
    },
  }
}

type Settling = {
  readonly trackingId: string
  readonly excludedDisks: readonly DiskKey[]
  readonly baseline: FakeCheckpoint | null
  readonly disks: readonly SourceDisk[]
  readonly isWhole: boolean
  /** Of a last point. */
  readonly holdSeconds: number | null
}

/** Nothing holds still: what is read is what is there now, and what was written meanwhile comes in rounds. */
function openSettlingPoint(
  machines: FakeMachines,
  machine: FakeMachine,
  { trackingId, excludedDisks, baseline, disks, isWhole, holdSeconds }: Settling,
): SourceMachinePoint {
  // The ranges were chosen when it was opened; their content is what is there when it is read.
  const live = disks.map((disk) => ({
    ...disk,
    reader: machines.guard(liveReader(machine, disk.key)),
    changed: (signal?: AbortSignal) => asData(disk.changed(signal)),
  }))
  let written = machine.addCheckpoint(trackingId, excludedDisks)
  const opening = isWhole && !machine.untrackable ? machine.addCheckpoint(trackingId, excludedDisks) : null
  let checkpoint: FakeCheckpoint | null = null
  let released = false
  const hold = {}
  const letGo = (): void => {
    if (machine.heldBy === hold) machine.letGo()
  }
  const takeRound = (): readonly SourceDisk[] => {
    const before = written
    written = machine.addCheckpoint(trackingId, excludedDisks)
    machine.dropCheckpoints((other) => other === before)
    return sourceDisks(machines, machine, excludedDisks, before)
  }
  return {
    ref: machine.ref,
    checkpoint: opening?.id ?? null,
    disks: live,
    async settle(copy, signal) {
      await machine.whileSettling?.()
      const first = takeRound()
      await copy(first.map((disk) => ({ ...disk, reader: machines.guard(liveReader(machine, disk.key)) })))
      signal?.throwIfAborted()
      await machine.whileSettling?.()
      if (holdSeconds !== null) {
        machine.hold(hold)
        void machines.clock.sleep(holdSeconds * 1000).then(letGo)
      }
      // The instant: what is left is taken in one go, and copied when the machine has gone on.
      const last = takeRound()
      const facts = {
        instant: machines.clock.now(),
        consistency: 'crash',
        consistencyNote: null,
        pauseMilliseconds: SETTLING_PAUSE_MILLISECONDS,
      } as const
      checkpoint = machine.untrackable ? null : machine.addCheckpoint(trackingId, excludedDisks)
      machine.onSettled?.()
      if (holdSeconds === null) await machine.whileSettling?.()
      await copy(last)
      return { ...facts, checkpoint: checkpoint?.id ?? null }
    },
    ...(holdSeconds === null
      ? {}
      : {
          async powerOff(): Promise<ShutDownProof> {
            if (machine.power === 'off') return { at: machines.clock.now(), evidence: 'was off already' }
            if (machine.heldBy !== hold) throw letGoInstead(machine)
            machine.powerOff()
            return { at: machines.clock.now(), evidence: `${machine.ref}: held until it was off` }
          },
        }),
    async release(kept) {
      if (released) return
      released = true
      letGo()
      const dropped = kept ? [baseline, opening] : [checkpoint]
      machine.dropCheckpoints((other) => dropped.includes(other) || other === written)
    },
  }
}

const letGoInstead = ({ name }: FakeMachine): Outage =>
  new Outage({
    code: LET_GO,
    message: `${name} was held for too long, and runs on`,
    remedy: 'Run the failover again.',
  })

const liveReader = (machine: FakeMachine, key: DiskKey): BlockReader => ({
  bytes: machine.readDisk(key).bytes,
  read: (offset, bytes, signal) => machine.readDisk(key).read(offset, bytes, signal),
  close: async () => {},
})

const unreadable = ({ bytes }: SourceDisk): BlockReader => ({
  bytes,
  async read() {
    throw new Error('Nothing has changed in this point, and nobody asked to read it whole')
  },
  close: async () => {},
})

/** What reads as zeros now may be written before anybody comes to it. */
async function* asData(extents: AsyncIterable<MappedExtent>): AsyncGenerator<MappedExtent> {
  for await (const extent of extents) yield { ...extent, kind: 'data' }
}

/** Content and changes are both taken now, in one go: nothing awaits, so nothing is written in between. */
function sourceDisks(
  machines: FakeMachines,
  machine: FakeMachine,
  excluded: readonly DiskKey[],
  baseline: FakeCheckpoint | null,
): readonly SourceDisk[] {
  return [...machine.disks]
    .filter(([key]) => !excluded.includes(key))
    .map(([key, disk]) => {
      const reader = imageReader(disk.image())
      const changes = baseline && machine.changedSince(baseline, key)
      const whole = [{ offset: 0, bytes: disk.bytes }]
      return {
        key,
        bytes: disk.bytes,
        reader: machines.guard(reader),
        changed: (signal) => mapped(reader, changes ?? whole, signal),
      }
    })
}

async function* mapped(
  reader: BlockReader,
  extents: readonly Extent[],
  signal: AbortSignal | undefined,
): AsyncGenerator<MappedExtent> {
  for (const extent of extents) {
    signal?.throwIfAborted()
    yield* reader.map?.(extent, signal) ?? [{ ...extent, kind: 'data' as const }]
  }
}

/** The content itself: two disks with the same fingerprint are the same disk. */
export async function fingerprintsOf(machine: FakeMachine): Promise<readonly DiskFingerprint[]> {
  return await Promise.all(
    [...machine.disks].map(async ([key, disk]) => ({
      key,
      value: createHash('sha256')
        .update(await readAll(disk))
        .digest('hex'),
    })),
  )
}

export function refuseRunning(machine: FakeMachine): void {
  if (machine.power !== 'off')
    throw new Refusal({
      code: 'machine/running',
      message: `${machine.name} is running`,
      remedy: 'Shut it down first.',
    })
}

export function refuseMixed(machine: FakeMachine): void {
  if (machine.mixedBy !== null)
    throw new Refusal({
      code: 'machine/restore-unfinished',
      message: `The disks of ${machine.name} are mixed: a restore into it was interrupted`,
      remedy: 'Let the restore finish; retry its job.',
    })
}

function requireRunning(machine: FakeMachine): void {
  if (machine.power !== 'running')
    throw new Outage({
      code: 'machine/not-running',
      message: `${machine.name} is off`,
      remedy: 'Start it; replication goes on by itself.',
    })
}

const trackingLost = (machine: FakeMachine): { code: string; message: string } => ({
  code: 'tracking/lost',
  message: `${machine.name} was stopped hard or replaced, so what changed meanwhile is not known`,
})
