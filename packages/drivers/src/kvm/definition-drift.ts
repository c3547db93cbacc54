// A machine that runs with other disks than its definition names. While it runs that does no harm: points follow QEMU. But
// the definition is all that is left of it when it is off, and a disk that was added, or a file that was put over another,
// since it was started would then be missing from the last point without anybody noticing.
import { isAbsolute } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { type GraphDisk, readBlockGraph } from './block-graph.ts'
import { type DefinedDisk, diskPath } from './machine-definition.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { definitionOf } from './power.ts'

/** Why the two differ, for people. Null: they do not. Pure. */
export function driftOf(
  defined: readonly DefinedDisk[],
  running: readonly Pick<GraphDisk, 'key' | 'file'>[],
  folder: string,
): { readonly key: DiskKey; readonly what: string } | null {
  for (const { key, file } of running) {
    const disk = defined.find((candidate) => candidate.key === key)
    if (disk === undefined) return { key, what: 'is not in its definition' }
    // QEMU also writes a node's options in place of a file's name; that says nothing.
    if (isAbsolute(file) && file !== diskPath(folder, disk))
      return { key, what: `is written to ${file}, which its definition does not name` }
  }
  const gone = defined.find(({ key }) => !running.some((disk) => disk.key === key))
  return gone === undefined ? null : { key: gone.key, what: 'is in its definition, but it runs without it' }
}

/**
 * Refusal `source/disks-not-defined` when the machine runs with other disks than it would be read with once it is off.
 * Disks that are excluded do not count. Says nothing of one that has no process.
 */
export async function refuseDrift(
  machine: MachineLocation,
  excluded: readonly DiskKey[],
  signal?: AbortSignal,
): Promise<void> {
  const { disks: defined } = definitionOf(machine)
  const running = await runningDisks(machine, signal)
  if (running === null) return
  const counts = ({ key }: { readonly key: DiskKey }): boolean => !excluded.includes(key)
  const drift = driftOf(defined.filter(counts), running.filter(counts), machine.folder)
  if (drift !== null)
    throw disksNotDefined(machine.name, drift.key, drift.what, `${machine.folder}/machine.json`)
}

export const disksNotDefined = (name: string, key: string, what: string, where: string): Refusal =>
  new Refusal({
    code: 'source/disks-not-defined',
    message: `Disk ${key} of ${name} ${what}; once the machine is off its last changes could not be read`,
    remedy: `Make ${where} say what the machine runs with (or attach or detach the disk), or exclude the disk; then try again.`,
    facts: { disk: key },
  })

async function runningDisks(
  machine: MachineLocation,
  signal: AbortSignal | undefined,
): Promise<readonly GraphDisk[] | null> {
  try {
    return await withMonitor(machine, async (qmp) => (await readBlockGraph(qmp)).disks, { signal })
  } catch (error) {
    if (error instanceof Outage && error.code === 'kvm/socket-closed') return null
    throw error
  }
}
