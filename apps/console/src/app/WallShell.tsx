import { useQueryClient } from '@tanstack/react-query'
import { Outlet } from '@tanstack/react-router'
import { wallRooms } from '@understudy/contract/wall-rooms'
import { Suspense, useEffect } from 'react'
import { startLive, useRooms } from '../api/live.ts'
import { RoutePending } from '../ui/RoutePending.tsx'

/** A screen on a wall: live, and without the frame of the pages that people work on. */
export function WallShell() {
  const queries = useQueryClient()
  useEffect(() => startLive(queries), [queries])
  useEffect(() => {
    document.title = 'Wall display · Understudy'
  }, [])
  useRooms(wallRooms)
  return (
    <Suspense fallback={<RoutePending />}>
      <Outlet />
    </Suspense>
  )
}
