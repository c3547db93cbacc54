// Makes a resource of a run unless it is there. What a predecessor has begun is joined, what it left half is removed and made anew.
import type { RunId } from '@understudy/domain/failover/failover'
import type { Shelf } from './arm-calls.ts'
import { endless, foreign } from './arm-failures.ts'
import { isOfRun, type Tagged } from './run-names.ts'
import type { Waits } from './target-parts.ts'

type Made = Tagged & { readonly id?: string; readonly provisioningState?: string }

export type Wanted<Item> = {
  readonly runId: RunId
  readonly name: string
  /** Called when it has to be made: what it needs may have to be brought first. */
  make(): Promise<Item>
  /** Throws when what is half made must not be removed. */
  checkRemoval?(found: Item): void
}

/** The resource as Azure has it, whole. */
export async function ensureResource<Item extends Made>(
  shelf: Shelf<Item>,
  { runId, name, make, checkRemoval }: Wanted<Item>,
  waits: Waits,
  signal: AbortSignal | undefined,
): Promise<Item> {
  for (let tries = 0; tries < 3; tries += 1) {
    const found = await settled(shelf, name, waits, signal)
    if (found !== null && !isOfRun(found, runId)) throw foreign(name)
    if (found?.provisioningState === 'Succeeded') return found
    // Half made: Azure tells the reason only to whoever waited, and what it made is of no use.
    if (found !== null) {
      checkRemoval?.(found)
      await shelf.remove(name, signal)
    }
    await shelf.create(name, await make(), signal)
  }
  throw endless(name, waits.minutes)
}

/** The resource when nobody is at work on it; null: it is not there. */
export async function settled<Item extends Made>(
  shelf: Shelf<Item>,
  name: string,
  waits: Waits,
  signal: AbortSignal | undefined,
): Promise<Item | null> {
  const looks = Math.ceil((waits.minutes * 60_000) / waits.lookMs)
  for (let look = 0; look < looks; look += 1) {
    const found = await shelf.find(name, signal)
    if (found === null || isSettled(found)) return found
    await waits.pause(waits.lookMs, signal)
  }
  throw endless(name, waits.minutes)
}

const isSettled = ({ provisioningState = '' }: Made): boolean =>
  /^(Succeeded|Failed|Canceled)$/.test(provisioningState)
