// The end of a seed that is written. Frames only ever go there; what a crash has cut off is taken away by whoever opens it next.
import { createHash, type Hash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { damaged, toFailure } from './failures.ts'
import { encodeFrame, type Frame, openFrame, tagOf } from './frame.ts'
import { readFrames } from './read-frames.ts'
import { listParts, newFile, openFile, partName, syncFolder } from './seed-folder.ts'
import { refuseFullServerDisk, type SeedRules } from './seed-rules.ts'
import { applyContent, applyMark, type MarkRecord, newState, type SeedState } from './seed-state.ts'

export type Tail = {
  readonly home: string
  readonly key: Buffer
  readonly rules: SeedRules
  readonly state: SeedState
  /** Over the tags of all frames that are in the files. */
  readonly tags: Hash
  /** What was taken away when it was opened. */
  readonly cutBytes: number
  sequence: number
  part: number
  position: number
  storedBytes: number
  handle: FileHandle
  /** Appends go one after the other; a failed one is the last. */
  queue: Promise<void>
}

/** Reads headers, and wholly only the last file: the others were on the disk before it was begun. */
export async function openTail(home: string, key: Buffer, rules: SeedRules): Promise<Tail> {
  await refuseFullServerDisk(home, rules)
  const parts = await listParts(home)
  const state = newState()
  const tags = createHash('sha256')
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
    const content = proven ? await openFrame(key, header, await found.payload()) : Buffer.alloc(0)
    if (content === null && part !== last)
      throw damaged(`a mark in ${partName(part)} is not what was written`)
    // What follows lost its power before it was on the disk.
    if (content === null) break
    if (header.kind === 'mark') applyMark(state, JSON.parse(content.toString('utf8')) as MarkRecord)
    else applyContent(state, keyOf(state, header.disk), header)
    tags.update(tagOf(header.raw))
    end.sequence = header.sequence + 1
    if (part === last) end.position = position + header.raw.length + header.payloadBytes
  }
  const file = path.join(home, partName(last))
  const handle = await (parts.length === 0 ? newFile(file) : openFile(file, 'write'))
  const { size } = await handle.stat()
  await handle.truncate(end.position)
  if (parts.length === 0) await syncFolder(home)
  const cutBytes = size - end.position
  return { home, key, rules, state, tags, cutBytes, part: last, handle, queue: Promise.resolve(), ...end }
}

const keyOf = (state: SeedState, disk: number): DiskKey =>
  present(state.keys[disk], 'a frame names a disk of the mark before it')

/** Resolves when it is in the file; until then its content must not change. */
export function append(tail: Tail, frame: Frame): Promise<void> {
  const encoding = encodeFrame(tail.key, tail.sequence, frame)
  // It is awaited in its turn; until then a failure must not count as unhandled.
  encoding.catch(() => {})
  tail.sequence += 1
  tail.queue = tail.queue.then(async () => write(tail, await encoding))
  // Whoever appends next, or closes, hears of it as well.
  tail.queue.catch(() => {})
  return tail.queue
}

async function write(tail: Tail, encoded: Buffer): Promise<void> {
  try {
    if (tail.position > 0 && tail.position + encoded.length > tail.rules.partBytes) await nextPart(tail)
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
    tail.tags.update(tagOf(encoded))
  } catch (error) {
    throw toFailure(tail.home, error)
  }
}

async function nextPart(tail: Tail): Promise<void> {
  await refuseFullServerDisk(tail.home, tail.rules)
  // Before the next one is begun: only the last file may end in the middle of a frame.
  await tail.handle.sync()
  await tail.handle.close()
  tail.storedBytes += tail.position
  tail.part += 1
  tail.position = 0
  tail.handle = await newFile(path.join(tail.home, partName(tail.part)))
  await syncFolder(tail.home)
}

/** All that was appended outlives a loss of power once it resolves. */
export async function syncTail(tail: Tail): Promise<void> {
  await tail.queue
  try {
    await tail.handle.sync()
  } catch (error) {
    throw toFailure(tail.home, error)
  }
}

export async function closeTail(tail: Tail): Promise<void> {
  await tail.queue.catch(() => {})
  await tail.handle.close()
}
