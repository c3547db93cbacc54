// What the target would say to a machine, asked long before the disaster.
import { bootWarnings } from '@understudy/domain/boot-check/boot-check'
import { chooseBootNetworks } from '@understudy/domain/failover/boot-networks'
import type { DiskKey, Finding, Machine, MachineId } from '@understudy/domain/machines/machine'
import type { PolicyId } from '@understudy/domain/protection/policy'
import { whyNotEncrypted } from '@understudy/domain/protection/policy-fits'
import type { AdapterMapping, Protection, ProtectionId } from '@understudy/domain/protection/protection'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import { keptCheck } from '../boot-check/check-boot.ts'
import { loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import type { SitePlatform } from '../ports/platforms.ts'
import type { BootSpec, MachineSpec, SuggestedSize, TargetPlatform } from '../ports/target-platform.ts'
import { loadMachine } from '../protection/protect.ts'
import { findingOf, noTargetAt } from '../sites/no-target.ts'
import { platformOf, replicasAt } from '../sites/platform-of.ts'
import { loadSite } from '../sites/register.ts'
import { chooseFailoverNetworks } from './failover-networks.ts'

export type PreflightRequest = {
  readonly machineId: MachineId
  readonly targetSiteId: SiteId
  readonly adapters: readonly AdapterMapping[]
  /** Left out: none is chosen yet. */
  readonly policyId?: PolicyId
  /** Would not be replicated, so that the target need not have them. */
  readonly excludedDisks?: readonly DiskKey[]
}

export type SizeRequest = Omit<PreflightRequest, 'adapters' | 'policyId'>

/** The findings of the target, and what only the control plane knows: machines that will be there one day. */
export async function preflight(
  parts: EngineParts,
  { machineId, targetSiteId, adapters, policyId, excludedDisks = [] }: PreflightRequest,
): Promise<readonly Finding[]> {
  const machine = await loadMachine(parts, machineId)
  const platform = await platformOf(parts, targetSiteId)
  const { target } = platform
  const site = await loadSite(parts, targetSiteId)
  const unfit = policyId === undefined ? [] : await encryptionFindings(parts, { policyId, site, platform })
  const obstacle = noTargetAt(site, platform)
  // It is protected all the same, by somebody who knows.
  if (!target || obstacle) return [...unfit, ...(obstacle ? [findingOf(obstacle, 'warning')] : [])]
  const networks = await chooseFailoverNetworks(target, { adapters })
  const spec = { ...specOf(machine, excludedDisks), networks }
  return [
    ...unfit,
    ...(await target.preflight(spec)),
    ...connectedToNothing(spec),
    ...(await findingsOfTests(target, spec, adapters)),
    ...(await sharedNames(parts, machine, targetSiteId)),
  ]
}

/** Where the target has sizes: which one the machine would get. Null: it has none, or none that can be had. */
export async function suggestSize(
  parts: EngineParts,
  { machineId, targetSiteId, excludedDisks = [] }: SizeRequest,
): Promise<SuggestedSize | null> {
  const { target } = await platformOf(parts, targetSiteId)
  if (!target?.sizeFor) return null
  const machine = await loadMachine(parts, machineId)
  return await target.sizeFor({ ...specOf(machine, excludedDisks), networks: new Map() })
}

const specOf = ({ name, hardware }: Machine, excludedDisks: readonly DiskKey[]) => ({
  name,
  mode: 'failover' as const,
  hardware: { ...hardware, disks: hardware.disks.filter(({ key }) => !excludedDisks.includes(key)) },
  trackingId: null,
})

/** What is wrong with the networks that were chosen for tests, or with what the adapters are given there. */
async function findingsOfTests(
  target: TargetPlatform,
  spec: MachineSpec,
  adapters: readonly AdapterMapping[],
): Promise<readonly Finding[]> {
  if (adapters.every(({ testNetworkId }) => testNetworkId === null)) return []
  const mode = 'test'
  const networks = chooseBootNetworks({
    mode,
    adapters,
    networks: await target.networks(),
    // The target warns of them in its own words.
    allowOpenNetworks: true,
  })
  const found = await target.preflight({ ...spec, mode, networks })
  return found
    .filter(({ code }) => code.startsWith('network/'))
    .map((finding) => ({ ...finding, message: `In a test: ${finding.message}` }))
}

async function encryptionFindings(
  parts: EngineParts,
  {
    policyId,
    site,
    platform,
  }: { readonly policyId: PolicyId; readonly site: Site; readonly platform: SitePlatform },
): Promise<readonly Finding[]> {
  const policy = await parts.stores.policies.find(policyId)
  if (!policy) return []
  const why = whyNotEncrypted(policy, { name: site.name, encrypts: replicasAt(platform).encrypts })
  return why === null ? [] : [{ level: 'blocker', ...why }]
}

/**
 * The findings of the target for what a failover of this protection would boot there: from what is kept of the machine, which
 * may be gone at its source.
 */
export async function preflightFailover(
  parts: EngineParts,
  { protectionId, mode }: { readonly protectionId: ProtectionId; readonly mode: BootSpec['mode'] },
): Promise<readonly Finding[]> {
  const protection = await loadProtection(parts, protectionId)
  const { hardware, adapters } = protection
  const platform = await platformOf(parts, protection.targetSiteId)
  const { target } = platform
  const obstacle = noTargetAt(await loadSite(parts, protection.targetSiteId), platform)
  if (obstacle) return [findingOf(obstacle, 'blocker')]
  if (!target) return []
  const name = mode === 'test' ? `${protection.name}-test` : protection.name
  // Whether open networks are allowed is asked by the dialog; the target warns of them.
  const networks = chooseBootNetworks({
    mode,
    adapters,
    networks: await target.networks(),
    allowOpenNetworks: true,
  })
  const spec = { name, mode, hardware, networks, trackingId: null }
  return [
    ...(await target.preflight(spec)),
    ...connectedToNothing(spec),
    ...bootWarnings(await keptCheck(parts, protection)),
  ]
}

/** A failover of one machine alone takes the others of its group nowhere, and what boots is at no instant of theirs. */
export async function matesThatStay(
  { stores }: Pick<EngineParts, 'stores'>,
  { id, name, groupId }: Pick<Protection, 'id' | 'name' | 'groupId'>,
): Promise<readonly Finding[]> {
  if (groupId === null) return []
  const [group, protections] = await Promise.all([stores.groups.find(groupId), stores.protections.list()])
  const mates = protections.filter((other) => other.groupId === groupId && other.id !== id)
  if (group === null || mates.length === 0) return []
  const names = mates.map((mate) => mate.name).join(', ')
  return [
    {
      level: 'warning',
      code: 'failover/group-stays',
      message: `${name} belongs to the group "${group.name}": ${names} ${mates.length === 1 ? 'stays where it is, and what it holds' : 'stay where they are, and what they hold'} will not fit what ${name} becomes`,
      remedy: 'To fail all of them over to one common point, run a recovery plan that has them all.',
    },
  ]
}

/** It boots, and nobody reaches it: that may be meant, so it is no obstacle. Pure. */
function connectedToNothing({
  name,
  mode,
  hardware,
  networks,
}: Omit<BootSpec, 'runId' | 'disks' | 'placing'>): Finding[] {
  if (hardware.adapters.some(({ key }) => networks.has(key)) || hardware.adapters.length === 0) return []
  return [
    {
      level: 'warning',
      code: 'failover/no-network',
      message: `No adapter of ${name} is connected to a network in a ${mode === 'test' ? 'test' : 'failover'}: it would run, and nobody could reach it`,
      remedy: `Choose ${mode === 'test' ? 'an isolated network' : 'a network'} of the target site for its adapters.`,
    },
  ]
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
