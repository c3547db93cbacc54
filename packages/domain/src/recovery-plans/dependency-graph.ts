// What needs what, as nodes by name. Loops instead of recursion: a long chain is no deeper than a short one.

/** Every node with what must be done before it. A need that is no node is taken as done. */
export type DependencyGraph = ReadonlyMap<string, readonly string[]>

export type Sorted =
  /** Each after everything it needs; otherwise in the order of the graph. */
  | { readonly kind: 'order'; readonly order: readonly string[] }
  /** Each needs the next one, and the last needs the first. */
  | { readonly kind: 'cycle'; readonly cycle: readonly string[] }

/** Pure. Takes time in proportion to the nodes and needs. */
export function sortGraph(graph: DependencyGraph): Sorted {
  const waits = new Map<string, number>()
  const neededBy = new Map<string, string[]>()
  for (const [node, needs] of graph) {
    const inside = needs.filter((need) => graph.has(need))
    waits.set(node, inside.length)
    for (const need of inside) {
      const others = neededBy.get(need)
      if (others) others.push(node)
      else neededBy.set(need, [node])
    }
  }
  const order = [...graph.keys()].filter((node) => waits.get(node) === 0)
  // Grows while it is read.
  for (const node of order)
    for (const next of neededBy.get(node) ?? []) {
      const left = (waits.get(next) ?? 0) - 1
      waits.set(next, left)
      if (left === 0) order.push(next)
    }
  if (order.length === graph.size) return { kind: 'order', order }
  const done = new Set(order)
  return { kind: 'cycle', cycle: walkInCircles(graph, done) }
}

/** What could not be sorted needs something else that could not: following that leads round, sooner or later. */
function walkInCircles(graph: DependencyGraph, done: ReadonlySet<string>): readonly string[] {
  const way: string[] = []
  let node = [...graph.keys()].find((each) => !done.has(each))
  while (node !== undefined && !way.includes(node)) {
    way.push(node)
    node = graph.get(node)?.find((need) => graph.has(need) && !done.has(need))
  }
  return node === undefined ? [] : way.slice(way.indexOf(node))
}

/** Cycles that have no need in common, until none is left. Pure. */
export function cyclesOf(graph: DependencyGraph): readonly (readonly string[])[] {
  const left = new Map(graph)
  const cycles: (readonly string[])[] = []
  for (let sorted = sortGraph(left); sorted.kind === 'cycle'; sorted = sortGraph(left)) {
    const { cycle } = sorted
    cycles.push(cycle)
    cycle.forEach((node, index) => {
      const next = cycle[(index + 1) % cycle.length]
      left.set(
        node,
        (left.get(node) ?? []).filter((need) => need !== next),
      )
    })
  }
  return cycles
}
