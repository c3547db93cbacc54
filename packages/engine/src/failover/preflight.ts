// What the target would say to a machine, asked long before the disaster.
import type { Finding, Machine, MachineId } from '@understudy/domain/machines/machine'
import type { AdapterMapping } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { loadMachine } from '../protection/protect.ts'
import { targetOf } from '../sites/platform-of.ts'
import { chooseFailoverNetworks } from './failover-networks.ts'

export type PreflightRequest = {
  readonly machineId: MachineId
  readonly targetSiteId: SiteId
  readonly adapters: readonly AdapterMapping[]
}

/** The findings of the target, and what only the control plane knows: machines that will be there one day. */
export async function preflight(
  parts: EngineParts,
  { machineId, targetSiteId, adapters }: PreflightRequest,
): Promise<readonly Finding[]> {
  const machine = await loadMachine(parts, machineId)
  const target = await targetOf(parts, targetSiteId)
  const networks = await chooseFailoverNetworks(target, { adapters })
  const { name, hardware } = machine
  const spec = { name, mode: 'failover', hardware, networks, trackingId: null } as const
  return [...(await target.preflight(spec)), ...(await sharedNames(parts, machine, targetSiteId))]
}

/** Another machine of this name is protected to the same site: whichever boots second there gets a number. */
async function sharedNames(parts: EngineParts, machine: Machine, targetSiteId: SiteId): Promise<Finding[]> {
  const others = (await parts.stores.protections.list()).filter(
    (other) =>
      other.targetSiteId === targetSiteId && other.name === machine.name && other.machineId !== machine.id,
  )
  if (others.length === 0) return []
  return [
    {
      level: 'warning',
      code: 'machine/name-shared',
      message: `Another machine called ${machine.name} is protected to this site; whichever boots there second gets a number after its name`,
      remedy: 'Give one of the two another name if that matters.',
    },
  ]
}
