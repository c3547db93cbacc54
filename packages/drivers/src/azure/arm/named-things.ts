// What the settings of a site name beside networks. It may be mistyped, or have gone since, and Azure says so only when the machine is made:
// in a planned failover after the source has been shut down.
import { blocker } from '@understudy/domain/machines/finding'
import type { Finding } from '@understudy/domain/machines/machine'
import type { MachineSpec } from '@understudy/engine/ports/target-platform'
import { pluggedAdapters, ruleFor } from './preflight.ts'
import type { ArmSettings } from './settings.ts'

export type NamedThing = {
  readonly id: string
  readonly what: 'availability set' | 'security group' | 'back-end pool'
}

/** Of every machine of the site. */
export const namedForAll = ({ availabilitySetId }: ArmSettings): readonly NamedThing[] =>
  availabilitySetId === undefined ? [] : [{ id: availabilitySetId, what: 'availability set' }]

/** Of this machine in this kind of run, each once. */
export function namedFor(spec: MachineSpec, settings: ArmSettings): readonly NamedThing[] {
  const things = new Map<string, NamedThing>()
  const add = (thing: NamedThing): void => void things.set(thing.id.toLowerCase(), thing)
  for (const thing of namedForAll(settings)) add(thing)
  for (const { adapter } of pluggedAdapters(spec)) {
    const { securityGroupId, backendPoolIds = [] } = ruleFor(settings, adapter, spec.mode) ?? {}
    if (securityGroupId !== undefined) add({ id: securityGroupId, what: 'security group' })
    for (const id of backendPoolIds) add({ id, what: 'back-end pool' })
  }
  return [...things.values()]
}

/** `exists` answers null where it may not be looked at: nothing is claimed then. */
export async function namedFindings(
  things: readonly NamedThing[],
  exists: (id: string) => Promise<boolean | null>,
): Promise<readonly Finding[]> {
  const answers = await Promise.all(things.map(async (thing) => ({ thing, there: await exists(thing.id) })))
  return answers.filter(({ there }) => there === false).map(({ thing }) => missing(thing))
}

function missing({ id, what }: NamedThing): Finding {
  const name = id.split('/').at(-1)
  const group = /\/resourceGroups\/([^/]+)\//i.exec(id)?.[1] ?? ''
  return blocker(
    `azure/${what.replaceAll(' ', '-')}-missing`,
    `There is no ${what} ${name} in resource group ${group}: Azure would refuse to make the machine`,
    what === 'availability set'
      ? 'Correct it in the settings of the site, or leave it out.'
      : "Choose another in the machine's network settings, or leave it out.",
  )
}
