// What is known at this moment of the copy that a failover started. An answer that it once gave says nothing about now.
import type { Machine } from '@understudy/contract/machine'
import type { Protection, Run } from '@understudy/contract/protection'
import type { Site } from '@understudy/contract/site'

export type CopySight =
  /** Nothing speaks against it: seen on, or its site tells nobody of its machines, or nothing is loaded yet. */
  | 'runs'
  /** Its site was not asked since it came up. */
  | 'not-asked'
  | 'silent-site'
  | 'off'
  | 'missing'

/** An inventory that took its time may have been read before the copy was there. */
const READ_MILLISECONDS = 60_000

type Known = {
  readonly run: Pick<Run, 'answeredAt'> | null
  /** The target. Undefined: not loaded yet. */
  readonly site: Pick<Site, 'health' | 'checkedAt' | 'canBeSource'> | undefined
  /** As the target's inventory has it. Null: not there. Undefined: not loaded yet. */
  readonly copy: Pick<Machine, 'power' | 'present'> | null | undefined
}

/** Pure. */
export function sightOfCopy({ run, site, copy }: Known): CopySight {
  if (site?.health === 'unreachable') return 'silent-site'
  if (site === undefined || copy === undefined || !site.canBeSource) return 'runs'
  if (copy?.present) return copy.power === 'off' ? 'off' : 'runs'
  if (run === null || run.answeredAt === null || site.checkedAt === null) return 'not-asked'
  return Date.parse(site.checkedAt) - Date.parse(run.answeredAt) > READ_MILLISECONDS ? 'missing' : 'not-asked'
}

/** Nothing speaks against keeping it. Pure. */
export const mayBeKept = (sight: CopySight): boolean => sight === 'runs' || sight === 'not-asked'

/** What there is to decide about a failover that is neither committed nor rolled back. Pure. */
export function titleOfDecision(
  { name, target }: Pick<Protection, 'name' | 'target'>,
  sight: CopySight,
): string {
  return `${whereItIs(name, target.name, sight)}: keep it, or go back?`
}

function whereItIs(name: string, site: string, sight: CopySight): string {
  switch (sight) {
    case 'runs':
    case 'not-asked':
      return `${name} runs at ${site}`
    case 'silent-site':
      return `${name} was failed over to ${site}, which does not answer`
    case 'off':
      return `${name} was failed over to ${site} and is off there`
    case 'missing':
      return `${name} was failed over to ${site} and is not found there`
  }
}
