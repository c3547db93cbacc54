// For every grain of a disk: is it the base's, ours, or zero? Kept in chunks that appear when something in them changes, so
// that a huge and mostly unchanged disk costs little memory: one byte per 4 KiB where written, nothing elsewhere.
import { roundUp } from '@understudy/base/bytes'
import type { Extent } from './device.ts'

export type GrainState = 'base' | 'data' | 'zero'
export type GrainRun = Extent & { readonly state: GrainState }

export type GrainMap = {
  /** How much is not the base's. */
  readonly changedBytes: number
  /** The state of the grain that holds this offset. */
  get(offset: number): GrainState
  /** Sets all grains of the range, whose ends lie on grains or at the end of the disk. False when all were so already. */
  set(range: Extent, state: 'data' | 'zero'): boolean
  /** The range as runs of one state each, in order and without gaps. */
  runs(range: Extent): GrainRun[]
}

const CHUNK_GRAINS = 4096
const states = ['base', 'data', 'zero'] as const
const numberOf: Record<GrainState, number> = { base: 0, data: 1, zero: 2 }

export function grainMap(diskBytes: number, grainBytes: number): GrainMap {
  /** A number stands for a chunk whose grains are all alike; absent means all base. */
  const chunks = new Map<number, Uint8Array | number>()
  let changedGrains = 0

  const stateAt = (grain: number): number => {
    const chunk = chunks.get(Math.floor(grain / CHUNK_GRAINS)) ?? 0
    return typeof chunk === 'number' ? chunk : (chunk[grain % CHUNK_GRAINS] ?? 0)
  }
  const setInChunk = (index: number, start: number, end: number, value: number): boolean => {
    const chunk = chunks.get(index) ?? 0
    if (chunk === value) return false
    const whole = start === 0 && end === CHUNK_GRAINS
    if (whole && typeof chunk === 'number') {
      // In one step: a guest may discard a tebibyte at once.
      if (chunk === 0) changedGrains += CHUNK_GRAINS
      chunks.set(index, value)
      return true
    }
    const grains = typeof chunk === 'number' ? new Uint8Array(CHUNK_GRAINS).fill(chunk) : chunk
    let changed = false
    for (let grain = start; grain < end; grain += 1) {
      const old = grains[grain]
      if (old === value) continue
      changed = true
      if (old === 0) changedGrains += 1
    }
    grains.fill(value, start, end)
    chunks.set(index, whole ? value : grains)
    return changed
  }

  return {
    get changedBytes() {
      return Math.min(changedGrains * grainBytes, diskBytes)
    },
    get: (offset) => states[stateAt(Math.floor(offset / grainBytes))] ?? 'base',
    set(range, state) {
      const first = range.offset / grainBytes
      const end = roundUp(range.offset + range.bytes, grainBytes) / grainBytes
      let changed = false
      for (let grain = first; grain < end; ) {
        const index = Math.floor(grain / CHUNK_GRAINS)
        const start = grain % CHUNK_GRAINS
        const stop = Math.min(CHUNK_GRAINS, start + end - grain)
        changed = setInChunk(index, start, stop, numberOf[state]) || changed
        grain += stop - start
      }
      return changed
    },
    runs(range) {
      const found: GrainRun[] = []
      const end = range.offset + range.bytes
      for (let offset = range.offset; offset < end; ) {
        const grain = Math.floor(offset / grainBytes)
        const value = stateAt(grain)
        const index = Math.floor(grain / CHUNK_GRAINS)
        // A chunk of one state is passed in one step.
        const uniform = typeof (chunks.get(index) ?? 0) === 'number'
        const next = Math.min(end, (uniform ? (index + 1) * CHUNK_GRAINS : grain + 1) * grainBytes)
        const state = states[value] ?? 'base'
        const last = found.at(-1)
        if (last !== undefined && last.state === state)
          found[found.length - 1] = { ...last, bytes: last.bytes + next - offset }
        else found.push({ offset, bytes: next - offset, state })
        offset = next
      }
      return found
    },
  }
}
