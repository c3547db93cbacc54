// Which way a plan moves its machines, in the names of sites. Pure.
import { machinesOf } from '@understudy/contract/plan-editing'
import type { PlanRun } from '@understudy/contract/recovery-plan'

type Protected = {
  readonly id: string
  readonly direction: 'forward' | 'reverse'
  readonly source: { readonly name: string }
  readonly target: { readonly name: string }
}

/** They go the other way than the run that they follow. */
const turningBack: readonly PlanRun['kind'][] = ['roll-back', 'reprotect']

/** Which way a run moves its machines, or what they replicate. */
export function flowOfRun(
  { plan, kind, direction }: Pick<PlanRun, 'plan' | 'kind' | 'direction'>,
  protections: readonly Protected[],
): string {
  const other = direction === 'forward' ? 'reverse' : 'forward'
  return flowOf(plan, protections, turningBack.includes(kind) ? other : direction)
}

/**
 * `Harbour → Hillside`; of machines of several sites each way once; empty while nothing is known. `direction`: of the run, which stays
 * what it was when the machines have been turned round meanwhile; null: as they are now.
 */
export function flowOf(
  plan: PlanRun['plan'],
  protections: readonly Protected[],
  direction: PlanRun['direction'] | null,
): string {
  const members = new Set<string>(machinesOf(plan).map(({ protectionId }) => protectionId))
  const ways = protections
    .filter(({ id }) => members.has(id))
    .map(({ source, target, direction: current }) =>
      direction === null || direction === current
        ? `${source.name} → ${target.name}`
        : `${target.name} → ${source.name}`,
    )
  return [...new Set(ways)].join(', ')
}
