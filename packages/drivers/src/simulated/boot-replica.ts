// Making and starting the machine of a run.
import { Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { BootDisk, BootSpec, RunningReplica } from '@understudy/engine/ports/target-platform'
import { checkBoot, freeName } from './networks.ts'
import { type DiskState, stampOf } from './simulated-disk.ts'
import { addCheckpoint, type MachineState, powerOn, type SimulatedMachine } from './simulated-machine.ts'
import { newMachineState, type SimulatedSite } from './simulated-site.ts'

/** A simulated site has no hosts. */
export const THE_PLACE = 'the simulated site'

export async function bootReplica(site: SimulatedSite, spec: BootSpec): Promise<RunningReplica> {
  const machines = await site.machines()
  const blocker = checkBoot(machines.values(), spec).find(({ level }) => level === 'blocker')
  if (blocker) throw new Refusal(blocker)
  const known = await findRun(site, spec.runId)
  if (known === null) await spec.placing.keep(THE_PLACE)
  const machine = known ?? (await site.add(await newReplica(site, spec)))
  offerPoints(machine, spec.disks)
  const checkpoint = trackFromStart(machine, spec.trackingId, site)
  powerOn(machine, site.now())
  await site.files.saveNow()
  site.changed()
  return { ref: machine.state.ref, name: machine.state.name, checkpoint }
}

export async function findRun(site: SimulatedSite, runId: RunId): Promise<SimulatedMachine | null> {
  for (const machine of (await site.machines()).values()) if (machine.state.run?.id === runId) return machine
  return null
}

/** Throws Refusal `run/not-found`. */
export async function requireRun(site: SimulatedSite, runId: RunId): Promise<SimulatedMachine> {
  const machine = await findRun(site, runId)
  if (machine) return machine
  throw new Refusal({
    code: 'run/not-found',
    message: `The simulated site has no machine for run ${runId}`,
    remedy: 'Start it again, or clean it up.',
  })
}

/** Also after a restart of the server: a machine that is not complete yet reads from them. */
export function offerPoints(machine: SimulatedMachine, disks: readonly BootDisk[]): void {
  for (const { key, reader } of disks) {
    const disk = machine.disks.find((candidate) => candidate.state.key === key)
    if (disk?.state.origin === 'point') disk.point = reader
  }
}

/** The mark from before the first instruction. A repeated start finds the one that was made. */
export function trackFromStart(
  machine: SimulatedMachine,
  trackingId: string | null,
  site: SimulatedSite,
): string | null {
  if (trackingId === null) return null
  const known = machine.state.owners[trackingId]?.at(0)
  if (known !== undefined) return known
  return machine.state.power === 'off' ? addCheckpoint(machine, trackingId, [], site.now()) : null
}

async function newReplica(site: SimulatedSite, spec: BootSpec): Promise<MachineState> {
  const disks: DiskState[] = []
  for (const { key, bytes, reader } of spec.disks) {
    // A copy of a simulated guest says in its first grain how it goes on; any other content just lies there.
    const stamp = await stampOf(reader)
    const churnSeed = stamp ? `${stamp.identity} ${spec.runId} disk ${stamp.diskIndex}` : ''
    disks.push({ key, bytes, origin: 'point', stamp, originSeed: '', churnSeed })
  }
  const stamp = disks[0]?.stamp ?? null
  const { hardware, runId, mode, networks } = spec
  const name = freeName((await site.machines()).values(), spec.name)
  const ref = `sim-run-${runId}` as MachineRef
  return {
    ...newMachineState({ ref, name, disks, now: site.now() }),
    hardware: {
      cpus: hardware.cpus,
      memoryBytes: hardware.memoryBytes,
      firmware: hardware.firmware,
      adapters: hardware.adapters.map((adapter) => ({
        ...adapter,
        networkId: networks.get(adapter.key) ?? null,
      })),
    },
    guestAgent: site.settings.guestAgent && stamp !== null,
    identity: stamp?.identity ?? null,
    writesPerSecond: stamp?.writesPerSecond ?? 0,
    run: { id: runId, mode, adopted: false },
  }
}
