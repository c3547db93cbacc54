// Removes what carries the tag of a run, and nothing else: first the machine, then what it used, each after what needs it.
import type { RunId } from '@understudy/domain/failover/failover'
import type { Whereabouts } from '@understudy/engine/ports/target-platform'
import type { Shelf } from './arm-calls.ts'
import { placeMissing } from './arm-failures.ts'
import { removeCopies } from './boot-in-azure.ts'
import { isOfRun, isPartName, type Tagged } from './run-names.ts'
import { placeOf } from './settings.ts'
import { isOf } from './source/marks.ts'
import { listMarks, removeMarks } from './source/take-marks.ts'
import type { TargetParts } from './target-parts.ts'

export async function destroyRun(
  parts: TargetParts,
  runId: RunId,
  whereabouts: Whereabouts,
  signal?: AbortSignal,
): Promise<void> {
  const { arm, settings } = parts
  if (whereabouts.kind === 'at' && whereabouts.place !== placeOf(settings))
    throw placeMissing(whereabouts.place)
  await removeAll(arm.machines, (machine) => isOfRun(machine, runId), signal)
  // A tag is copied easily; a name of ours is not met by chance.
  const isPart = (part: Tagged): boolean => isOfRun(part, runId) && isPartName(runId, part.name ?? '')
  await removeAll(arm.adapters, isPart, signal)
  await removeAll(arm.addresses, isPart, signal)
  await removeAll(arm.networks, isPart, signal)
  await removeAll(arm.groups, isPart, signal)
  await removeAll(arm.disks, isPart, signal)
  const marks = (await listMarks(parts, signal)).filter((mark) => isOf(mark, { kind: 'run', runId }, null))
  await removeMarks(parts, marks, signal)
  await removeCopies(parts, { runId }, signal)
}

async function removeAll<Item extends Tagged>(
  shelf: Shelf<Item>,
  isOurs: (item: Item) => boolean,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const item of await shelf.list(signal))
    if (isOurs(item) && item.name !== undefined) await shelf.remove(item.name, signal)
}
