// The disks of an open point, as the engine reads them.
import { MiB, roundDown } from '@understudy/base/bytes'
import { isAbort, Outage, Refusal } from '@understudy/base/errors'
import { invariant } from '@understudy/base/invariant'
import type { MappedExtent } from '@understudy/block/device'
import { connectNbd, isConnectionLoss, type NbdDevice } from '@understudy/block/nbd/client'
import type { SourceDisk, SourceMachinePoint } from '@understudy/engine/ports/source-platform'
import { changedSince, toSnapshotDisk, wholeDisk } from './changed-extents.ts'
import type { MachineLocation } from './monitor.ts'
import { exportSocketPath } from './nbd-server.ts'
import { checkpointText } from './ownership.ts'
import type { PreparedMachine } from './prepare-point.ts'
import { askForSaved, DEPTH_CONTEXT, type SavedContent } from './saved-content.ts'
import { CLUSTER_BYTES, scratchFull } from './scratch.ts'
import { accessExport, type SnapshotDisk, scratchExport } from './snapshot.ts'

export type OpenedMachine = {
  readonly point: Omit<SourceMachinePoint, 'release'>
  close(): Promise<void>
}

/** Connects to what QEMU shows of the point. `close` ends the connections, not the point. */
export async function openDisks(prepared: PreparedMachine): Promise<OpenedMachine> {
  const { machine, snapshots, checkpoint } = prepared
  if (prepared.unchangedAt !== null) return unchangedDisks(prepared)
  const socket = await machine.host.forward(exportSocketPath(machine))
  const devices: NbdDevice[] = []
  const close = async (): Promise<void> => {
    await Promise.allSettled(devices.map((device) => device.close()))
    await socket.close()
  }
  try {
    const connect = async (exportName: string, ...metaContexts: string[]): Promise<NbdDevice> => {
      const address = { kind: 'unix' as const, path: socket.path }
      const device = await connectNbd({
        address,
        exportName,
        metaContexts: ['base:allocation', ...metaContexts],
      })
      devices.push(device)
      return device
    }
    const disks = await allSettled(
      snapshots.map(async (snapshot) => {
        const bitmaps = snapshot.sinceBitmap === null ? [] : [`qemu:dirty-bitmap:${snapshot.sinceBitmap}`]
        const [access, scratch] = await allSettled([
          connect(accessExport(snapshot), ...bitmaps),
          connect(scratchExport(snapshot), DEPTH_CONTEXT),
        ])
        return toSourceDisk(prepared, snapshot, access, scratch)
      }),
    )
    return { point: { ref: machine.ref, checkpoint: checkpointText(checkpoint), disks }, close }
  } catch (error) {
    await close()
    throw error
  }
}

function unchangedDisks({ machine, checkpoint }: PreparedMachine): OpenedMachine {
  const disks = [...checkpoint.disks].map(
    ([key, bytes]): SourceDisk => ({
      key,
      bytes,
      reader: {
        bytes,
        async read() {
          invariant(false, 'nothing has changed, so nothing of this point is read')
        },
        close: async () => undefined,
      },
      async *changed() {},
    }),
  )
  return {
    point: { ref: machine.ref, checkpoint: checkpointText(checkpoint), disks },
    close: async () => undefined,
  }
}

/** As Promise.all, but a failure is thrown only when all have settled: what connects late is known then, and closed. */
async function allSettled<Works extends readonly Promise<unknown>[] | []>(
  works: Works,
): Promise<{ -readonly [Key in keyof Works]: Awaited<Works[Key]> }> {
  await Promise.allSettled(works)
  return Promise.all(works)
}

