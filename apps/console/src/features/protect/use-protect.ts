import { useQueryClient } from '@tanstack/react-query'
import type { Machine } from '@understudy/contract/machine'
import { useState } from 'react'
import { api, client, problemOf } from '../../api/client.ts'
import type { Mapping } from './network-groups.ts'

export type Outcome = {
  readonly machine: Machine
  readonly jobId: string | null
  readonly problem: string | null
}
export type ProtectOrder = {
  readonly targetSiteId: string
  readonly policyId: string
  /** Null: none. */
  readonly groupId: string | null
  readonly machines: readonly MachineOrder[]
}
type MachineOrder = {
  readonly machine: Machine
  readonly adapters: readonly Mapping[]
  readonly excludedDisks: readonly string[]
}

/** How many requests are under way at once. */
const atOnce = 4

/** Asks for one protection a machine. The key makes a second click on the same order start nothing twice. */
export function useProtect() {
  const queries = useQueryClient()
  const [key] = useState(() => crypto.randomUUID())
  const [outcomes, setOutcomes] = useState<readonly Outcome[] | null>(null)
  const start = async (order: ProtectOrder): Promise<void> => {
    setOutcomes([])
    const queue = [...order.machines]
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const outcome = await protectOne(order, next, key)
        setOutcomes((before) => [...(before ?? []), outcome])
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    await queries.invalidateQueries({ queryKey: api.key() })
  }
  return { outcomes, start }
}

async function protectOne(
  order: ProtectOrder,
  { machine, adapters, excludedDisks }: MachineOrder,
  key: string,
): Promise<Outcome> {
  try {
    const { jobId } = await client.protections.create(
      {
        machineId: machine.id,
        targetSiteId: order.targetSiteId,
        policyId: order.policyId,
        ...(order.groupId === null ? {} : { groupId: order.groupId }),
        adapters: [...adapters],
        excludedDisks: [...excludedDisks],
      },
      { context: { idempotencyKey: `${key}-${machine.id}`.slice(0, 120) } },
    )
    return { machine, jobId, problem: null }
  } catch (error) {
    const { detail, remedy } = problemOf(error)
    return { machine, jobId: null, problem: `${detail}. ${remedy}` }
  }
}
