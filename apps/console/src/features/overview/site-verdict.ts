import type { Overview } from '@understudy/contract/overview'

type Row = Pick<Overview['ifSiteDied'][number], 'machines' | 'recoverable' | 'unprotected' | 'blockers'>

/** What becomes of a site's machines if it dies. What is not protected stays down with it. Pure. */
export function verdictOf({ recoverable, unprotected, blockers, machines }: Row): string {
  if (recoverable === 0) return blockers[0] ?? `${counted(machines)} not protected, nothing comes back`
  const back = `${recoverable} ${recoverable === 1 ? 'comes' : 'come'} back`
  if (unprotected > 0) return `${back}, ${unprotected} ${unprotected === 1 ? 'is' : 'are'} not protected`
  if (blockers.length > 0) return `${back}; ${blockers[0]}`
  return recoverable === 1 ? 'its one machine comes back' : `all ${recoverable} come back`
}

const counted = (machines: number): string => (machines === 1 ? '1 machine is' : `${machines} machines are`)
