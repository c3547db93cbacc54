// Starting a replica from a recovery point with nothing copied before:
//
//     guest -> overlay (qcow2, on the host) -> NBD -> our reader of the point
//
// Order: where it is made, in the engine's keeping; definition (with the run's tag, so that everything after it can be found and removed), overlays, server, QEMU paused,
// tracking, first instruction. Each step finds what a killed predecessor did and goes on from there.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Finding } from '@understudy/domain/machines/machine'
import type { BootSpec, RunningReplica } from '@understudy/engine/ports/target-platform'
import { type GraphDisk, readBlockGraph } from './block-graph.ts'
import { beginTracking, bitmapsOf, processIdentity } from './dirty-bitmaps.ts'
import { chooseFreePorts } from './free-ports.ts'
import type { Host } from './host.ts'
import { hostFailed } from './local-host.ts'
import {
  type DefinedDisk,
  diskPath,
  type MachineDefinition,
  saveMachineDefinition,
} from './machine-definition.ts'
import { withMonitor } from './monitor.ts'
import { type Checkpoint, checkpointText } from './ownership.ts'
import { powerState, startMachine } from './power.ts'
import { choosePlace, freeMachineName, preflightFindings } from './preflight.ts'
import type { Qmp } from './qmp.ts'
import { backingSocketPath, replicaDefinition, replicaFolderName } from './replica-definition.ts'
import { loadRunRecord, type RunRecord, saveRunRecord } from './run-record.ts'
import { loadRunMachine, type RunMachine, searchBegun } from './runs.ts'
import { readPreflightFacts, type TargetSite } from './target-site.ts'

const PORT_ATTEMPTS = 5
const PREDECESSOR_MILLISECONDS = 15_000
const POLL_MILLISECONDS = 200

/** See TargetPlatform.boot. */
export async function bootReplica(
  deps: TargetSite,
  spec: BootSpec,
  signal?: AbortSignal,
): Promise<RunningReplica> {
  const { machine: existing } = await searchBegun(deps.hosts, spec.runId, spec.placing.before)
  const machine = existing ?? (await makeReplica(deps, spec, signal))
  const record = await loadRunRecord(machine.host, machine.folder)
  for (const disk of machine.definition.disks) await createOverlay(machine, disk)
  await serveDisks(deps, machine, spec)
  const checkpoint = await startReplica(deps, machine, record ?? newRecord(spec), spec.trackingId, signal)
  return {
    ref: machine.ref,
    name: machine.name,
    checkpoint: checkpoint === null ? null : checkpointText(checkpoint),
  }
}

/** Offers the disks that still need us, unless they are offered; returns whether it did. Nothing to do for a machine that is hydrated. */
export async function serveDisks(
  { exports }: Pick<TargetSite, 'exports'>,
  machine: RunMachine,
  spec: Pick<BootSpec, 'runId' | 'disks'>,
): Promise<boolean> {
  const needed = machine.definition.disks.filter(({ backing }) => backing !== undefined)
  if (needed.length === 0) return false
  const disks = needed.map(({ key }) => {
    const disk = spec.disks.find((candidate) => candidate.key === key)
    if (disk === undefined) throw diskMissing(machine, key)
    return disk
  })
  return exports.serve(spec.runId, machine.host, backingSocketPath(machine.folder), disks)
}

export const newRecord = ({ runId, mode }: BootSpec): RunRecord => ({
  runId,
  mode,
  started: false,
  adopted: false,
})

async function makeReplica(deps: TargetSite, spec: BootSpec, signal?: AbortSignal): Promise<RunMachine> {
  const facts = await readPreflightFacts(deps, spec.runId, signal)
  const blocker = preflightFindings(spec, facts).find(({ level }) => level === 'blocker')
  if (blocker !== undefined) throw toRefusal(blocker)
  const host = choosePlace(spec, facts)
  if (host === null) throw new Refusal(nowhere(spec))

  const folder = join(host.machinesFolder, replicaFolderName(spec.name, spec.runId))
  await spec.placing.keep(host.place)
  await host.makeFolder(folder)
  const takePort = await chooseFreePorts(host, facts.machines)
  const named = { ...spec, name: freeMachineName(spec.name, facts) }
  await saveMachineDefinition(host, folder, replicaDefinition(named, deps.settings, { folder, takePort }))
  const machine = await loadRunMachine(host, folder)
  if (machine === null) throw hostFailed(host.name, `keep ${folder}`, new Error('it is gone again'))
  return machine
}

export const toRefusal = ({ code, message, remedy }: Finding): Refusal =>
  new Refusal({ code, message, remedy })

export const nowhere = ({ name }: Pick<BootSpec, 'name'>) => ({
  code: 'target/no-host',
  message: `No host of the site can run ${name}`,
  remedy: 'Look at the preflight findings of this machine.',
})

/** Names its backing in its header as well: whoever opens it without us then fails, and does not read zeros. */
export async function createOverlay(
  { host, folder }: Pick<RunMachine, 'host' | 'folder'>,
  disk: DefinedDisk,
): Promise<void> {
  const { backing } = disk
  const path = diskPath(folder, disk)
  if (backing === undefined || (await host.status(path)) !== null) return
  const url = `nbd+unix:///${encodeURIComponent(backing.exportName)}?socket=${backing.path}`
  const unfinished = `${path}.new`
  await host.removeFile(unfinished)
  // -u: the backing is not opened now.
  const create = ['create', '-q', '-u', '-f', 'qcow2', '-b', url, '-F', 'raw', unfinished, String(disk.bytes)]
  await succeed(host, 'qemu-img', create)
  await succeed(host, 'mv', ['-f', unfinished, path])
}

