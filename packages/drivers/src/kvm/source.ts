// KVM machines as a source of replication.
import { Outage } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import type { Eligibility, MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { readBlockGraph } from './block-graph.ts'
import { readBootFacts } from './boot-facts.ts'
import { driftOf, refuseDrift } from './definition-drift.ts'
import { checkEligibility, type EligibilityFacts, SHORTEST_INTERVAL_SECONDS } from './eligibility.ts'
import { connectGuestAgent } from './guest-agent.ts'
import type { Host } from './host.ts'
import { inventoryReader, watchInventory } from './inventory.ts'
import type { MachineDirectory } from './machine-directory.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { openPoint } from './open-point.ts'
import { powerOffMachine, powerState, shutDownMachine, startMachine, unclear } from './power.ts'
import { refuseHalfRestored } from './restoring-marker.ts'
import { type SitePower, sitePower } from './site-power.ts'
import { stopTracking } from './stop-tracking.ts'
import { openStoppedDisks } from './stopped-disks.ts'

export type KvmSourceDeps = {
  readonly hosts: readonly Host[]
  readonly directory: MachineDirectory
  readonly clock: Clock
  readonly bootDeadlineSeconds: number
  /** See PreparePointDeps.scratchBytes. */
  readonly scratchBytes?: number
  /** Where others know better: behind libvirt. */
  readonly power?: SitePower
}

export function kvmSource(deps: KvmSourceDeps): SourcePlatform {
  const { directory, clock, hosts } = deps
  const find = (ref: MachineRef, signal?: AbortSignal): Promise<MachineLocation> =>
    directory.find(ref, signal)
  const inventory = inventoryReader(directory)
  const power = deps.power ?? sitePower(hosts, directory)
  return {
    shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
    inventory,
    // Of its own: what one of them has seen must not hide a change from the other.
    watch: (onChange, signal) => watchInventory(hosts, inventoryReader(directory), onChange, signal),
    async eligibility(ref, signal): Promise<Eligibility> {
      return checkEligibility(await eligibilityFacts(await find(ref, signal), signal))
    },
    openPoint: (request, signal) => openPoint(deps, request, signal),
    stopTracking: (ref, trackingId) => stopTracking(directory, ref, trackingId),
    powerState: power.state,
    async shutDown(ref, options) {
      const machine = await power.locate(ref, options.signal)
      await refuseDrift(machine, options.excludedDisks ?? [], options.signal)
      const evidence = await power.watchEnd(machine, options.signal)
      return shutDownMachine(machine, clock, { ...options, evidence })
    },
    async powerOff(ref, signal) {
      const machine = await power.locate(ref, signal)
      return powerOffMachine(machine, clock, await power.watchEnd(machine, signal))
    },
    async start(ref, signal) {
      const machine = await power.locate(ref, signal)
      await refuseHalfRestored(machine)
      // Where another host runs it, or may, a second copy of it would begin here.
      if ((await power.state(ref, signal)) === 'unknown') throw unclear(machine, 'start')
      await startMachine(machine, { bootDeadlineSeconds: deps.bootDeadlineSeconds, signal })
    },
    async openStoppedDisks(ref, options, signal) {
      const machine = await power.locate(ref, signal)
      return openStoppedDisks(machine, { ...options, evidence: power.evidenceOfOff })
    },
    bootFacts: (ref, signal) => readBootFacts((aborted) => find(ref, aborted), signal),
  }
}

async function eligibilityFacts(
  machine: MachineLocation,
  signal: AbortSignal | undefined,
): Promise<EligibilityFacts> {
  const power = await powerState(machine, signal)
  const common = {
    name: machine.name,
    power,
    definition: machine.definition,
    agentChannel: machine.agentPath !== null,
  }
  try {
    const agentAnswered = await agentAnswers(machine, signal)
    return await withMonitor(
      machine,
      async (qmp) => {
        const { disks, skipped } = await readBlockGraph(qmp)
        const { definition, folder } = machine
        const drift = definition === null ? null : driftOf(definition.disks, disks, folder)
        return { ...common, running: { version: qmp.version, disks, skipped, agentAnswered, drift } }
      },
      { signal },
    )
  } catch (error) {
    if (error instanceof Outage && error.code === 'kvm/socket-closed') return { ...common, running: null }
    throw error
  }
}

async function agentAnswers(machine: MachineLocation, signal: AbortSignal | undefined): Promise<boolean> {
  const { agentPath, host, name } = machine
  if (agentPath === null) return false
  try {
    const agent = await connectGuestAgent(() => host.connect(agentPath, signal), { name, signal })
    agent.close()
    return true
  } catch (error) {
    if (error instanceof Outage) return false
    throw error
  }
}
