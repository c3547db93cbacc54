// The connection test of a site that runs replicas in Azure: signs in, and says every right that is missing at once.
import { Refusal } from '@understudy/base/errors'
import type { ArmCalls } from './arm-calls.ts'
import { missingRights, neededInGroup, neededInSubscription } from './missing-rights.ts'
import { type ArmSettings, checkArmSettings } from './settings.ts'
import { toSubnets } from './site-networks.ts'

export async function checkArm(
  arm: ArmCalls,
  given: ArmSettings,
  signal?: AbortSignal,
): Promise<{ readonly summary: string }> {
  const settings = checkArmSettings(given)
  const { resourceGroup, region } = settings
  // The group first: its answer tells a wrong secret, a wrong subscription and a group that is not there from each other.
  const inGroup = missingRights(neededInGroup, await arm.permissions('group', signal))
  const inSubscription = missingRights(neededInSubscription, await arm.permissions('subscription', signal))
  if (inGroup.length > 0 || inSubscription.length > 0)
    throw rightsMissing([
      ...of(inGroup, `resource group ${resourceGroup}`),
      ...of(inSubscription, 'the subscription'),
    ])
  const machines = (await arm.sizes(signal)).filter(({ resourceType }) => resourceType === 'virtualMachines')
  if (machines.length === 0)
    throw new Refusal({
      code: 'azure/region-gone',
      message: `Azure offers this subscription no machines in ${region}`,
      remedy: 'Check the name of the region, as in "westeurope", or use another one.',
    })
  const subnets = toSubnets(await arm.allNetworks(signal), await arm.allGroups(signal), region)
  const isolated = subnets.filter((subnet) => subnet.isolated).length
  return {
    summary: `${machines.length} machine sizes in ${region}, ${subnets.length} subnets, ${isolated} of them isolated`,
  }
}

const of = (actions: readonly string[], where: string): readonly string[] =>
  actions.length === 0 ? [] : [`in ${where}: ${actions.join(', ')}`]

const rightsMissing = (missing: readonly string[]): Refusal =>
  new Refusal({
    code: 'azure/right-missing',
    message: `The identity of the site lacks rights in Azure; ${missing.join('; ')}`,
    remedy:
      'Give it a role with these actions at that place, such as Contributor of the group and Reader of the subscription. New roles take up to ten minutes to count.',
    facts: { missing },
  })
