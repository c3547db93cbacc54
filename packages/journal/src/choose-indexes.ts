// Which indexes, from old to new, give the content of a point: as few as there can be. Pure.
import { present } from '@understudy/base/invariant'
import type { IndexRef, Layer, ReplicaState, Run } from './replica-state.ts'

/**
 * The indexes of the layers from the one that begins at `first` to the one that ends at `last`. Goes backwards and takes the
 * longest run that ends where it stands, else the layer itself.
 */
export function chooseIndexes(state: ReplicaState, first: number, last: number): IndexRef[] {
  const longest = longestRuns(state.runs, first)
  const chosen: IndexRef[] = []
  for (let end = last; end >= first; ) {
    const piece = longest.get(end) ?? present(layerEndingAt(state.layers, end), `a layer ends at ${end}`)
    if (piece.index !== null) chosen.push(piece.index)
    end = piece.first - 1
  }
  return chosen.reverse()
}

function longestRuns(runs: readonly Run[], first: number): Map<number, Run> {
  const longest = new Map<number, Run>()
  for (const run of runs) {
    if (run.first < first) continue
    const other = longest.get(run.last)
    if (other === undefined || run.first < other.first) longest.set(run.last, run)
  }
  return longest
}

export function layerEndingAt(layers: readonly Layer[], last: number): Layer | null {
  let low = 0
  let high = layers.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((layers[middle]?.last ?? 0) >= last) high = middle
    else low = middle + 1
  }
  const found = layers[low]
  return found?.last === last ? found : null
}
