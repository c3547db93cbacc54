// Making a running replica independent of us: QEMU's `block-stream` copies behind the guest what its overlays still lack,
// and drops the backing at the end. The job lives in QEMU, so it goes on while we are away; we only look at it.
// Streamed data does not count as changed by the guest: dirty bitmaps stay as they are.
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { HydrateProgress } from '@understudy/engine/ports/target-platform'
import {
  type DefinedDisk,
  diskDeviceId,
  diskNodeName,
  type MachineDefinition,
  saveMachineDefinition,
} from './machine-definition.ts'
import { withMonitor } from './monitor.ts'
import { backingNodeName } from './qemu-command.ts'
import type { Qmp } from './qmp.ts'
import type { RunMachine } from './runs.ts'

const POLL_MILLISECONDS = 300
/** A job fails when a read failed, for instance because we were away for too long. */
const MOST_ATTEMPTS = 3

export type HydrateOptions = {
  readonly onProgress: (progress: HydrateProgress) => void
  /** The disk has all its data. Called before it is told to anybody. */
  readonly onIndependent: (key: DiskKey) => Promise<void>
  readonly signal?: AbortSignal | undefined
}

type Job = { readonly id: string; readonly 'current-progress': number; readonly 'total-progress': number }
type Drive = { readonly qdev?: string; readonly inserted?: { readonly backing_file_depth: number } }
/** What is seen of one disk, and what follows from it. */
export type DiskState =
  | { readonly kind: 'streaming'; readonly part: number }
  | { readonly kind: 'idle' }
  | { readonly kind: 'independent' }

/** Resolves when no disk needs us. Repeatable; adopts jobs that run already. Outage when the machine is not there. */
export async function hydrateReplica(machine: RunMachine, options: HydrateOptions): Promise<void> {
  let definition = machine.definition
  await followStreams(machine, {
    ...options,
    look: (disks) => withMonitor(machine, (qmp) => look(qmp, disks), { signal: options.signal }),
    async onIndependent(key) {
      definition = withoutBacking(definition, key)
      await saveMachineDefinition(machine.host, machine.folder, definition)
      await options.onIndependent(key)
    },
  })
}

export type FollowOptions = HydrateOptions & {
  /** Sees how far each of these disks is and does what is next for it: begins its stream, or settles what is complete. */
  readonly look: (disks: readonly DefinedDisk[]) => Promise<ReadonlyMap<DiskKey, DiskState>>
}

/** Looks again and again until every disk is independent. Outage `target/hydrate-failed` when a stream keeps failing. */
export async function followStreams(machine: RunMachine, options: FollowOptions): Promise<void> {
  const { signal } = options
  const all = machine.definition.disks
  const totalBytes = all.reduce((sum, { bytes }) => sum + bytes, 0)
  const waiting = new Map(all.filter(({ backing }) => backing !== undefined).map((disk) => [disk.key, disk]))
  const begun = new Map<DiskKey, number>()
  let doneBytes = 0

  while (waiting.size > 0) {
    signal?.throwIfAborted()
    const seen = await options.look([...waiting.values()])
    for (const [key, state] of seen) {
      if (state.kind === 'idle') begun.set(key, (begun.get(key) ?? 0) + 1)
      // A job that is not there any more while the backing still is has failed.
      if ((begun.get(key) ?? 0) > MOST_ATTEMPTS) throw streamFailed(machine, key)
      if (state.kind !== 'independent') continue
      await options.onIndependent(key)
      waiting.delete(key)
    }
    const missingBytes = [...waiting.values()].reduce(
      (sum, disk) => sum + disk.bytes * (1 - partOf(seen.get(disk.key))),
      0,
    )
    // A stream that begins again passes over what it has copied; nothing of that is lost.
    doneBytes = Math.max(doneBytes, Math.round(totalBytes - missingBytes))
    options.onProgress({ doneBytes, totalBytes })
    if (waiting.size > 0) await sleep(POLL_MILLISECONDS, undefined, signal === undefined ? {} : { signal })
  }
  options.onProgress({ doneBytes: totalBytes, totalBytes })
}

const partOf = (state: DiskState | undefined): number => (state?.kind === 'streaming' ? state.part : 0)

/** One short visit: sees how far every disk is and does what is next for it. */
async function look(qmp: Qmp, disks: readonly DefinedDisk[]): Promise<ReadonlyMap<DiskKey, DiskState>> {
  const jobs = await qmp.execute<readonly Job[]>('query-jobs')
  // Not query-named-block-nodes: it always says a depth of 0 when flat, and is slow when not.
  const drives = await qmp.execute<readonly Drive[]>('query-block')
  const seen = new Map<DiskKey, DiskState>()
  for (const { key } of disks) {
    const drive = drives.find(({ qdev }) => qdev?.includes(`/${diskDeviceId(key)}/`))
    invariant(drive?.inserted !== undefined, `QEMU has disk ${key}`)
    const job = jobs.find(({ id }) => id === jobId(key))
    const state = stateOf(job, drive.inserted.backing_file_depth)
    seen.set(key, state)
    if (state.kind === 'idle')
      // Dismissed by itself when it ends: QEMU 7.2 crashes on listing its nodes while an ended stream is kept.
      await qmp.execute('block-stream', { 'job-id': jobId(key), device: diskNodeName(key) })
    if (state.kind === 'independent') await settleDisk(qmp, key)
  }
  return seen
}

const jobId = (key: DiskKey): string => `us-hydrate-${key}`

function stateOf(job: Job | undefined, backingDepth: number): DiskState {
  if (job === undefined) return { kind: backingDepth > 0 ? 'idle' : 'independent' }
  const part = job['total-progress'] === 0 ? 0 : job['current-progress'] / job['total-progress']
  return { kind: 'streaming', part: Math.min(1, part) }
}

/**
 * What was streamed must be on the disk before the definition says that nothing is missing: until then a host that crashes
 * comes back with the backing. The backing's node stays open beside the graph, and with it the connection to us.
 */
async function settleDisk(qmp: Qmp, key: DiskKey): Promise<void> {
  await qmp.human(`qemu-io -d /machine/peripheral/${diskDeviceId(key)}/virtio-backend flush`)
  type Node = { readonly 'node-name'?: string }
  const name = backingNodeName(key)
  const nodes = await qmp.execute<readonly Node[]>('query-named-block-nodes', { flat: true })
  if (nodes.some((node) => node['node-name'] === name))
    await qmp.execute('blockdev-del', { 'node-name': name })
}

const withoutBacking = (definition: MachineDefinition, key: DiskKey): MachineDefinition => ({
  ...definition,
  disks: definition.disks.map(({ backing, ...disk }) =>
    disk.key === key || backing === undefined ? disk : { ...disk, backing },
  ),
})

const streamFailed = (machine: RunMachine, key: DiskKey): Outage =>
  new Outage({
    code: 'target/hydrate-failed',
    message: `Disk ${key} of ${machine.name} cannot be completed: QEMU gave up copying ${MOST_ATTEMPTS} times`,
    remedy: 'Look at the free space of the host and at the replica store; it goes on from where it was.',
  })
