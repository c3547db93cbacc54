// What was written to a disk and has not gone to Azure yet: whole grains, gathered in windows of one large request. Pure.
//
// Long writes are copied straight to their place in a room of the window's size, and go from there. Short ones, scattered over a disk,
// are kept one by one: each of them would else cost the room of a whole window.
import { present } from '@understudy/base/invariant'
import type { Extent } from '@understudy/block/device'
import { GRAIN_BYTES, isZero, zeroRuns } from '@understudy/block/zero-detection'
import { REQUEST_BYTES } from './limits.ts'

/** Neighbouring grains of one kind, inside one window. */
export type Batch = Extent & {
  /** Not to be changed. */
  readonly data: Buffer | 'zero'
  /** Gives its room back: only once it has arrived, for a request that failed may still be reading. */
  arrived(): void
}

const GRAINS = REQUEST_BYTES / GRAIN_BYTES
/** From here on a write is worth a room. */
const LONG_BYTES = REQUEST_BYTES / 16
/** To make a room costs as much as to fill it. */
const SPARE_ROOMS = 8

type Kind = typeof NONE | typeof DATA | typeof ZERO
const NONE = 0
const DATA = 1
const ZERO = 2

type Window = {
  readonly kinds: Uint8Array
  /** Grains that are not NONE. */
  known: number
  room: Buffer | null
  /** By their place in the window; empty where there is a room. */
  readonly scattered: Map<number, Buffer>
}

/** The rooms of all disks of a point. Those that are empty again wait for the next window, whichever disk it is of. */
export class Rooms {
  readonly #spare: Buffer[] = []

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(REQUEST_BYTES)
  }

  giveBack(room: Buffer): void {
    if (this.#spare.length < SPARE_ROOMS) this.#spare.push(room)
  }
}

export class PendingWindows {
  readonly #windows = new Map<number, Window>()
  readonly #rooms: Rooms
  #bytes = 0

  constructor(rooms: Rooms) {
    this.#rooms = rooms
  }

  /** What it holds in memory. */
  get bytes(): number {
    return this.#bytes
  }

  /** A copy of a grain; undefined: nothing of it is pending. */
  read(grain: number): Buffer | undefined {
    const window = this.#windows.get(Math.floor(grain / GRAINS))
    const at = grain % GRAINS
    const kind = window?.kinds[at] ?? NONE
    if (window === undefined || kind === NONE) return undefined
    return kind === ZERO ? Buffer.alloc(GRAIN_BYTES) : Buffer.from(contentOf(window, at, at + 1))
  }

  /** Whole grains, copied. Those that are zero are found out. */
  write(offset: number, data: Buffer): void {
    eachWindow({ offset, bytes: data.length }, (number, first, end) => {
      const start = number * REQUEST_BYTES + first * GRAIN_BYTES - offset
      this.#write(number, first, data.subarray(start, start + (end - first) * GRAIN_BYTES))
    })
  }

  zero(range: Extent): void {
    eachWindow(range, (number, first, end) => {
      const window = this.#at(number)
      this.#set(window, first, end, ZERO)
      this.#forgetScattered(window, first, end)
    })
  }

