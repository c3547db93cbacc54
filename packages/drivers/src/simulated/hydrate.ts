// Copying behind a running replica what it still reads from its recovery point.
import { MiB } from '@understudy/base/bytes'
import type { MappedExtent } from '@understudy/block/device'
import type { HydrateProgress } from '@understudy/engine/ports/target-platform'
import { detachFromPoint, fillFromPoint, type SimulatedDisk } from './simulated-disk.ts'
import type { SimulatedMachine } from './simulated-machine.ts'
import type { SimulatedSite } from './simulated-site.ts'

const PIECE_BYTES = MiB

/** Disk after disk. What was copied before stays; zeros cost nothing. */
export async function hydrateReplica(
  site: SimulatedSite,
  machine: SimulatedMachine,
  onProgress: (progress: HydrateProgress) => void,
  signal?: AbortSignal,
): Promise<void> {
  const totalBytes = machine.disks.reduce((sum, disk) => sum + disk.state.bytes, 0)
  let doneBytes = 0
  for (const disk of machine.disks) {
    for await (const piece of piecesOf(disk, signal)) {
      signal?.throwIfAborted()
      if (piece.kind === 'data') await fillFromPoint(disk, piece, signal)
      doneBytes += piece.bytes
      onProgress({ doneBytes, totalBytes })
    }
    detachFromPoint(disk)
    await site.files.saveNow()
  }
  onProgress({ doneBytes: totalBytes, totalBytes })
}

/** The whole disk in pieces; those that the point knows to be zeros in one go. */
async function* piecesOf(
  { state, point }: SimulatedDisk,
  signal?: AbortSignal,
): AsyncGenerator<MappedExtent> {
  const whole: MappedExtent = { offset: 0, bytes: state.bytes, kind: 'data' }
  if (state.origin !== 'point') {
    yield { ...whole, kind: 'zero' }
    return
  }
  const pointBytes = Math.min(state.bytes, point?.bytes ?? state.bytes)
  const extents = point?.map?.({ offset: 0, bytes: pointBytes }, signal) ?? [{ ...whole, bytes: pointBytes }]
  for await (const extent of extents) {
    if (extent.kind === 'zero') yield extent
    else yield* cut(extent)
  }
  if (pointBytes < state.bytes) yield { offset: pointBytes, bytes: state.bytes - pointBytes, kind: 'zero' }
}

/** At multiples of the piece, so that no grain is cut in two. */
function* cut({ offset, bytes }: MappedExtent): Generator<MappedExtent> {
  const end = offset + bytes
  for (let at = offset; at < end; ) {
    const next = Math.min(end, at - (at % PIECE_BYTES) + PIECE_BYTES)
    yield { offset: at, bytes: next - at, kind: 'data' }
    at = next
  }
}
