// What a decision about a machine in Azure is made from.
import type { RunId } from '@understudy/domain/failover/failover'
import type { MachineSpec } from '@understudy/engine/ports/target-platform'
import { mayHave, type PreflightFacts, pluggedAdapters, ruleFor } from './preflight.ts'
import { sameId } from './resource-id.ts'
import { isOfRun } from './run-names.ts'
import { type SiteSubnet, toSubnets } from './site-networks.ts'
import type { TargetParts } from './target-parts.ts'

export async function loadSubnets(
  { arm, settings }: Pick<TargetParts, 'arm' | 'settings'>,
  signal: AbortSignal | undefined,
): Promise<readonly SiteSubnet[]> {
  const [networks, groups] = await Promise.all([arm.allNetworks(signal), arm.allGroups(signal)])
  return toSubnets(networks, groups, settings.region)
}

/** What `runId` has made already is in nobody's way. */
export async function readPreflightFacts(
  parts: Pick<TargetParts, 'arm' | 'settings'>,
  spec: MachineSpec,
  runId: RunId | null,
  signal: AbortSignal | undefined,
): Promise<PreflightFacts> {
  const { arm, settings } = parts
  const [subnets, skus, usages, machines] = await Promise.all([
    loadSubnets(parts, signal),
    arm.sizes(signal),
    arm.usages(signal),
    arm.machines.list(signal),
  ])
  const others = machines.filter((machine) => runId === null || !isOfRun(machine, runId))
  return {
    settings,
    subnets,
    skus,
    usages,
    machineNames: others.flatMap(({ name }) => (name === undefined ? [] : [name])),
    takenAddresses: await takenAddresses(parts, spec, { subnets, runId }, signal),
  }
}

async function takenAddresses(
  { arm, settings }: Pick<TargetParts, 'arm' | 'settings'>,
  spec: MachineSpec,
  { subnets, runId }: { readonly subnets: readonly SiteSubnet[]; readonly runId: RunId | null },
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const taken = new Set<string>()
  for (const { adapter, networkId } of pluggedAdapters(spec)) {
    const address = ruleFor(settings, adapter, spec.mode)?.address
    const subnet = subnets.find(({ id }) => sameId(id, networkId))
    // Azure answers only about addresses of the network.
    if (address === undefined || subnet === undefined || !mayHave(subnet, address)) continue
    if (!(await arm.isAddressFree(subnet.networkId, address, signal))) taken.add(address)
  }
  if (taken.size === 0 || runId === null) return taken
  // Ours already, from an earlier attempt.
  for (const adapter of await arm.adapters.list(signal))
    if (isOfRun(adapter, runId))
      for (const { privateIPAddress } of adapter.ipConfigurations ?? [])
        if (privateIPAddress !== undefined) taken.delete(privateIPAddress)
  return taken
}
