import { setTimeout as sleep } from 'node:timers/promises'

/** Looks again and again until there is something; throws with `what` when that takes too long. */
export async function until<Result>(
  what: string,
  seconds: number,
  look: () => Promise<Result | null | undefined>,
): Promise<Result> {
  const deadline = performance.now() + seconds * 1000
  let failure: unknown = null
  for (;;) {
    try {
      const seen = await look()
      if (seen !== null && seen !== undefined) return seen
      failure = null
    } catch (error) {
      failure = error
    }
    if (performance.now() > deadline) throw new Error(`Not within ${seconds} s: ${what}`, { cause: failure })
    await sleep(200)
  }
}
