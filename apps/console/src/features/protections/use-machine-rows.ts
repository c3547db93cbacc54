import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'
import { useMemo } from 'react'
import { joinRows, type MachineRow } from './machine-rows.ts'

type Joined = {
  readonly machines: readonly Machine[]
  readonly protections: readonly Protection[]
  readonly rows: readonly MachineRow[]
}

/** Outlives the page: whoever comes back to it finds ten thousand rows joined and in their order. */
let last: Joined = { machines: [], protections: [], rows: [] }

export function useMachineRows(
  machines: readonly Machine[] | undefined,
  protections: readonly Protection[] | undefined,
): readonly MachineRow[] {
  return useMemo(() => {
    if (!machines || !protections) return []
    if (last.machines !== machines || last.protections !== protections)
      last = { machines, protections, rows: joinRows(machines, protections, last.rows) }
    return last.rows
  }, [machines, protections])
}
