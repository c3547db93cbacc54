// How an arrow between two boxes of the map runs: straight, and around a box that would be in between. Pure.

export const box = { width: 190, height: 74, gapX: 96, gapY: 46 } as const
/** What an arrow around a box needs above or below its row. */
export const DETOUR = 44

export type Place = { readonly x: number; readonly y: number }
type LinkPath = {
  /** Of an SVG path. */
  readonly line: string
  readonly label: Place
  readonly detour: 'above' | 'below' | null
}

/** How far it leans out at most; a curve comes three quarters of the way. */
const BEND = 34
const TIP = 6

/** `back`: another link goes the other way, and the two are kept apart. */
export function linkPath(from: Place, to: Place, back: boolean): LinkPath {
  const rightwards = to.x >= from.x
  // A straight line would end at the box in between, for whoever looks at it.
  if (from.y === to.y && Math.abs(to.x - from.x) > box.width + box.gapX)
    return around(from, to, back && !rightwards ? 'below' : 'above')
  const lane = back ? (rightwards ? -10 : 10) : 0
  if (from.x === to.x) {
    const down = to.y > from.y
    const x = from.x + box.width / 2 + lane
    return straight(
      { x, y: from.y + (down ? box.height : 0) },
      { x, y: to.y + (down ? -TIP : box.height + TIP) },
    )
  }
  return straight(
    { x: from.x + (rightwards ? box.width : 0), y: from.y + box.height / 2 + lane },
    { x: to.x + (rightwards ? -TIP - 1 : box.width + TIP + 1), y: to.y + box.height / 2 + lane },
  )
}

const straight = (start: Place, end: Place): LinkPath => ({
  line: `M ${start.x} ${start.y} L ${end.x} ${end.y}`,
  label: { x: (start.x + end.x) / 2, y: (start.y + end.y) / 2 - 8 },
  detour: null,
})

function around(from: Place, to: Place, detour: 'above' | 'below'): LinkPath {
  const outwards = detour === 'above' ? -1 : 1
  const edge = from.y + (detour === 'above' ? 0 : box.height)
  const start = { x: from.x + box.width / 2, y: edge }
  const end = { x: to.x + box.width / 2, y: edge + outwards * TIP }
  const bend = edge + outwards * BEND
  const lean = Math.sign(end.x - start.x) * 50
  return {
    line: `M ${start.x} ${start.y} C ${start.x + lean} ${bend} ${end.x - lean} ${bend} ${end.x} ${end.y}`,
    label: { x: (start.x + end.x) / 2, y: edge + outwards * BEND * 0.75 + (detour === 'above' ? -7 : 16) },
    detour,
  }
}
