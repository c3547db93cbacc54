// A seed that is written: begun, gone on with, or found to be complete.
import path from 'node:path'
import { InvariantError } from '@understudy/base/errors'
import { invariant, present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { PointFacts } from '@understudy/domain/recovery-points/recovery-point'
import type { SeedIdentity } from '@understudy/domain/seeds/seed'
import type {
  SeedManifest,
  SeedMark,
  SeedPlace,
  SeedStart,
  SeedWriter,
} from '@understudy/engine/ports/seed-folders'
import { damaged, notMounted, ofAnother, toFailure } from './failures.ts'
import { encodeFrame, type Frame } from './frame.ts'
import { checkComplete, type ManifestRecord, openManifest } from './manifest.ts'
import {
  checkFolder,
  HEADER_FILE,
  homeOf,
  isHomeThere,
  listParts,
  MANIFEST_FILE,
  makeHome,
  writeWhole,
} from './seed-folder.ts'
import { findHeader, fingerprintOf, newHeader, openHeader } from './seed-key.ts'
import { refuseServerDisk, refuseTaken, type SeedRules } from './seed-rules.ts'
import { applyContent, applyMark, type MarkRecord, toRecord } from './seed-state.ts'
import { append, closeTail, openTail, syncTail, type Tail } from './seed-tail.ts'

type Opening = {
  readonly place: SeedPlace
  readonly identity: SeedIdentity
  readonly start: SeedStart
}
type OpenedKey = { readonly key: Buffer; readonly fingerprint: string }

/** See SeedFolders.openWriter. */
export async function openSeedWriter(opening: Opening, rules: SeedRules): Promise<SeedWriter> {
  const { place, identity, start } = opening
  await checkFolder(place.folder)
  await refuseTaken(place.folder, rules)
  if (start.fingerprint === null) await refuseServerDisk(place.folder, rules, start.acceptsServerDisk)
  const home = homeOf(place.folder, identity.id)
  const { key, fingerprint } = (await findKey(home, opening)) ?? (await beginKey(home, opening))
  // Before anything is opened to be written: a seed that is complete may be cut by nothing but its own damage.
  const manifest = await openManifest(home, key, identity)
  if (manifest === null) return toWriter(await openTail(home, key, rules), identity, fingerprint)
  await checkComplete(home, manifest)
  return completeWriter(manifest, fingerprint)
}

/** Null: it was not begun. */
async function findKey(home: string, { place, identity, start }: Opening): Promise<OpenedKey | null> {
  const header = (await isHomeThere(home)) ? await findHeader(home) : null
  const fingerprint = header && fingerprintOf(header)
  if (start.fingerprint !== null && start.fingerprint !== fingerprint) throw notMounted(place.folder)
  if (header === null || fingerprint === null) return null
  const isIts = (['id', 'protectionId', 'replicaId'] as const).every(
    (name) => header[name] === identity[name],
  )
  if (!isIts) throw ofAnother(home, header.machineName)
  return { key: await openHeader(header, place.passphrase), fingerprint }
}

async function beginKey(home: string, { place, identity }: Opening): Promise<OpenedKey> {
  await makeHome(home)
  // Frames without the key that they were written with are of no use to anybody.
  if ((await listParts(home)).length > 0) throw damaged('its first file is missing')
  const { header, key } = await newHeader(identity, place.passphrase)
  await writeWhole(path.join(home, HEADER_FILE), Buffer.from(JSON.stringify(header, null, 1)))
  return { key, fingerprint: fingerprintOf(header) }
}

function toWriter(tail: Tail, identity: SeedIdentity, fingerprint: string): SeedWriter {
  const { state, cutBytes } = tail
  let finished: SeedManifest | null = null
  const content = async (disk: DiskKey, frame: Pick<Frame, 'kind' | 'offset' | 'bytes' | 'content'>) => {
    invariant(finished === null, 'a complete seed is not written to')
    const number = state.keys.indexOf(disk)
    invariant(number >= 0, 'a disk is in the mark before it is written')
    await append(tail, { ...frame, disk: number })
    applyContent(state, disk, frame)
  }
  return {
    fingerprint,
    cutBytes,
    get mark() {
      return state.mark
    },
    get finished() {
      return finished
    },
    safe: (disk) => state.safe.get(disk) ?? [],
    async moveTo(mark: SeedMark, stale) {
      invariant(finished === null, 'a complete seed is not written to')
      const record = toRecord(state, mark, stale)
      await append(tail, markFrame(record))
      await syncTail(tail)
      applyMark(state, record)
    },
    write: (disk, offset, data) => content(disk, { kind: 'data', offset, bytes: data.length, content: data }),
    zero: (disk, offset, bytes) => content(disk, { kind: 'zero', offset, bytes, content: Buffer.alloc(0) }),
    async finish(point: PointFacts) {
      const mark = present(state.mark, 'a seed that is complete has a mark')
      for (const { key, bytes } of mark.disks) {
        const [only, more] = state.safe.get(key) ?? []
        invariant(more === undefined && (only?.bytes ?? 0) === bytes, `${key} is in the seed as a whole`)
      }
      await syncTail(tail)
      finished = await writeManifest(tail, identity, { point, disks: mark.disks })
      return finished
    },
    close: () => closeTail(tail),
  }
}

/** Of a seed that is complete: says so, and takes nothing more. */
function completeWriter(manifest: SeedManifest, fingerprint: string): SeedWriter {
  const { disks, point } = manifest
  const refuse = async (): Promise<never> => {
    throw new InvariantError('a complete seed is not written to')
  }
  return {
    fingerprint,
    cutBytes: 0,
    mark: { checkpoint: point.checkpoint, disks },
    finished: manifest,
    safe: (disk) => disks.flatMap(({ key, bytes }) => (key === disk ? [{ offset: 0, bytes }] : [])),
    moveTo: refuse,
    write: refuse,
    zero: refuse,
    finish: refuse,
    close: async () => {},
  }
}

function markFrame(record: MarkRecord): Frame {
  const content = Buffer.from(JSON.stringify(record))
  return { kind: 'mark', disk: 0, offset: 0, bytes: content.length, content }
}

async function writeManifest(
  tail: Tail,
  identity: SeedIdentity,
  what: Pick<SeedManifest, 'point' | 'disks'>,
): Promise<SeedManifest> {
  const manifest: SeedManifest = { ...identity, ...what, storedBytes: tail.storedBytes + tail.position }
  const record: ManifestRecord = {
    ...manifest,
    frames: tail.sequence,
    tags: tail.tags.copy().digest('base64'),
  }
  const content = Buffer.from(JSON.stringify(record))
  const frame: Frame = { kind: 'manifest', disk: 0, offset: 0, bytes: content.length, content }
  try {
    await writeWhole(path.join(tail.home, MANIFEST_FILE), await encodeFrame(tail.key, 0, frame))
  } catch (error) {
    throw toFailure(tail.home, error)
  }
  return manifest
}
