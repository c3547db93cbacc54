// The connection test of a site that runs replicas in Azure: signs in, and says every right that is missing at once.
import type { ResourceSku } from '@azure/arm-compute'
import { Refusal } from '@understudy/base/errors'
import { type MissingRight, nameRights } from '@understudy/domain/sites/missing-right'
import type { ArmCalls } from './arm-calls.ts'
import { zonesOf } from './choose-size.ts'
import { MOST_ASKED, missingJoin, networksElsewhere } from './join-rights.ts'
import {
  asMissing,
  missingRights,
  neededForScripts,
  neededInGroup,
  neededInSubscription,
  type Permission,
} from './missing-rights.ts'
import { namedFindings, namedForAll } from './named-things.ts'
import { type ArmSettings, checkArmSettings } from './settings.ts'
import { type SiteSubnet, toSubnets } from './site-networks.ts'
import { storageRegionFindings } from './storage-region.ts'

export async function checkArm(
  arm: ArmCalls,
  given: ArmSettings,
  signal?: AbortSignal,
): Promise<{ readonly summary: string }> {
  const settings = checkArmSettings(given)
  const { resourceGroup, region } = settings
  // The group first: its answer tells a wrong secret, a wrong subscription and a group that is not there from each other.
  const permissions = await arm.permissions('group', signal)
  const inGroup = missingRights(neededInGroup, permissions)
  const inSubscription = missingRights(neededInSubscription, await arm.permissions('subscription', signal))
  if (inGroup.length > 0 || inSubscription.length > 0)
    throw rightsMissing([
      ...asMissing(inGroup, `resource group ${resourceGroup}`),
      ...asMissing(inSubscription, 'the subscription'),
    ])
  const machines = (await arm.sizes(signal)).filter(({ resourceType }) => resourceType === 'virtualMachines')
  if (machines.length === 0)
    throw new Refusal({
      code: 'azure/region-gone',
      message: `Azure offers this subscription no machines in ${region}`,
      remedy: 'Check the name of the region, as in "westeurope", or use another one.',
    })
  await refusePlacement(arm, settings, machines, signal)
  const storage = await arm.regionOfStorage(signal)
  const [unfit] = storageRegionFindings(settings, storage)
  if (unfit) throw new Refusal(unfit)
  const subnets = toSubnets(await arm.allNetworks(signal), await arm.allGroups(signal), region)
  const isolated = subnets.filter((subnet) => subnet.isolated).length
  return {
    summary: [
      `${machines.length} machine sizes in ${region}, ${subnets.length} subnets, ${isolated} of them isolated`,
      storage.kind === 'unclear'
        ? 'the region of the storage account not checked (it may not be read)'
        : 'the storage account in the same region',
      ...sizesNotOffered(settings, machines),
      ...(await networksRefused(arm, subnets, settings, signal)),
      ...scriptsRefused(permissions, settings),
    ].join(', '),
  }
}

/** Where every machine of the site is to be placed has to be there, or none can be made. */
async function refusePlacement(
  arm: ArmCalls,
  settings: ArmSettings,
  sizes: readonly ResourceSku[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const { zone, region } = settings
  const zones = [...new Set(sizes.flatMap((size) => zonesOf(size, region)))].sort()
  if (zone !== undefined && !zones.includes(zone))
    throw new Refusal({
      code: 'azure/zone-missing',
      message: `Azure offers this subscription no machines in zone ${zone} of ${region}`,
      remedy:
        zones.length === 0
          ? 'The region has no zones: leave the zone out.'
          : `Choose zone ${zones.join(' or ')}, or leave the zone out.`,
    })
  const [missing] = await namedFindings(namedForAll(settings), (id) => arm.exists(id, signal))
  if (missing) throw new Refusal(missing)
}

function sizesNotOffered(
  { preferredSizes, region }: ArmSettings,
  sizes: readonly ResourceSku[],
): readonly string[] {
  const offered = new Set(sizes.map(({ name = '' }) => name.toLowerCase()))
  const missing = preferredSizes.filter((name) => !offered.has(name.toLowerCase()))
  return missing.length === 0 ? [] : [`of the preferred sizes ${region} does not offer ${missing.join(', ')}`]
}

/** Nobody need be allowed everywhere: which networks a machine cannot be connected to is said, and refused when one is chosen. */
async function networksRefused(
  arm: ArmCalls,
  subnets: readonly SiteSubnet[],
  settings: ArmSettings,
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const elsewhere = networksElsewhere(subnets, settings)
  const missing: MissingRight[] = []
  for (const id of elsewhere.slice(0, MOST_ASKED)) {
    const one = await missingJoin(arm, id, signal)
    if (one !== null) missing.push(one)
  }
  const left = elsewhere.length - MOST_ASKED
  return [
    ...(missing.length === 0
      ? []
      : [`machines cannot be connected everywhere: ${nameRights(missing)} is missing`]),
    ...(left > 0 ? [`of ${left} further networks that was not asked`] : []),
  ]
}

/** Only plans with such steps need them. What else steps change lies elsewhere, and is looked at with the plan. */
function scriptsRefused(
  permissions: readonly Permission[],
  { resourceGroup }: ArmSettings,
): readonly string[] {
  const missing = missingRights(neededForScripts, permissions)
  return missing.length === 0
    ? []
    : [
        `plans cannot run scripts in machines: ${nameRights(asMissing(missing, `resource group ${resourceGroup}`))} is missing`,
      ]
}

const rightsMissing = (missingRights: readonly MissingRight[]): Refusal =>
  new Refusal({
    code: 'azure/right-missing',
    message: `The identity of the site lacks rights in Azure: ${nameRights(missingRights)}`,
    remedy:
      'Give it a role with these actions at that place, such as Contributor of the group and Reader of the subscription. New roles take up to ten minutes to count.',
    facts: { missingRights },
  })
