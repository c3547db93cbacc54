// What the settings of a site and of its machines may name in Azure, listed so that nobody has to copy resource ids from the portal.
import type { ResourceSku } from '@azure/arm-compute'
import { Refusal } from '@understudy/base/errors'
import type { PlacementChoice } from '@understudy/domain/sites/placement-choice'
import type { ArmCalls } from './arm-calls.ts'
import { zonesOf } from './choose-size.ts'
import { readResourceId } from './resource-id.ts'
import type { ArmSettings } from './settings.ts'

type Calls = Pick<ArmCalls, 'allGroups' | 'allBalancers' | 'availabilitySets'>
type Resource = { readonly id?: string; readonly name?: string; readonly location?: string }

/** Only what fits the machines of the site. A kind that the sign-in may not list is left out: its ids can still be typed. */
export async function placementChoices(
  arm: Calls,
  { region }: Pick<ArmSettings, 'region'>,
  sizes: (signal?: AbortSignal) => Promise<readonly ResourceSku[]>,
  signal?: AbortSignal,
): Promise<readonly PlacementChoice[]> {
  const here = <Item extends Resource>(items: readonly Item[]): readonly Item[] =>
    items.filter(({ location }) => location?.toLowerCase() === region.toLowerCase())
  const choices = await Promise.all([
    allowed(async () => here(await arm.allGroups(signal)).flatMap((one) => choice('security-group', one))),
    allowed(async () =>
      here(await arm.allBalancers(signal)).flatMap(({ name, backendAddressPools = [] }) =>
        backendAddressPools.flatMap((pool) =>
          choice('load-balancer-pool', { ...pool, name: `${name}/${pool.name}` }),
        ),
      ),
    ),
    allowed(async () =>
      here(await arm.availabilitySets(signal)).flatMap((one) => choice('availability-set', one)),
    ),
    allowed(async () =>
      [...new Set((await sizes(signal)).flatMap((size) => zonesOf(size, region)))]
        .sort()
        .map((zone) => ({ kind: 'zone' as const, id: zone, name: `Zone ${zone}`, note: '' })),
    ),
  ])
  return choices.flat()
}

const choice = (
  kind: PlacementChoice['kind'],
  { id, name }: Pick<Resource, 'id' | 'name'>,
): readonly PlacementChoice[] =>
  id === undefined || name === undefined
    ? []
    : [{ kind, id, name, note: readResourceId(id)?.resourceGroup ?? '' }]

async function allowed<Item>(list: () => Promise<readonly Item[]>): Promise<readonly Item[]> {
  try {
    return await list()
  } catch (error) {
    if (error instanceof Refusal && error.code === 'azure/right-missing') return []
    throw error
  }
}
