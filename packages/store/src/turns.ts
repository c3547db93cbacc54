// One after the other within this process. Who would wait for a lock of the database waits here instead, without a connection.

export type Turns = <Result>(key: string, work: () => Promise<Result>) => Promise<Result>

/** Works of one key follow each other in the order in which they were asked for; one that fails holds up none. Keys forget themselves. */
export function openTurns(): Turns {
  const last = new Map<string, Promise<unknown>>()
  return async (key, work) => {
    const before = last.get(key) ?? Promise.resolve()
    const mine = before.then(work, work)
    last.set(key, mine)
    try {
      return await mine
    } finally {
      if (last.get(key) === mine) last.delete(key)
    }
  }
}
