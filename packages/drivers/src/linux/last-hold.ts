// The hold of a last point: from its instant until the server is switched off, or let go.
import { lastHoldUnknown, letGoInstead } from './failures.ts'
import type { FreezeKeeper } from './freeze-keeper.ts'

export type LastHold = {
  /**
   * The server was held without a break until now, and goes off: at `cut`, or after the grace. Else throws, `machine/let-go` where it runs on.
   * Repeatable: the first call counts.
   */
  switchOff(): Promise<void>
  /** After that: at once. */
  cut(): void
  /** The server goes on, unless it was switched off. Repeatable. */
  letGo(): Promise<void>
}

export type LastHoldParts = {
  readonly keeper: FreezeKeeper
  readonly seconds: number
  /** Throws where something has come to a disk since the instant. */
  readonly refuseWritten: () => Promise<void>
  /** What was waiting for the end of the hold goes on; not called when the server is switched off. */
  readonly afterwards: () => Promise<void>
}

/** Ours is over before the guardian's is, who knows nothing of scripts. */
const EARLIER_SECONDS = 2

export function openLastHold({ keeper, seconds, refuseWritten, afterwards }: LastHoldParts): LastHold {
  let fate: 'held' | 'off' | 'unknown' = 'held'
  let going: Promise<void> | null = null
  let ending: Promise<void> | null = null
  const end = (): Promise<void> => {
    ending ??= (async () => {
      clearTimeout(timer)
      await keeper.thaw()
      await keeper.close()
      await afterwards()
    })()
    return ending
  }
  const letGo = async (): Promise<void> => {
    // Whichever of the two came first is brought to its end.
    if (going !== null) await going.catch(() => {})
    if (fate === 'held') await end()
  }
  const timer = setTimeout(() => void letGo().catch(() => {}), Math.max(1, seconds - EARLIER_SECONDS) * 1000)
  const switchOff = async (): Promise<void> => {
    if (ending !== null) throw letGoInstead('it would have been held for too long')
    try {
      await refuseWritten()
    } catch (error) {
      await end()
      throw letGoInstead(error instanceof Error ? error.message : String(error))
    }
    const answer = await keeper.switchOff()
    if (answer === 'lost') {
      await end()
      throw letGoInstead('its file systems had gone on before')
    }
    fate = answer
    clearTimeout(timer)
    if (answer === 'unknown') throw lastHoldUnknown()
  }
  return {
    switchOff() {
      going ??= switchOff()
      return going
    },
    cut() {
      if (fate === 'off') keeper.cut()
    },
    letGo,
  }
}
