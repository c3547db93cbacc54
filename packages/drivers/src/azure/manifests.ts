// One manifest per point: what was known of it, and of which snapshots it is made. Written once, never changed; deleted when the
// point goes. What is said about a point later (notes, holders) stands in the metadata of the same blob, so that a hold and an
// expiry meet at one ETag: whichever comes second fails.
//
// A copy of the manifest stands in the metadata too, where it fits: a list then tells everything, 5,000 points a request.
import { deflateRawSync, inflateRawSync } from 'node:zlib'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type {
  PointAnnotations,
  PointFacts,
  PointId,
  RecoveryPoint,
} from '@understudy/domain/recovery-points/recovery-point'
import { marksTooLong, unknownFormat } from './failures.ts'
import { METADATA_BYTES } from './limits.ts'
import type { ListedBlob, Metadata, SnapshotRef, StorageCalls } from './storage-calls.ts'

export type StoredSnapshot = Omit<SnapshotRef, 'name'>

export type StoredDisk = {
  readonly key: DiskKey
  readonly bytes: number
  /** Names its two page blobs: see `blob-names.ts`. */
  readonly blob: string
  readonly content: StoredSnapshot
  readonly sums: StoredSnapshot
}

export type Manifest = PointFacts & {
  /** 2: an unfinished copy. A version that knows none must not take it for a recovery point. */
  readonly format: 1 | 2
  readonly sequence: number
  readonly sealedAt: number
  readonly disks: readonly StoredDisk[]
  readonly changedBytes: number
  readonly storedBytes: number
  /** Tells it from what another writer put in this place. */
  readonly write: string
}

export type Marks = { readonly annotations: PointAnnotations; readonly heldBy: readonly string[] }

/** A point as it lies there. */
export type StoredPoint = { readonly manifest: Manifest; readonly marks: Marks; readonly etag: string }

export const noMarks: Marks = { annotations: {}, heldBy: [] }

const MARKS_BYTES = 2048
const COPY_BYTES = METADATA_BYTES - MARKS_BYTES - 256

export const pointIdOf = (sequence: number): PointId => String(sequence).padStart(12, '0') as PointId
export const sequenceOf = (id: PointId): number => Number(id)

export const manifestName = (folder: string, sequence: number): string =>
  `${folder}points/${pointIdOf(sequence)}.json`

export function toRecoveryPoint({ manifest, marks }: StoredPoint): RecoveryPoint {
  const { format: _format, sequence, write: _write, disks, ...facts } = manifest
  return {
    ...facts,
    id: pointIdOf(sequence),
    disks: disks.map(({ key, bytes }) => ({ key, bytes })),
    annotations: marks.annotations,
    heldBy: marks.heldBy,
  }
}

/** The point that is there now, or null when another writer's lies in its place. Not a point before the head says so. */
export async function putManifest(
  calls: StorageCalls,
  folder: string,
  manifest: Manifest,
): Promise<StoredPoint | null> {
  const name = manifestName(folder, manifest.sequence)
  const body = Buffer.from(JSON.stringify(manifest))
  const metadata = toMetadata(manifest, noMarks)
  const etag = await calls.put(name, { body, metadata }, 'absent')
  if (etag !== null) return { manifest, marks: noMarks, etag }
  // The answer to an earlier attempt may have been lost.
  const found = await calls.get(name)
  if (found === null || parse(found.body).write !== manifest.write) return null
  return { manifest, marks: noMarks, etag: found.etag }
}

export async function* listManifests(
  calls: StorageCalls,
  folder: string,
  signal?: AbortSignal,
): AsyncIterable<StoredPoint> {
  for await (const blob of calls.list(`${folder}points/`, { metadata: true }, signal)) {
    const point = await fromListed(calls, blob, signal)
    if (point !== null) yield point
  }
}

async function fromListed(
  calls: StorageCalls,
  { name, etag, metadata }: ListedBlob,
  signal: AbortSignal | undefined,
): Promise<StoredPoint | null> {
  const { copy } = metadata
  if (copy !== undefined) return { manifest: parse(unpack(copy)), marks: marksOf(metadata), etag }
  const found = await calls.get(name, signal)
  if (found === null) return null
  return { manifest: parse(found.body), marks: marksOf(found.metadata), etag: found.etag }
}

/** As it is now; null when it is gone. */
export async function loadManifest(
  calls: StorageCalls,
  folder: string,
  sequence: number,
): Promise<StoredPoint | null> {
  const found = await calls.get(manifestName(folder, sequence))
  if (found === null) return null
  return { manifest: parse(found.body), marks: marksOf(found.metadata), etag: found.etag }
}

const MARK_TRIES = 50

/** Null when the point is gone. Durable when it resolves; other processes may mark the same point at once. */
export async function markPoint(
  calls: StorageCalls,
  folder: string,
  known: StoredPoint,
  change: (marks: Marks) => Marks,
): Promise<StoredPoint | null> {
  let { manifest, marks, etag } = known
  const name = manifestName(folder, manifest.sequence)
  for (let tries = 0; tries < MARK_TRIES; tries += 1) {
    const wanted = change(marks)
    if (wanted === marks) return { manifest, marks, etag }
    const written = await calls.putMetadata(name, toMetadata(manifest, wanted), etag)
    if (written !== null) return { manifest, marks: wanted, etag: written }
    const now = await loadManifest(calls, folder, manifest.sequence)
    if (now === null) return null
    ;({ manifest, marks, etag } = now)
  }
  return null
}

function toMetadata(manifest: Manifest, marks: Marks): Metadata {
  const copy = pack(manifest)
  const kept = pack(marks)
  if (kept.length > MARKS_BYTES) throw marksTooLong()
  return { ...(copy.length <= COPY_BYTES ? { copy } : {}), marks: kept }
}

const marksOf = ({ marks }: Metadata): Marks =>
  marks === undefined ? noMarks : (JSON.parse(unpack(marks).toString('utf8')) as Marks)

/** Headers carry only plain letters. */
const pack = (value: unknown): string => deflateRawSync(JSON.stringify(value)).toString('base64')
const unpack = (text: string): Buffer => inflateRawSync(Buffer.from(text, 'base64'))

function parse(body: Buffer): Manifest {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (
      typeof value === 'object' &&
      value !== null &&
      'format' in value &&
      (value.format === 1 || value.format === 2)
    )
      return value as Manifest
  } catch {
    // No JSON: whatever wrote it, it was not us.
  }
  throw unknownFormat()
}
