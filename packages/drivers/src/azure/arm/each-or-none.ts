// Several pieces of one work side by side, of which one alone is of no use.
import { present } from '@understudy/base/invariant'

/** In the order of the items. The first failure stops the others; it is thrown when all of them have ended. */
export async function eachOrNone<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  signal: AbortSignal | undefined,
  work: (item: Item, index: number, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> {
  const stop = new AbortController()
  const both = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal])
  const results: Result[] = []
  let failure: { readonly error: unknown } | null = null
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < items.length && failure === null) {
      const index = next
      next += 1
      try {
        results[index] = await work(present(items[index], 'inside the list'), index, both)
      } catch (error) {
        failure ??= { error }
        stop.abort(new DOMException('Another piece of the work has failed', 'AbortError'))
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, worker))
  const failed = failure as { readonly error: unknown } | null
  if (failed !== null) throw failed.error
  return results
}