async function succeed(host: Host, command: string, args: readonly string[]): Promise<void> {
  const result = await host.run(command, args)
  if (result.code !== 0)
    throw hostFailed(host.name, `run ${command}`, new Error(result.stderr.trim().slice(-500)))
}

async function startReplica(
  deps: TargetSite,
  machine: RunMachine,
  record: RunRecord,
  trackingId: string | null,
  signal: AbortSignal | undefined,
): Promise<Checkpoint | null> {
  if ((await powerState(machine, signal)) === 'running')
    return withMonitor(machine, (qmp) => findCheckpoint(qmp, trackingId), { signal })

  let checkpoint: Checkpoint | null = null
  const beforeFirstInstruction = async (qmp: Qmp): Promise<void> => {
    checkpoint = await trackFromFirstInstruction(qmp, machine, record, trackingId)
  }
  await startWithFreePorts(deps, machine, (withPorts) =>
    startAfterPredecessor(
      () =>
        startMachine(withPorts, {
          bootDeadlineSeconds: deps.settings.bootDeadlineSeconds,
          beforeFirstInstruction,
          signal,
        }),
      signal,
    ),
  )
  return checkpoint
}

/**
 * We may come while a QEMU that a killed predecessor launched is still opening its disks: it has locked its pid file and does
 * not answer yet. A moment later it does, and is ours to go on with.
 */
async function startAfterPredecessor(
  start: () => Promise<void>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = performance.now() + PREDECESSOR_MILLISECONDS
  for (;;) {
    try {
      return await start()
    } catch (error) {
      if (performance.now() > deadline || !mayBePredecessor(error)) throw error
    }
    await sleep(POLL_MILLISECONDS, undefined, signal === undefined ? {} : { signal })
  }
}

const mayBePredecessor = (error: unknown): boolean =>
  error instanceof Outage &&
  (error.code === 'source/power-unknown' ||
    (error.code === 'kvm/start-failed' && /pid file|lock/i.test(error.message)))

/** While the guest is still to run its first instruction. At a later start it finds what the first one began. */
export async function trackFromFirstInstruction(
  qmp: Qmp,
  { host, folder }: Pick<RunMachine, 'host' | 'folder'>,
  record: RunRecord,
  trackingId: string | null,
): Promise<Checkpoint | null> {
  if (record.started) return findCheckpoint(qmp, trackingId)
  const checkpoint =
    trackingId === null ? null : await beginTracking(qmp, (await readBlockGraph(qmp)).disks, trackingId)
  // From here on the guest may have written; tracking cannot begin at the point any more.
  await saveRunRecord(host, folder, { ...record, started: true })
  return checkpoint
}

/** What a killed predecessor began; null when it was lost since, for instance with the host. */
export async function findCheckpoint(qmp: Qmp, trackingId: string | null): Promise<Checkpoint | null> {
  if (trackingId === null) return null
  const { disks } = await readBlockGraph(qmp)
  const names = new Set(disks.map((disk) => oldestBitmap(disk, trackingId)))
  const [bitmap] = names
  if (names.size !== 1 || bitmap === undefined || bitmap === null) return null
  return {
    bitmap,
    process: await processIdentity(qmp),
    disks: new Map(disks.map((disk) => [disk.key, disk.bytes])),
  }
}

function oldestBitmap(disk: GraphDisk, trackingId: string): string | null {
  const [oldest] = bitmapsOf(disk, trackingId)
  return oldest === undefined || oldest.inconsistent || !oldest.recording ? null : oldest.name
}

/** Somebody may take a port between our choice and QEMU's: then others are chosen. */
async function startWithFreePorts(
  deps: TargetSite,
  machine: RunMachine,
  start: (machine: RunMachine) => Promise<void>,
): Promise<void> {
  let current = machine
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(current)
    } catch (error) {
      if (attempt === PORT_ATTEMPTS || !isPortTaken(error)) throw error
    }
    const takePort = await chooseFreePorts(machine.host, (await deps.directory.survey()).machines)
    const definition = withPorts(current.definition, takePort)
    await saveMachineDefinition(machine.host, machine.folder, definition)
    current = { ...current, definition }
  }
}

const isPortTaken = (error: unknown): boolean =>
  error instanceof Outage &&
  error.code === 'kvm/start-failed' &&
  error.message.includes('host forwarding rule')

const withPorts = (definition: MachineDefinition, takePort: () => number): MachineDefinition => ({
  ...definition,
  adapters: definition.adapters.map((adapter) => ({
    ...adapter,
    forwards: adapter.forwards.map(({ guestPort }) => ({ guestPort, hostPort: takePort() })),
  })),
})

const diskMissing = (machine: RunMachine, key: string): Refusal =>
  new Refusal({
    code: 'target/disk-missing',
    message: `${machine.name} needs disk ${key}, which the recovery point does not have`,
    remedy: 'Choose another recovery point.',
  })
