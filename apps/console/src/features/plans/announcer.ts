// What has just been done, for ears. A store of its own: a word at every arrow key must not draw a plan of two hundred machines anew.

export type Announcer = {
  readonly say: (words: string) => void
  readonly subscribe: (listener: () => void) => () => void
  readonly last: () => string
}

export function createAnnouncer(): Announcer {
  const listeners = new Set<() => void>()
  let last = ''
  return {
    say(words) {
      // The same words twice are said twice: what changes between is not heard.
      last = words === last ? `${words}\u00a0` : words
      for (const listener of listeners) listener()
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    last: () => last,
  }
}
