// The lag of every protection in the last minute or two. Ten thousand are measured every second and a few of them are looked
// at: a measurement costs two numbers here, and a list for React is made of those that are looked at only.
import type { Measurement } from '@understudy/contract/socket-shapes'

export type LagSample = { readonly at: number; readonly lagSeconds: number | null }
type Trail = { readonly at: number[]; readonly lagSeconds: number[]; shown: readonly LagSample[] | null }

export type LagTrails = {
  add(measurement: Pick<Measurement, 'protectionId' | 'at' | 'lagSeconds'>): void
  /** Oldest first, at most 90; the same list until something is added. */
  get(protectionId: string): readonly LagSample[]
  clear(): void
}

const longest = 90
const none: readonly LagSample[] = []

export function createLagTrails(): LagTrails {
  const trails = new Map<string, Trail>()
  return {
    add({ protectionId, at, lagSeconds }) {
      let trail = trails.get(protectionId)
      if (!trail) {
        trail = { at: [], lagSeconds: [], shown: null }
        trails.set(protectionId, trail)
      }
      trail.at.push(at)
      // Not null, so that the engine keeps the list as plain numbers.
      trail.lagSeconds.push(lagSeconds ?? Number.NaN)
      trail.shown = null
      // Now and then half of it, not one with every addition.
      if (trail.at.length < 2 * longest) return
      trail.at.splice(0, longest)
      trail.lagSeconds.splice(0, longest)
    },
    get(protectionId) {
      const trail = trails.get(protectionId)
      if (!trail) return none
      trail.shown ??= show(trail)
      return trail.shown
    },
    clear: () => trails.clear(),
  }
}

function show(trail: Trail): readonly LagSample[] {
  const from = Math.max(0, trail.at.length - longest)
  return trail.at.slice(from).map((at, index) => {
    const lag = trail.lagSeconds[from + index] ?? Number.NaN
    return { at, lagSeconds: Number.isNaN(lag) ? null : lag }
  })
}
