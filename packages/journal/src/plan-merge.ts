// Which layers to merge next, which of their segments to rewrite, and which merged indexes are missing. Pure.
import type { JournalLimits } from './limits.ts'
import type { Layer, ReplicaState, SegmentFact } from './replica-state.ts'

/** Indexes into the layers, both inclusive. `folds`: the oldest layer is among them. */
export type MergePlan = { readonly start: number; readonly end: number; readonly folds: boolean }

/** Null when nothing is worth it. */
export function planMerge(state: ReplicaState, limits: JournalLimits): MergePlan | null {
  const kept = new Set(state.points.map(({ sequence }) => sequence))
  let start = 0
  for (let end = 0; end < state.layers.length; end += 1) {
    if (!kept.has(state.layers[end]?.last ?? 0)) continue
    const plan = start === 0 ? planFold(state.layers, end, limits) : planGroup(start, end, limits)
    if (plan !== null) return plan
    start = end + 1
  }
  return null
}

/** Layers between two points that stay. Waiting for several of them saves writing the same index again for each. */
function planGroup(start: number, end: number, { mergeLayers }: JournalLimits): MergePlan | null {
  return end - start + 1 >= Math.max(2, mergeLayers) ? { start, end, folds: false } : null
}

/**
 * What lies below the oldest point. The oldest layer is as large as the disks, so it is rewritten only when what waits beside
 * it has grown to a share of it; until then what waits is merged among itself.
 */
function planFold(layers: readonly Layer[], end: number, limits: JournalLimits): MergePlan | null {
  const [oldest, ...waiting] = layers.slice(0, end + 1)
  if (oldest === undefined || waiting.length === 0) return null
  const isDue = (measure: (layer: Layer) => number): boolean =>
    waiting.reduce((sum, layer) => sum + measure(layer), 0) >= limits.foldShare * measure(oldest)
  if (isDue(entriesOf) || isDue(bytesOf)) return { start: 0, end, folds: true }
  return waiting.length >= Math.max(2, limits.mergeLayers) ? { start: 1, end, folds: false } : null
}

const entriesOf = ({ index }: Layer): number => index?.entries ?? 0
const bytesOf = ({ segments }: Layer): number => segments.reduce((sum, { bytes }) => sum + bytes, 0)

/** One merge copies at most this much: an abort loses no more than that. The next merge takes the rest. */
const REWRITE_BYTES = 1024 ** 3

/** The segments whose live content is copied to new ones, so that the old ones can go. */
export function planRewrite(segments: readonly SegmentFact[], limits: JournalLimits): ReadonlySet<number> {
  const live = segments.filter(({ liveBytes }) => liveBytes > 0)
  const small = live.filter(({ bytes }) => bytes < limits.smallSegmentBytes)
  const packs = small.length > limits.smallSegments
  const wanted = live.filter((segment) => isWasteful(segment, limits) || (packs && small.includes(segment)))
  let budget = REWRITE_BYTES
  const chosen = new Set<number>()
  for (const { number, liveBytes } of wanted) {
    if (budget <= 0) break
    budget -= liveBytes
    chosen.add(number)
  }
  return chosen
}

const isWasteful = ({ liveBytes, contentBytes }: SegmentFact, { liveShare }: JournalLimits): boolean =>
  liveBytes < liveShare * contentBytes

export type RunPlan = { readonly first: number; readonly last: number }

/**
 * Runs form a tree over the layers whose nodes end where a hash of the sequence number says so. So a merge somewhere changes
 * the nodes above it and no others, and a point is reached through about `fanout` indexes per level. The oldest layer is
 * never part of a run: it is as large as all the others together. Lowest level first, for each is made from those below.
 */
export function planRuns(state: ReplicaState, fanout: number): RunPlan[] {
  const layers = state.layers.slice(1)
  const known = new Set(state.runs.map(({ first, last }) => `${first}-${last}`))
  const missing: RunPlan[] = []
  for (let level = 1; level <= 8; level += 1) {
    let start = 0
    let nodes = 0
    for (let end = 0; end < layers.length; end += 1) {
      const layer = layers[end]
      if (layer === undefined || levelOf(layer.last, fanout) < level) continue
      const first = layers[start]?.first ?? layer.first
      const name = `${first}-${layer.last}`
      if (end > start && !known.has(name)) {
        known.add(name)
        missing.push({ first, last: layer.last })
      }
      start = end + 1
      nodes += 1
    }
    if (nodes === 0) break
  }
  return missing
}

/** One sequence number in `fanout` ends a node of level 1, one in `fanout` squared a node of level 2, and so on. */
export function levelOf(sequence: number, fanout: number): number {
  let hash = Math.imul(sequence ^ (sequence >>> 16), 0x45d9f3b)
  hash = Math.imul(hash ^ (hash >>> 16), 0x45d9f3b)
  let rest = (hash ^ (hash >>> 16)) >>> 0
  let level = 0
  while (rest % fanout === 0 && level < 8) {
    rest = Math.floor(rest / fanout)
    level += 1
  }
  return level
}
