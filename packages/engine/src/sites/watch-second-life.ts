// Machines that must stay off because another copy of them serves. If somebody started one, there are two of it now.
import type { MachineRef, PowerState } from '@understudy/domain/machines/machine'
import type { Protection } from '@understudy/domain/protection/protection'
import type { Site } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import { isFailedBackTo, ORIGINAL_RUNS, runsElsewhere, TWO_COPIES } from './second-life.ts'

/** A site whose inventory was read a moment ago, and what the protections were after that. */
export type SeenSite = {
  readonly site: Pick<Site, 'id'>
  readonly protections: readonly Protection[]
  readonly powers: ReadonlyMap<MachineRef, PowerState>
}

/**
 * Of the machines at this site. What another site's inventory said is not asked: it may be older than the failover that switched
 * its machine off.
 */
export async function watchSecondLives(parts: EngineParts, seen: SeenSite): Promise<void> {
  const { alerts } = parts.stores
  const open = {
    twoCopies: await alerts.openSubjects(TWO_COPIES),
    originalRuns: await alerts.openSubjects(ORIGINAL_RUNS),
  }
  for (const protection of seen.protections) {
    if (protection.sourceSiteId === seen.site.id)
      await watchSource(parts, protection, { seen, isOpen: open.twoCopies.has(protection.id) })
    if (protection.targetSiteId === seen.site.id)
      await watchOriginal(parts, protection, { seen, isOpen: open.originalRuns.has(protection.id) })
  }
}

type Watched = { readonly seen: SeenSite; readonly isOpen: boolean }

/** The former source, after a failover. */
async function watchSource(
  parts: EngineParts,
  protection: Protection,
  { seen, isOpen }: Watched,
): Promise<void> {
  const { sourceRef, name } = protection
  const twice = runsElsewhere(protection) && isOn(seen, sourceRef)
  await tell(
    parts,
    protection,
    { twice, isOpen },
    {
      code: TWO_COPIES,
      message: `${name} runs at its source site although it is failed over`,
      remedy: 'Switch off one of the two at once; what both have written since must be merged by hand.',
    },
  )
}

/** What ran before the direction turned, whatever the state, unless it was failed back to. */
async function watchOriginal(
  parts: EngineParts,
  protection: Protection,
  { seen, isOpen }: Watched,
): Promise<void> {
  const { originalRef, name } = protection
  const twice =
    originalRef !== null && isOn(seen, originalRef) && !(await isFailedBackTo(parts, protection, originalRef))
  await tell(
    parts,
    protection,
    { twice, isOpen },
    {
      code: ORIGINAL_RUNS,
      message: `The original of ${name} runs at the site that ${name} is replicated to`,
      remedy:
        'Switch one of the two off at once. What the original writes is overwritten by the next fail-back; save what you need from it.',
    },
  )
}

function isOn({ powers }: SeenSite, ref: MachineRef): boolean {
  const power = powers.get(ref)
  return power === 'running' || power === 'paused'
}

async function tell(
  parts: EngineParts,
  subject: Protection,
  { twice, isOpen }: { readonly twice: boolean; readonly isOpen: boolean },
  alert: { readonly code: string; readonly message: string; readonly remedy: string },
): Promise<void> {
  if (twice) await raiseAlert(parts, { ...alert, severity: 'critical', subject })
  else if (isOpen) await resolveAlert(parts, alert.code, subject)
}
