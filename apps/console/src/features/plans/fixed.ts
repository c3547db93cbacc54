// What of a drawn plan cannot be touched because it has begun: of the plan itself nothing, of a run everything that has started.
import { createContext, useContext } from 'react'

export type Fixed = {
  /** Items with how they stand: `Running`, `Done`. */
  readonly items: ReadonlyMap<string, string>
  /** Groups that stay where they are. */
  readonly groups: ReadonlySet<string>
}

export const nothingFixed: Fixed = { items: new Map(), groups: new Set() }

export const FixedContext = createContext<Fixed>(nothingFixed)

export const useFixed = (): Fixed => useContext(FixedContext)
