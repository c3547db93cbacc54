// A seed that is written. Frames only ever go to the end; what a crash has cut off there is taken away by whoever opens it next.
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import path from 'node:path'
import { GiB } from '@understudy/base/bytes'
import { invariant, present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { PointFacts } from '@understudy/domain/recovery-points/recovery-point'
import type { SeedIdentity } from '@understudy/domain/seeds/seed'
import type { SeedManifest, SeedMark, SeedPlace, SeedWriter } from '@understudy/engine/ports/seed-folders'
import { damaged, toFailure } from './failures.ts'
import { encodeFrame, type Frame, openFrame } from './frame.ts'
import { type ManifestRecord, openManifest } from './manifest.ts'
import { readFrames } from './read-frames.ts'
import {
  checkFolder,
  HEADER_FILE,
  homeOf,
  listParts,
  MANIFEST_FILE,
  partName,
  readIfThere,
  syncFolder,
  writeWhole,
} from './seed-folder.ts'
import { newHeader, openHeader, parseHeader } from './seed-key.ts'
import { applyContent, applyMark, type MarkRecord, newState, type SeedState, toRecord } from './seed-state.ts'

export type WriterLimits = { readonly partBytes: number }
const usual: WriterLimits = { partBytes: GiB }

type Tail = {
  readonly home: string
  readonly key: Buffer
  readonly limits: WriterLimits
  readonly state: SeedState
  sequence: number
  part: number
  position: number
  storedBytes: number
  handle: FileHandle
  /** Appends go one after the other; a failed one is the last. */
  queue: Promise<void>
}

/** See SeedFolders.openWriter. */
export async function openSeedWriter(
  place: SeedPlace,
  identity: SeedIdentity,
  limits: WriterLimits = usual,
): Promise<SeedWriter> {
  await checkFolder(place.folder)
  const home = homeOf(place.folder, identity.id)
  await mkdir(home, { recursive: true })
  const key = await openKey(home, place.passphrase, identity)
  const tail = await openTail(home, key, limits)
  const finished = await openManifest(home, key, identity)
  return toWriter(tail, identity, finished)
}

async function openKey(home: string, passphrase: string, identity: SeedIdentity): Promise<Buffer> {
  const file = path.join(home, HEADER_FILE)
  const text = await readIfThere(file)
  if (text !== null) return await openHeader(parseHeader(text.toString('utf8')), passphrase)
  // Frames without the key that they were written with are of no use to anybody.
  if ((await listParts(home)).length > 0) throw damaged('its first file is missing')
  const { header, key } = await newHeader(identity, passphrase)
  await writeWhole(file, Buffer.from(JSON.stringify(header, null, 1)))
  return key
}

/** Reads headers, and wholly only the last file: the others were on the disk before it was begun. */
async function openTail(home: string, key: Buffer, limits: WriterLimits): Promise<Tail> {
  const parts = await listParts(home)
  const state = newState()
  const last = parts.at(-1) ?? 1
  const end = { sequence: 0, position: 0, storedBytes: 0 }
  for await (const found of readFrames(home, parts)) {
    if ('whole' in found) {
      if (!found.whole && found.part !== last) throw damaged(`${partName(found.part)} is cut off`)
      if (found.part !== last) end.storedBytes += found.position
      continue
    }
    const { part, header, position } = found
    const proven = part === last || header.kind === 'mark'
    const content = proven ? openFrame(key, header, await found.payload()) : Buffer.alloc(0)
    if (content === null && part !== last)
      throw damaged(`a mark in ${partName(part)} is not what was written`)
    // What follows lost its power before it was on the disk.
    if (content === null) break
    if (header.kind === 'mark') applyMark(state, JSON.parse(content.toString('utf8')) as MarkRecord)
    else applyContent(state, keyOf(state, header.disk), header)
    end.sequence = header.sequence + 1
    if (part === last) end.position = position + header.raw.length + header.payloadBytes
  }
  const handle = await open(path.join(home, partName(last)), parts.length === 0 ? 'wx' : 'r+')
  await handle.truncate(end.position)
  if (parts.length === 0) await syncFolder(home)
  return { home, key, limits, state, part: last, handle, queue: Promise.resolve(), ...end }
}

const keyOf = (state: SeedState, disk: number): DiskKey =>
  present(state.keys[disk], 'a frame names a disk of the mark before it')

function toWriter(tail: Tail, identity: SeedIdentity, known: SeedManifest | null): SeedWriter {
  const { state } = tail
  let finished = known
  const content = async (disk: DiskKey, frame: Pick<Frame, 'kind' | 'offset' | 'bytes' | 'content'>) => {
    invariant(finished === null, 'a complete seed is not written to')
    const number = state.keys.indexOf(disk)
    invariant(number >= 0, 'a disk is in the mark before it is written')
    await append(tail, { ...frame, disk: number })
    applyContent(state, disk, frame)
  }
  return {
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
      await sync(tail)
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
      await sync(tail)
      finished = await writeManifest(tail, identity, { point, disks: mark.disks })
      return finished
    },
    async close() {
      await tail.queue.catch(() => {})
      await tail.handle.close()
    },
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
  const record: ManifestRecord = { ...manifest, frames: tail.sequence }
  const content = Buffer.from(JSON.stringify(record))
  const frame: Frame = { kind: 'manifest', disk: 0, offset: 0, bytes: content.length, content }
  try {
    await writeWhole(path.join(tail.home, MANIFEST_FILE), encodeFrame(tail.key, 0, frame))
  } catch (error) {
    throw toFailure(tail.home, error)
  }
  return manifest
}

/** Resolves when it is in the file. The frame is encoded before this returns: its content may change afterwards. */
function append(tail: Tail, frame: Frame): Promise<void> {
  const encoded = encodeFrame(tail.key, tail.sequence, frame)
  tail.sequence += 1
  tail.queue = tail.queue.then(() => write(tail, encoded))
  // Whoever appends next, or closes, hears of it as well.
  tail.queue.catch(() => {})
  return tail.queue
}

async function write(tail: Tail, encoded: Buffer): Promise<void> {
  try {
    if (tail.position > 0 && tail.position + encoded.length > tail.limits.partBytes) await nextPart(tail)
    let done = 0
    while (done < encoded.length) {
      const { bytesWritten } = await tail.handle.write(
        encoded,
        done,
        encoded.length - done,
        tail.position + done,
      )
      done += bytesWritten
    }
    tail.position += encoded.length
  } catch (error) {
    throw toFailure(tail.home, error)
  }
}

async function nextPart(tail: Tail): Promise<void> {
  // Before the next one is begun: only the last file may end in the middle of a frame.
  await tail.handle.sync()
  await tail.handle.close()
  tail.storedBytes += tail.position
  tail.part += 1
  tail.position = 0
  tail.handle = await open(path.join(tail.home, partName(tail.part)), 'wx')
  await syncFolder(tail.home)
}

async function sync(tail: Tail): Promise<void> {
  await tail.queue
  try {
    await tail.handle.sync()
  } catch (error) {
    throw toFailure(tail.home, error)
  }
}