  #write(number: number, first: number, data: Buffer): void {
    const window = this.#at(number)
    if (data.length >= LONG_BYTES && !isZero(data)) this.#giveRoom(window)
    for (const { offset, bytes, kind } of zeroRuns(data, 0)) {
      const [from, to] = [first + offset / GRAIN_BYTES, first + (offset + bytes) / GRAIN_BYTES]
      this.#set(window, from, to, kind === 'zero' ? ZERO : DATA)
      if (window.room !== null) {
        if (kind === 'data') data.copy(window.room, from * GRAIN_BYTES, offset, offset + bytes)
        continue
      }
      this.#forgetScattered(window, from, to)
      if (kind === 'data') this.#scatter(window, from, data.subarray(offset, offset + bytes))
    }
  }

  #at(number: number): Window {
    let window = this.#windows.get(number)
    if (window === undefined) {
      window = { kinds: new Uint8Array(GRAINS), known: 0, room: null, scattered: new Map() }
      this.#windows.set(number, window)
      this.#bytes += GRAINS
    }
    return window
  }

  #set(window: Window, first: number, end: number, kind: Kind): void {
    for (let at = first; at < end; at += 1) if (window.kinds[at] === NONE) window.known += 1
    window.kinds.fill(kind, first, end)
  }

  #scatter(window: Window, first: number, data: Buffer): void {
    const own = Buffer.from(data)
    for (let at = 0; at < own.length; at += GRAIN_BYTES)
      window.scattered.set(first + at / GRAIN_BYTES, own.subarray(at, at + GRAIN_BYTES))
    this.#bytes += own.length
  }

  #forgetScattered(window: Window, first: number, end: number): void {
    if (window.scattered.size === 0) return
    for (let at = first; at < end; at += 1) if (window.scattered.delete(at)) this.#bytes -= GRAIN_BYTES
  }

  #giveRoom(window: Window): void {
    if (window.room !== null) return
    window.room = this.#rooms.take()
    for (const [at, content] of window.scattered) content.copy(window.room, at * GRAIN_BYTES)
    this.#bytes += REQUEST_BYTES - window.scattered.size * GRAIN_BYTES
    window.scattered.clear()
  }

  /** Forgets whole windows: the range begins and ends at one. */
  drop({ offset, bytes }: Extent): void {
    const [first, end] = [offset / REQUEST_BYTES, (offset + bytes) / REQUEST_BYTES]
    const numbers =
      end - first > this.#windows.size
        ? [...this.#windows.keys()].filter((number) => number >= first && number < end)
        : Array.from({ length: end - first }, (_, index) => first + index)
    for (const number of numbers) {
      const window = this.#takeOut(number)
      if (window?.room) this.#rooms.giveBack(window.room)
    }
  }

  /** Takes out the windows that are complete: they need not wait for neighbours. */
  takeFull(): Batch[] {
    return this.#take(({ known }) => known === GRAINS)
  }

  takeAll(): Batch[] {
    return this.#take(() => true)
  }

  #take(isWanted: (window: Window) => boolean): Batch[] {
    const batches: Batch[] = []
    for (const [number, window] of this.#windows) {
      if (!isWanted(window)) continue
      this.#takeOut(number)
      batches.push(...this.#batchesOf(number, window))
    }
    return batches
  }

  #takeOut(number: number): Window | undefined {
    const window = this.#windows.get(number)
    if (window === undefined) return undefined
    this.#windows.delete(number)
    this.#bytes -= GRAINS + (window.room ? REQUEST_BYTES : window.scattered.size * GRAIN_BYTES)
    return window
  }

  #batchesOf(number: number, window: Window): Batch[] {
    const runs = runsOf(window.kinds)
    const { room } = window
    const dataBytes =
      runs.reduce((sum, { kind, first, end }) => sum + (kind === DATA ? end - first : 0), 0) * GRAIN_BYTES
    // What is sent counts by its bytes. A room that is mostly empty does not stay for it.
    const copies = room !== null && dataBytes * 2 < REQUEST_BYTES
    let waiting = copies ? 0 : runs.filter(({ kind }) => kind === DATA).length
    const batches = runs.map(({ kind, first, end }): Batch => {
      const range = {
        offset: number * REQUEST_BYTES + first * GRAIN_BYTES,
        bytes: (end - first) * GRAIN_BYTES,
      }
      if (kind === ZERO) return { ...range, data: 'zero', arrived() {} }
      const content = contentOf(window, first, end)
      return {
        ...range,
        data: copies ? Buffer.from(content) : content,
        arrived: () => {
          waiting -= 1
          if (waiting === 0 && room !== null) this.#rooms.giveBack(room)
        },
      }
    })
    if (room !== null && copies) this.#rooms.giveBack(room)
    return batches
  }
}

/** `use` gets the number of each window that the range touches, and which of its grains. */
function eachWindow(
  { offset, bytes }: Extent,
  use: (number: number, first: number, end: number) => void,
): void {
  for (let at = offset; at < offset + bytes; ) {
    const number = Math.floor(at / REQUEST_BYTES)
    const end = Math.min(offset + bytes, (number + 1) * REQUEST_BYTES)
    const start = number * REQUEST_BYTES
    use(number, (at - start) / GRAIN_BYTES, (end - start) / GRAIN_BYTES)
    at = end
  }
}

/** Without a copy where there is a room, or where it is one grain. */
function contentOf({ room, scattered }: Window, first: number, end: number): Buffer {
  if (room !== null) return room.subarray(first * GRAIN_BYTES, end * GRAIN_BYTES)
  const grains = Array.from({ length: end - first }, (_, index) =>
    present(scattered.get(first + index), 'a grain of data is in the room or kept by itself'),
  )
  return grains.length === 1 ? present(grains[0], 'one grain') : Buffer.concat(grains)
}

function runsOf(kinds: Uint8Array): { kind: Kind; first: number; end: number }[] {
  const runs: { kind: Kind; first: number; end: number }[] = []
  for (let first = 0; first < kinds.length; ) {
    const kind = kinds[first] as Kind
    let end = first + 1
    while (end < kinds.length && kinds[end] === kind) end += 1
    if (kind !== NONE) runs.push({ kind, first, end })
    first = end
  }
  return runs
}
