import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams } from '@tanstack/react-router'
import { useEffect, useRef } from 'react'
import { api, problemOf } from '../api/client.ts'
import { useRooms } from '../api/live.ts'
import { allProtections } from '../features/protections/load-all.ts'
import { ProblemAlert } from '../ui/ProblemAlert.tsx'
import { RoutePending } from '../ui/RoutePending.tsx'
import { ProtectedMachine } from './machine/ProtectedMachine.tsx'
import { UnprotectedMachine } from './machine/UnprotectedMachine.tsx'

/** A machine as its protection knows it; or as the inventory does, while nothing replicates it. */
export function MachinePage() {
  const { machineId } = useParams({ from: '/signed-in/machines/$machineId' })
  const navigate = useNavigate()
  const machine = useQuery({
    ...api.machines.get.queryOptions({ input: { id: machineId } }),
    retry: (count, error) => count < 2 && problemOf(error).status === 503,
  })
  // The machine may be gone, or lie at a site that is: its replicas and points are needed all the more then.
  const named = machine.data?.protectionId ?? null
  const search = useQuery({ ...allProtections, enabled: machine.isError })
  const shown = useRef<{ readonly machineId: string; readonly protectionId: string } | null>(null)
  const found =
    named ??
    search.data?.find((each) => each.machineId === machineId)?.id ??
    // Reprotect makes the copy the machine: whoever watches the protection goes with it.
    (shown.current?.machineId === machineId ? shown.current.protectionId : null)
  useRooms(found === null ? [] : [`protection:${found}`])
  const protection = useQuery({
    ...api.protections.get.queryOptions({ input: { id: found ?? '' } }),
    enabled: found !== null,
    refetchInterval: 10_000,
  })
  const now = protection.data?.machineId
  useEffect(() => {
    if (found !== null) shown.current = { machineId, protectionId: found }
    if (found !== null && named === null && now !== undefined && now !== machineId)
      void navigate({ to: '/machines/$machineId', params: { machineId: now }, replace: true })
  }, [found, named, now, machineId, navigate])
  if (found !== null && protection.data)
    return <ProtectedMachine key={found} protection={protection.data} machine={machine.data ?? null} />
  if (machine.data && found === null) return <UnprotectedMachine key={machineId} machine={machine.data} />
  const error = protection.error ?? (machine.isError && !search.isPending ? machine.error : null)
  return error ? <ProblemAlert error={error} /> : <RoutePending />
}
