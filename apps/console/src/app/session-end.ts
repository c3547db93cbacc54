// The session has ended by itself: where nothing would be lost one signs in on a fresh page, else on top of what is not saved.
import { useSyncExternalStore } from 'react'
import { hasUnsavedWork } from '../lib/unsaved-work.ts'
import { leave } from './leave.ts'

let asks = false
const listeners = new Set<() => void>()

function set(next: boolean): void {
  if (asks === next) return
  asks = next
  for (const listener of listeners) listener()
}

/** Told of every call that is refused because nobody is signed in. */
export function endSession(): void {
  if (hasUnsavedWork()) set(true)
  else if (!asks) leave('session-ended')
}

export const signedInAgain = (): void => set(false)

/** Whether it asks to sign in again. */
export const useSignInAgain = (): boolean =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => asks,
  )
