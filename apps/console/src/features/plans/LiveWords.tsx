import { VisuallyHidden } from '@mantine/core'
import { useSyncExternalStore } from 'react'
import type { Announcer } from './announcer.ts'

/** The live region of the editor. */
export function LiveWords({ announcer }: { readonly announcer: Announcer }) {
  const words = useSyncExternalStore(announcer.subscribe, announcer.last)
  return (
    <VisuallyHidden role="status" aria-live="assertive" aria-label="What was just done">
      {words}
    </VisuallyHidden>
  )
}
