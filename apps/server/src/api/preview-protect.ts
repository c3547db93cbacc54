// What protecting some machines would mean: eligibility, the target's verdict, space, and networks that suggest themselves.

import { toFailureReport } from '@understudy/base/errors'
import type { ProtectPreview, ProtectPreviewInput } from '@understudy/contract/protection'
import { type DiskKey, type Finding, type Machine, withoutDisks } from '@understudy/domain/machines/machine'
import type { PolicyId } from '@understudy/domain/protection/policy'
import type { AdapterMapping, GroupId } from '@understudy/domain/protection/protection'
import type { Network, Site, SiteId } from '@understudy/domain/sites/site'
import { someAtOnce } from '@understudy/engine/recovery-plans/some-at-once'
import type { z } from 'zod'
import type { ApiDeps } from './context.ts'
import { findMachine, findSite } from './find.ts'
import { freeBytesOf } from './site-facts.ts'

type Preview = z.infer<typeof ProtectPreview>

export async function previewProtect(
  deps: ApiDeps,
  input: z.output<typeof ProtectPreviewInput>,
): Promise<Preview> {
  const target = await findSite(deps, input.targetSiteId)
  const networks = await deps.engine.networks(target.id)
  const machines = await someAtOnce(input.machineIds, (id) => findMachine(deps, id))
  const excludedOf = (machine: Machine) => (input.excludedDisks[machine.id] ?? []) as DiskKey[]
  // A target answers only so many questions at once, and failovers ask it as well.
  const rows = await someAtOnce(machines, (machine) =>
    previewMachine(deps, {
      machine,
      excluded: excludedOf(machine),
      chosen: input.adapters[machine.id] ?? [],
      target,
      networks,
      policyId: input.policyId as PolicyId,
    }),
  )
  return {
    findings: [...rows.flatMap((row) => row.findings), ...(await groupFindings(deps, input, machines))],
    diskBytes: machines
      .flatMap((machine) => machine.hardware.disks.filter(({ key }) => !excludedOf(machine).includes(key)))
      .reduce((sum, disk) => sum + disk.bytes, 0),
    freeBytes: await freeBytesOf(deps, target),
    suggestedAdapters: Object.fromEntries(rows.map((row) => [row.machineId, row.suggested])),
    sizes: Object.fromEntries(rows.flatMap((row) => (row.size ? [[row.machineId, row.size]] : []))),
  }
}

/** What keeps machines out of the group that was chosen for them. */
async function groupFindings(
  { engine }: ApiDeps,
  { groupId, targetSiteId, policyId }: z.output<typeof ProtectPreviewInput>,
  machines: readonly Machine[],
): Promise<Preview['findings']> {
  if (groupId === undefined) return []
  const obstacles = await engine.newcomerObstacles({
    groupId: groupId as GroupId,
    machines,
    targetSiteId: targetSiteId as SiteId,
    policyId: policyId as PolicyId,
  })
  return [...obstacles].map(([machineId, obstacle]) => ({ machineId, level: 'blocker', ...obstacle }))
}

type Wanted = {
  readonly machine: Machine
  readonly excluded: readonly DiskKey[]
  readonly chosen: readonly AdapterMapping[]
  readonly target: Site
  readonly networks: readonly Network[]
  readonly policyId: PolicyId
}

async function previewMachine(deps: ApiDeps, wanted: Wanted) {
  const { machine, excluded, chosen, target, networks, policyId } = wanted
  const suggested = chooseAdapters(machine, networks)
  const adapters = suggested.map(
    (adapter) => chosen.find(({ adapterKey }) => adapterKey === adapter.adapterKey) ?? adapter,
  )
  const findings: Finding[] = []
  let size: { name: string; why: string } | null = null
  if (machine.siteId === (target.id as SiteId))
    findings.push({
      level: 'blocker',
      code: 'protection/same-site',
      message: `${machine.name} already runs at ${target.name}`,
      remedy: 'Choose another target site.',
    })
  try {
    const where = { machineId: machine.id, targetSiteId: target.id, excludedDisks: excluded }
    const [eligibility, preflight, suggestedSize] = await Promise.all([
      deps.engine.eligibility(machine.id),
      deps.engine.preflight({ ...where, adapters, policyId }),
      deps.engine.suggestSize(where),
    ])
    size = suggestedSize && { ...suggestedSize }
    findings.push(...withoutDisks(eligibility, excluded).findings, ...preflight)
  } catch (error) {
    // A site that does not answer is a finding here, not a failed request: the others are still worth showing.
    const { code, message, remedy } = toFailureReport(error)
    findings.push({ level: 'blocker', code, message, remedy })
  }
  return {
    machineId: machine.id,
    suggested: suggested.map((adapter) => ({ ...adapter })),
    size,
    findings: findings.map((finding) => ({ ...finding, machineId: machine.id as string })),
  }
}

/** What a protection gets when nobody said which networks its machine is to be connected to. */
export async function loadSuggestedAdapters(
  deps: ApiDeps,
  { machineId, targetSiteId }: { readonly machineId: string; readonly targetSiteId: string },
): Promise<AdapterMapping[]> {
  const machine = await findMachine(deps, machineId)
  const target = await findSite(deps, targetSiteId)
  return chooseAdapters(machine, await deps.engine.networks(target.id))
}

/** The network of the same name for a failover, the first isolated one for tests. */
function chooseAdapters(machine: Machine, networks: readonly Network[]): AdapterMapping[] {
  const open = networks.filter((network) => !network.isolated)
  const isolated = networks.find((network) => network.isolated)
  return machine.hardware.adapters.map((adapter) => ({
    adapterKey: adapter.key,
    failoverNetworkId: (open.find((network) => network.id === adapter.networkId) ?? open[0])?.id ?? null,
    testNetworkId: isolated?.id ?? null,
  }))
}
