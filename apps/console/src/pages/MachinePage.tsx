import { useQuery } from '@tanstack/react-query'
import { useParams } from '@tanstack/react-router'
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
  const machine = useQuery({
    ...api.machines.get.queryOptions({ input: { id: machineId } }),
    retry: (count, error) => count < 2 && problemOf(error).status === 503,
  })
  // The machine may be gone, or lie at a site that is: its replicas and points are needed all the more then.
  const named = machine.data?.protectionId ?? null
  const search = useQuery({ ...allProtections, enabled: machine.isError })
  const found = named ?? search.data?.find((each) => each.machineId === machineId)?.id ?? null
  useRooms(found === null ? [] : [`protection:${found}`])
  const protection = useQuery({
    ...api.protections.get.queryOptions({ input: { id: found ?? '' } }),
    enabled: found !== null,
    refetchInterval: 10_000,
  })
  if (found !== null && protection.data)
    return <ProtectedMachine key={found} protection={protection.data} machine={machine.data ?? null} />
  if (machine.data && found === null) return <UnprotectedMachine key={machineId} machine={machine.data} />
  const error = protection.error ?? (machine.isError && !search.isPending ? machine.error : null)
  return error ? <ProblemAlert error={error} /> : <RoutePending />
}
