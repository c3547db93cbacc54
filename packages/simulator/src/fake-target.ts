// The target port over machines in memory.

import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { BlockReader } from '@understudy/block/device'
import { GRAIN_BYTES } from '@understudy/block/zero-detection'
import type { RunId } from '@understudy/domain/failover/failover'
import { chooseFreeName } from '@understudy/domain/machines/choose-free-name'
import type { DiskKey, Finding, MachineRef } from '@understudy/domain/machines/machine'
import type { Network } from '@understudy/domain/sites/site'
import type {
  BootSpec,
  HydrateProgress,
  MachineSpec,
  RestoreDisk,
  TargetPlatform,
} from '@understudy/engine/ports/target-platform'
import type { FakeMachine } from './fake-machine.ts'
import { type FakeMachines, fingerprintsOf, refuseMixed, refuseRunning } from './fake-source.ts'
import { type MemoryDisk, memoryDisk } from './memory-disk.ts'

export type FakeTargetSite = FakeMachines & {
  readonly networks: readonly Network[]
  /** Makes a machine that is off. */
  make(spec: BootSpec, disks: ReadonlyMap<DiskKey, MemoryDisk>, isolated: boolean): FakeMachine
  remove(ref: MachineRef): void
}

/** A fake site has no hosts. */
const THE_PLACE = 'the site'

export function fakeTarget(site: FakeTargetSite): TargetPlatform {
  const ofRun = (runId: RunId): FakeMachine | undefined =>
    site.list().find((machine) => machine.runId === runId)
  const running = (runId: RunId): FakeMachine => {
    const machine = ofRun(runId)
    if (machine) return machine
    throw new Refusal({
      code: 'run/not-found',
      message: `Nothing runs here for ${runId}`,
      remedy: 'Start it again, or clean it up.',
    })
  }
  const reoffer = (machine: FakeMachine, disks: BootSpec['disks']): void => {
    for (const { key, reader } of disks) machine.disks.get(key)?.replaceBase(site.guard(reader))
  }

  return {
    places: async () => [THE_PLACE],
    networks: async () => site.networks,
    preflight: async (spec) => findings(site, spec),
    async boot(spec) {
      const blocker = findings(site, spec).find(({ level }) => level === 'blocker')
      if (blocker) throw new Refusal(blocker)
      let machine = ofRun(spec.runId)
      if (machine) reoffer(machine, spec.disks)
      else {
        await spec.placing.keep(THE_PLACE)
        const disks = spec.disks.map(
          ({ key, bytes, reader }) => [key, memoryDisk(bytes, site.guard(reader))] as const,
        )
        const named = { ...spec, name: freeName(site, spec.name) }
        machine = site.make(named, new Map(disks), isIsolated(site, spec))
      }
      const checkpoint = checkpointOf(machine, spec.trackingId)
      await machine.start()
      return { ref: machine.ref, name: machine.name, checkpoint }
    },
    async reattach({ runId, disks }) {
      const machine = ofRun(runId)
      if (!machine) return
      reoffer(machine, disks)
      // Its guest waits for a read that died with whoever offered the readers before: it is asked for anew, and the boot goes on.
      if (machine.power === 'running' && machine.guest === null) await machine.reboot()
    },
    // Its machines read from the readers themselves: nothing lies in between.
    async detach() {},
    async hydrate(runId, onProgress, signal) {
      const disks = [...running(runId).disks.values()]
      const totalBytes = disks.reduce((sum, disk) => sum + disk.bytes, 0)
      let doneBytes = 0
      for (const disk of disks) {
        doneBytes = await fillDisk(disk, { doneBytes, totalBytes }, onProgress, signal)
        disk.dropBase()
      }
    },
    async screenshot(runId) {
      running(runId)
      return onePixel
    },
    async probe(ref) {
      const machine = site.find(ref)
      const answered = machine.power === 'running' && machine.guest !== null
      return {
        addresses: answered ? [`http://${machine.ref}.invalid`] : [],
        answered,
        note: answered ? `${machine.guest?.records ?? 0} records` : `${machine.name} does not answer`,
      }
    },
    async destroy(runId) {
      const machine = ofRun(runId)
      if (!machine) return
      machine.powerOff()
      site.remove(machine.ref)
    },
    async adopt(runId) {
      const machine = running(runId)
      if ([...machine.disks.values()].some(({ base }) => base !== null))
        throw new Refusal({
          code: 'run/not-hydrated',
          message: `${machine.name} still reads from its recovery point`,
          remedy: 'Wait until its disks are complete.',
        })
      machine.adopted = true
    },
    async stop(runId) {
      ofRun(runId)?.powerOff()
    },
    async restoreInto(ref, disks, { runId, fingerprints, overwriteModified, onProgress }, signal) {
      const machine = site.find(ref)
      refuseRunning(machine)
      const mixed = machine.mixedBy !== null
      if (!mixed && !overwriteModified) await refuseModified(machine, fingerprints)
      machine.mixedBy = runId
      let writtenBytes = 0
      const progress = { doneBytes: 0, totalBytes: disks.reduce((sum, disk) => sum + disk.bytes, 0) }
      for (const disk of disks) {
        const into = present(machine.disks.get(disk.key), `${machine.name} has disk ${disk.key}`)
        // Half restored, nobody knows what is where: compare everything.
        writtenBytes += await restoreDisk(into, mixed ? { ...disk, differs: null } : disk, signal)
        progress.doneBytes += disk.bytes
        onProgress({ ...progress })
      }
      // Old marks say nothing about content that came from elsewhere.
      machine.dropCheckpoints(() => true)
      machine.mixedBy = null
      return { writtenBytes }
    },
    async startTracked(ref, trackingId) {
      const machine = site.find(ref)
      refuseMixed(machine)
      refuseRunning(machine)
      machine.dropCheckpoints((checkpoint) => checkpoint.trackingId === trackingId)
      const checkpoint = checkpointOf(machine, trackingId)
      await machine.start()
      return { checkpoint }
    },
  }
}

