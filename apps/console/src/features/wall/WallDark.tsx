import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'
import { endLive } from '../../api/live.ts'
import classes from './WallFrame.module.css'

/** A screen whose link was revoked, or has expired: nothing of what it showed stays, and nothing more is asked. */
export function WallDark({ why }: { readonly why: string }) {
  const queries = useQueryClient()
  useEffect(() => {
    void endLive(queries)
  }, [queries])
  return (
    <main className={classes.dark} id="main" role="alert">
      <h1>{why}</h1>
      <p>An owner makes a new one: Settings, Display links.</p>
    </main>
  )
}
