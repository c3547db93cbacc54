// Whether what a step is to change is there and may be changed, as things stand: asked before a run, so that it is no surprise in one.
// Nobody who may not read what he may do is told that he may not do it.
import { isAbort, Outage, Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import { warning } from '@understudy/domain/machines/finding'
import type { Finding } from '@understudy/domain/machines/machine'
import type { CloudThing } from '@understudy/engine/ports/cloud-services'
import type { ArmCalls } from '../arm-calls.ts'
import { keptFor } from '../kept-for.ts'
import { missingRights, neededForScripts } from '../missing-rights.ts'
import type { ServiceCalls } from './service-calls.ts'

/** Lists of plans ask again and again. */
const KEPT_MS = 60_000
/** Names come from plans, of which there is no end. */
const MOST_KEPT = 1000

export type CheckParts = {
  readonly calls: ServiceCalls
  readonly arm: Pick<ArmCalls, 'permissionsOn'>
  readonly subscriptionId: string
  readonly clock: Clock
}

type Check = (thing: CloudThing) => Promise<readonly Finding[]>

/** The same, asked once in a while. */
export function keptChecks(parts: CheckParts): Check {
  const kept = new Map<string, () => Promise<readonly Finding[]>>()
  return (thing) => {
    const key = JSON.stringify(thing)
    const ask = kept.get(key) ?? keptFor(KEPT_MS, parts.clock, () => checkThing(parts, thing))
    // The longest known goes first.
    const [oldest] = kept.keys()
    if (oldest !== undefined && kept.size >= MOST_KEPT && !kept.has(key)) kept.delete(oldest)
    kept.set(key, ask)
    return ask()
  }
}

/** What is needed for it, where, and how it is looked for. */
type Need = {
  readonly what: string
  /** Below the resource group; of the group itself the empty string. */
  readonly path: string
  readonly rights: readonly string[]
  /** False: it is not there. Rights that only now are known to be needed are added. */
  find(signal: AbortSignal): Promise<boolean | { readonly rights: readonly string[] }>
}

async function checkThing(parts: CheckParts, thing: CloudThing): Promise<readonly Finding[]> {
  const signal = AbortSignal.timeout(LONGEST_MS)
  const need = needOf(parts, thing)
  const place = `the resource group ${thing.resourceGroup}`
  const notThere = warning(
    'step/target-missing',
    `There is no ${need.what} in ${place}`,
    'Correct its name or its resource group in the step; see the portal of Azure.',
  )
  try {
    const found = await need.find(signal)
    if (found === false) return [notThere]
    const rights = [...need.rights, ...(found === true ? [] : found.rights)]
    return await rightFindings(parts, { ...need, rights, place, resourceGroup: thing.resourceGroup }, signal)
  } catch (error) {
    // Our own limit: whoever asked has not given up, so it is no abort of his.
    if (isAbort(error)) throw silent()
    if (!(error instanceof Refusal)) throw error
    // The group itself may be gone, or the sign-in may not even look.
    return [warning(error.code, `${need.what} cannot be changed: ${error.message}`, error.remedy)]
  }
}

const LONGEST_MS = 30_000

const silent = (): Outage =>
  new Outage({
    code: 'azure/no-answer',
    message: `Azure Resource Manager has not answered within ${LONGEST_MS / 1000} seconds`,
    remedy: 'Look at the line and at the health of the service in the portal of Azure; it is asked again.',
  })

async function rightFindings(
  { arm, subscriptionId }: CheckParts,
  need: Omit<Need, 'find'> & { readonly place: string; readonly resourceGroup: string },
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const group = `/subscriptions/${subscriptionId}/resourceGroups/${need.resourceGroup}`
  const permissions = await arm.permissionsOn(`${group}${need.path}`, signal)
  const missing = permissions === null ? [] : missingRights(need.rights, permissions)
  if (missing.length === 0) return []
  return [
    warning(
      'step/right-missing',
      `The identity of the site may not change the ${need.what} in ${need.place}: ${missing.join(', ')} is missing`,
      'Give it a role with these actions there. New roles take up to ten minutes to count.',
    ),
  ]
}

function needOf({ calls }: CheckParts, thing: CloudThing): Need {
  const within = { resourceGroup: thing.resourceGroup }
  const network = '/providers/Microsoft.Network'
  switch (thing.kind) {
    case 'traffic':
      return {
        what: `Traffic Manager profile ${thing.profile} with an endpoint ${thing.endpoint}`,
        path: `${network}/trafficManagerProfiles/${thing.profile}`,
        rights: ['Microsoft.Network/trafficManagerProfiles/read'],
        async find(signal) {
          const profile = await calls.profile(within, thing.profile, signal)
          const endpoint = profile?.properties?.endpoints?.find(
            ({ name }) => name?.toLowerCase() === thing.endpoint.toLowerCase(),
          )
          const kind = endpoint?.type?.split('/').at(-1)
          // Each kind of endpoint has rights of its own.
          return kind !== undefined && { rights: [`Microsoft.Network/trafficManagerProfiles/${kind}/write`] }
        },
      }
    case 'pool':
      return {
        what: `pool ${thing.pool} of a load balancer ${thing.loadBalancer}`,
        path: `${network}/loadBalancers/${thing.loadBalancer}`,
        rights: ['read', thing.ofAdapters ? 'join/action' : 'write'].map(
          (end) => `Microsoft.Network/loadBalancers/backendAddressPools/${end}`,
        ),
        find: async (signal) => (await calls.pool({ ...within, ...thing }, signal)) !== null,
      }
    case 'records': {
      const zoneType = thing.zoneKind === 'private' ? 'privateDnsZones' : 'dnsZones'
      return {
        what: `${thing.zoneKind} DNS zone ${thing.zone}`,
        path: `${network}/${zoneType}/${thing.zone}`,
        rights: [`${thing.type}/read`, `${thing.type}/write`].map(
          (end) => `Microsoft.Network/${zoneType}/${end}`,
        ),
        find: (signal) => calls.hasZone({ ...within, zoneType, zone: thing.zone }, signal),
      }
    }
    case 'script':
      return {
        what: 'scripts in machines',
        path: '',
        rights: neededForScripts,
        find: async () => true,
      }
  }
}