function toSourceDisk(
  prepared: PreparedMachine,
  snapshot: SnapshotDisk,
  device: NbdDevice,
  scratch: NbdDevice,
): SourceDisk {
  const { disk, sinceBitmap } = snapshot
  const mapped = toSnapshotDisk(device, scratch)
  const saved = askForSaved(scratch)
  const bytesThen = prepared.since?.disks.get(disk.key)
  const explain = (error: unknown): Promise<unknown> => explainReadFailure(prepared.machine, snapshot, error)
  const translated = async function* (extents: AsyncIterable<MappedExtent>): AsyncGenerator<MappedExtent> {
    try {
      yield* extents
    } catch (error) {
      throw await explain(error)
    }
  }
  return {
    key: disk.key,
    bytes: device.bytes,
    reader: {
      bytes: device.bytes,
      async read(offset, bytes, signal) {
        const target = Buffer.allocUnsafeSlow(bytes)
        try {
          await readSnapshot({ device, saved }, offset, target, signal)
          return target
        } catch (error) {
          throw await explain(error)
        }
      },
      async readInto(offset, target, signal) {
        try {
          await readSnapshot({ device, saved }, offset, target, signal)
        } catch (error) {
          throw await explain(error)
        }
      },
      map: (range, signal) => translated(mapped.map(range, signal)),
      close: () => device.close(),
    },
    changed: (signal) =>
      translated(
        sinceBitmap === null || bytesThen === undefined
          ? wholeDisk(mapped, signal)
          : changedSince(mapped, sinceBitmap, bytesThen, signal),
      ),
  }
}

type Snapshot = {
  readonly device: NbdDevice
  readonly saved: SavedContent
}

/**
 * QEMU (7.2) takes a range that begins with saved content and ends with content that the guest has left alone for one that was not
 * saved at all (hbitmap_status returns false there). What comes back then is what the guest has made of it since, silently. So what
 * was read across an edge of what is saved at once counts only when nothing in it has been saved by then; content that is saved
 * stays saved, so that holds for the moment of the read too. Else it is read again, without crossing an edge.
 */
async function readSnapshot(
  { device, saved }: Snapshot,
  offset: number,
  target: Buffer,
  signal: AbortSignal | undefined,
): Promise<void> {
  await saved.reading(() => device.readInto(offset, target, signal))
  if (crossesEdge(offset, target.length) && (await saved.has({ offset, bytes: target.length }, signal)))
    await readByClusters(device, offset, target, signal)
}

const crossesEdge = (offset: number, bytes: number): boolean =>
  roundDown(offset, CLUSTER_BYTES) !== roundDown(offset + bytes - 1, CLUSTER_BYTES)

async function readByClusters(
  device: NbdDevice,
  offset: number,
  target: Buffer,
  signal: AbortSignal | undefined,
): Promise<void> {
  const pieces: Promise<void>[] = []
  for (let done = 0; done < target.length; ) {
    const bytes = Math.min(target.length - done, CLUSTER_BYTES - ((offset + done) % CLUSTER_BYTES))
    pieces.push(device.readInto(offset + done, target.subarray(done, done + bytes), signal))
    done += bytes
  }
  await Promise.all(pieces)
}

/** QEMU answers every read of a broken snapshot with the same plain error. The scratch file says why it broke. */
async function explainReadFailure(
  machine: MachineLocation,
  snapshot: SnapshotDisk,
  error: unknown,
): Promise<unknown> {
  if (isAbort(error) || isConnectionLoss(error)) return error
  if (!(error instanceof Outage || error instanceof Refusal)) return error
  const { disk, scratchPath, scratchBytes } = snapshot
  const status = await machine.host.status(scratchPath).catch(() => null)
  const freeBytes = await machine.host.freeBytes(machine.folder).catch(() => 0)
  // QEMU copies in pieces, so what did not fit was larger than what was left.
  const leastLeftBytes = Math.max(8 * MiB, scratchBytes / 5)
  const leftBytes = Math.min(scratchBytes - (status?.allocatedBytes ?? scratchBytes), freeBytes)
  const nearlyFull = leftBytes < leastLeftBytes
  if (nearlyFull) return scratchFull(machine.name, disk.key, status?.allocatedBytes ?? 0, error)
  return new Outage({
    code: 'source/snapshot-broken',
    message: `QEMU gave up the snapshot of disk ${disk.key} of ${machine.name} to keep the guest going`,
    remedy:
      'The next cycle begins afresh. If it keeps happening, look at the storage that holds the machine folder.',
    cause: error,
  })
}
