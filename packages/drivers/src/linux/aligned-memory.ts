// Memory that begins at a page, as O_DIRECT wants it, used again and again: each piece of it reserves gigabytes of addresses.
import { KiB } from '@understudy/base/bytes'
import { invariant } from '@understudy/base/invariant'

/** Of what O_DIRECT asks for; sectors are 512 or 4,096 bytes. */
export const ALIGNMENT = 4 * KiB
/** The largest read past the page cache. */
export const PIECE_BYTES = 256 * KiB
const PIECES = 16

export type AlignedMemory = {
  /** A piece for one read. Waits for one to be given back. */
  takePiece(): Promise<Buffer>
  givePiece(piece: Buffer): void
  /** Of one point while it is taken, and touched already: nothing has to be asked of the system when it is used. */
  takeHeld(bytes: number): Buffer
  giveHeld(held: Buffer): void
}

export function openAlignedMemory(): AlignedMemory {
  const memory = allocate(PIECES * PIECE_BYTES)
  const pieces = Array.from({ length: PIECES }, (_, index) =>
    memory.subarray(index * PIECE_BYTES, (index + 1) * PIECE_BYTES),
  )
  const waiting: ((piece: Buffer) => void)[] = []
  let held: Buffer[] = []
  return {
    takePiece: async () => pieces.pop() ?? (await new Promise((resolve) => waiting.push(resolve))),
    givePiece(piece) {
      const next = waiting.shift()
      if (next) next(piece)
      else pieces.push(piece)
    },
    takeHeld(bytes) {
      const free = held.find(({ length }) => length === bytes)
      held = held.filter((other) => other !== free)
      return free ?? allocate(bytes).fill(1)
    },
    giveHeld(given) {
      invariant(!held.includes(given), 'it is given back once')
      held.push(given)
    },
  }
}

/** Of the language's own, whose types come with a browser only. Node has no other way to such memory. */
declare const WebAssembly: {
  readonly Memory: new (pages: { initial: number }) => { readonly buffer: ArrayBuffer }
}

const allocate = (bytes: number): Buffer =>
  Buffer.from(new WebAssembly.Memory({ initial: Math.ceil(bytes / (64 * KiB)) }).buffer, 0, bytes)