/** The mark from before the first instruction; a repeated boot finds the one it made. */
function checkpointOf(machine: FakeMachine, trackingId: string | null): string | null {
  if (trackingId === null || machine.untrackable) return null
  const known = [...machine.checkpoints.values()].find((checkpoint) => checkpoint.trackingId === trackingId)
  if (known) return known.id
  return machine.power === 'off' ? machine.addCheckpoint(trackingId, []).id : null
}

function findings(site: FakeTargetSite, spec: MachineSpec): readonly Finding[] {
  const found: Finding[] = []
  for (const networkId of spec.networks.values()) {
    const network = site.networks.find(({ id }) => id === networkId)
    if (!network)
      found.push({
        level: 'blocker',
        code: 'network/not-found',
        message: `There is no network ${networkId}`,
        remedy: 'Choose another network in the protection.',
      })
    else if (spec.mode === 'test' && !network.isolated)
      found.push({
        level: 'warning',
        code: 'network/not-isolated',
        message: `${network.name} lets a test reach others`,
        remedy: 'Choose an isolated network for tests.',
      })
  }
  const name = freeName(site, spec.name)
  if (name !== spec.name)
    found.push({
      level: 'warning',
      code: 'machine/name-taken',
      message: `There is a machine ${spec.name} already; this one would be called ${name}`,
      remedy: 'Rename that one if this name matters.',
    })
  return found
}

const freeName = (site: FakeTargetSite, wished: string): string =>
  chooseFreeName(wished, new Set(site.list().map(({ name }) => name)))

const isIsolated = (site: FakeTargetSite, spec: BootSpec): boolean =>
  [...spec.networks.values()].every(
    (id) => site.networks.find((network) => network.id === id)?.isolated === true,
  ) && spec.mode === 'test'

const GRAINS_PER_REPORT = 64

async function fillDisk(
  disk: MemoryDisk,
  progress: HydrateProgress,
  onProgress: (progress: HydrateProgress) => void,
  signal: AbortSignal | undefined,
): Promise<number> {
  for (let grain = 0; grain * GRAIN_BYTES < disk.bytes; grain += 1) {
    signal?.throwIfAborted()
    await disk.fillGrain(grain, signal)
    const bytes = Math.min(disk.bytes, (grain + 1) * GRAIN_BYTES)
    if (grain % GRAINS_PER_REPORT === 0) onProgress({ ...progress, doneBytes: progress.doneBytes + bytes })
  }
  const doneBytes = progress.doneBytes + disk.bytes
  onProgress({ ...progress, doneBytes })
  return doneBytes
}

async function restoreDisk(
  into: MemoryDisk,
  disk: RestoreDisk,
  signal: AbortSignal | undefined,
): Promise<number> {
  if (into.bytes !== disk.bytes) into.resize(disk.bytes)
  let writtenBytes = 0
  const whole = [{ offset: 0, bytes: disk.bytes, kind: 'data' as const }]
  for await (const extent of disk.differs ?? whole) {
    const end = Math.min(extent.offset + extent.bytes, disk.bytes)
    for (let offset = extent.offset; offset < end; offset += GRAIN_BYTES) {
      signal?.throwIfAborted()
      const bytes = Math.min(GRAIN_BYTES, end - offset)
      writtenBytes += await restoreRange(into, disk.reader, offset, bytes)
    }
  }
  return writtenBytes
}

async function restoreRange(
  into: MemoryDisk,
  from: BlockReader,
  offset: number,
  bytes: number,
): Promise<number> {
  const [wanted, there] = await Promise.all([from.read(offset, bytes), into.read(offset, bytes)])
  if (wanted.equals(there)) return 0
  await into.write(offset, wanted)
  return bytes
}

async function refuseModified(
  machine: FakeMachine,
  fingerprints: Parameters<TargetPlatform['restoreInto']>[2]['fingerprints'],
): Promise<void> {
  const now = new Map((await fingerprintsOf(machine)).map(({ key, value }) => [key, value]))
  if (fingerprints.every(({ key, value }) => now.get(key) === value)) return
  throw new Refusal({
    code: 'machine/modified',
    message: `The disks of ${machine.name} were written to since it was shut down`,
    remedy: 'Fail back to another machine, or overwrite what was written.',
  })
}

/** A whole PNG: one grey pixel. */
const onePixel = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNogAAAAIIAgd/rYZoAAAAASUVORK5CYII=',
  'base64',
)
