// Chance that can be repeated: the same seed gives the same run. Every simulation prints its seed.

export type SeededRandom = {
  readonly seed: number
  /** 0 <= value < 1. */
  fraction(): number
  /** A whole number, 0 <= value < limit. */
  below(limit: number): number
  /** True with this probability, 0 to 1. */
  chance(probability: number): boolean
  bytes(count: number): Buffer
  pick<Item>(items: readonly [Item, ...Item[]]): Item
  /** An independent stream, so that one part's draws do not shift another's. */
  fork(label: string): SeededRandom
}

/** splitmix32: small, well spread, and good enough for anything but secrets. */
export function seededRandom(seed: number): SeededRandom {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state ^ (state >>> 16)
    mixed = Math.imul(mixed, 0x21f0aaad)
    mixed ^= mixed >>> 15
    mixed = Math.imul(mixed, 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
  const random: SeededRandom = {
    seed,
    fraction: () => next() / 2 ** 32,
    below: (limit) => Math.floor((next() / 2 ** 32) * limit),
    chance: (probability) => next() / 2 ** 32 < probability,
    bytes(count) {
      const words = new Uint32Array(Math.ceil(count / 4))
      for (let index = 0; index < words.length; index += 1) words[index] = next()
      return Buffer.from(words.buffer, 0, count)
    },
    pick: (items) => items[random.below(items.length)] ?? items[0],
    fork: (label) => seededRandom(hashText(label, seed)),
  }
  return random
}

/** FNV-1a over the characters, started at `seed`. */
export function hashText(text: string, seed = 0): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0
  for (let index = 0; index < text.length; index += 1) {
    hash ^= text.charCodeAt(index)
    hash = Math.imul(hash, 0x01000193) >>> 0
  }
  return hash
}
