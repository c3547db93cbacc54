// The session has ended by itself: where nothing would be lost one signs in on a fresh page, else on top of what is not saved.
import { useSyncExternalStore } from 'react'
import { hasUnsavedWork } from '../lib/unsaved-work.ts'
import { leave } from './leave.ts'

let asks = false
/** Whose the page is. */
let owner: string | null = null
const listeners = new Set<() => void>()

function set(next: boolean): void {
  if (asks === next) return
  asks = next
  for (const listener of listeners) listener()
}

/** Told of every call that is refused because nobody is signed in. */
export function endSession(user: string | null): void {
  owner ??= user
  if (hasUnsavedWork()) set(true)
  else if (!asks) leave('session-ended')
}

/** What is on the page is for nobody else to see or to save: another user begins on a fresh one. */
export function signedInAgain(user: string): void {
  if (user !== owner) leave('session-ended')
  else set(false)
}

/** Whether it asks to sign in again. */
export const useSignInAgain = (): boolean =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => asks,
  )
