// What somebody has drawn and not saved yet. It lives in the page alone, so the page must not go while there is any.
import { useEffect } from 'react'

let pages = 0

/** While `unsaved` holds, the end of a session asks to sign in again on the spot. */
export function useUnsavedWork(unsaved: boolean): void {
  useEffect(() => {
    if (!unsaved) return
    pages += 1
    return () => {
      pages -= 1
    }
  }, [unsaved])
}

export const hasUnsavedWork = (): boolean => pages > 0
