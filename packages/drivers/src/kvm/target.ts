// KVM hosts as a place where replicas run.
import { Outage, Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { TargetPlatform, Whereabouts } from '@understudy/engine/ports/target-platform'
import { readBlockGraph } from './block-graph.ts'
import { bootReplica, serveDisks } from './boot-replica.ts'
import { beginTracking } from './dirty-bitmaps.ts'
import { guestPrograms } from './guest-programs.ts'
import type { Host } from './host.ts'
import { hydrateReplica } from './hydrate.ts'
import { loadMachineDefinition } from './machine-definition.ts'
import type { MachineDirectory } from './machine-directory.ts'
import { withMonitor } from './monitor.ts'
import { toNetworks } from './networks.ts'
import { checkpointText } from './ownership.ts'
import { endProcess, powerState, startMachine } from './power.ts'
import { preflightFindings } from './preflight.ts'
import { probeMachine } from './probe.ts'
import { backingSocketPath, kvmHardware } from './replica-definition.ts'
import { type ReplicaExportsOptions, replicaExports } from './replica-exports.ts'
import { restoreInto } from './restore-into.ts'
import { loadRunRecord, saveRunRecord } from './run-record.ts'
import { findRun, forgetRun, getRun, loadRunMachine, type RunMachine, searchBegun } from './runs.ts'
import { takeScreenshot } from './screenshot.ts'
import type { KvmSettings } from './settings.ts'
import { readPreflightFacts, type TargetSite } from './target-site.ts'

export type KvmTargetDeps = {
  readonly hosts: readonly Host[]
  readonly directory: MachineDirectory
  readonly settings: Pick<KvmSettings, 'networks' | 'accelerator' | 'bootDeadlineSeconds'>
} & ReplicaExportsOptions

/** `close` ends our servers: guests that are not hydrated wait until somebody reattaches them. */
export type KvmTarget = TargetPlatform & { close(): Promise<void> }

export function kvmTarget(deps: KvmTargetDeps): KvmTarget {
  const exports = replicaExports(deps)
  const site: TargetSite = { ...deps, exports }
  const { hosts, directory, settings } = deps
  return {
    presents: kvmHardware,
    places: async () => hosts.map(({ place }) => place),
    networks: async () => toNetworks(settings.networks),
    preflight: async (spec, signal) => preflightFindings(spec, await readPreflightFacts(site, null, signal)),
    boot: (spec, signal) => bootReplica(site, spec, signal),
    async reattach(spec, signal) {
      const machine = await findRun(hosts, spec.runId)
      if (machine === null) return
      await serveDisks(site, machine, spec)
      await resumeAfterError(machine, signal)
    },
    detach: (runId) => exports.end(runId),
    async hydrate(runId, onProgress, signal) {
      const machine = await getRun(hosts, runId)
      const onIndependent = (key: Parameters<typeof exports.withdraw>[1]) => exports.withdraw(runId, key)
      await hydrateReplica(machine, { onProgress, onIndependent, signal })
      await exports.end(runId)
      await machine.host.removeFile(backingSocketPath(machine.folder))
    },
    screenshot: async (runId, signal) => takeScreenshot(await getRun(hosts, runId), signal),
    probe: async (ref, signal) => probeMachine(await directory.find(ref, signal), signal),
    destroy: (runId, whereabouts) => destroyRun(site, runId, whereabouts),
    async adopt(runId) {
      const machine = await getRun(hosts, runId)
      refuseUnhydrated(machine)
      const record = await loadRunRecord(machine.host, machine.folder)
      const known = record ?? { runId, mode: 'failover' as const, started: true, adopted: false }
      await saveRunRecord(machine.host, machine.folder, { ...known, adopted: true })
    },
    async stop(runId) {
      const machine = await findRun(hosts, runId)
      if (machine !== null) await endProcess(machine)
    },
    guestPrograms: (ref) => guestPrograms((signal) => directory.find(ref, signal)),
    restoreInto: async (ref, disks, options, signal) =>
      restoreInto(await directory.find(ref, signal), disks, options, signal),
    async startTracked(ref, trackingId, signal) {
      const machine = await directory.find(ref, signal)
      if ((await powerState(machine, signal)) !== 'off') throw alreadyOn(machine.name)
      // A process whose guest is off would keep what it recorded before.
      await endProcess(machine)
      let checkpoint: string | null = null
      await startMachine(machine, {
        bootDeadlineSeconds: settings.bootDeadlineSeconds,
        signal,
        beforeFirstInstruction: async (qmp) => {
          checkpoint = checkpointText(await beginTracking(qmp, (await readBlockGraph(qmp)).disks, trackingId))
        },
      })
      return { checkpoint }
    },
    close: () => exports.endAll(),
  }
}

/** A read that waited for us longer than QEMU's patience has stopped the guest; the same read works now. */
export async function resumeAfterError(machine: RunMachine, signal: AbortSignal | undefined): Promise<void> {
  try {
    await withMonitor(
      machine,
      async (qmp) => {
        const { status } = await qmp.execute<{ readonly status: string }>('query-status')
        if (status === 'io-error') await qmp.execute('cont')
      },
      { signal },
    )
  } catch (error) {
    // It is off: there is nothing to go on with.
    if (!(error instanceof Outage) || error.code !== 'kvm/socket-closed') throw error
  }
}

/**
 * Only folders whose definition carries the run's tag, and those of our naming in which nothing was made yet. Nothing is touched
 * while it may be at a host that cannot be asked.
 */
async function destroyRun(
  { hosts, exports }: TargetSite,
  runId: RunId,
  whereabouts: Whereabouts,
): Promise<void> {
  const { folders } = await searchBegun(hosts, runId, whereabouts)
  for (const { host, folder } of folders) {
    const machine = await loadRunMachine(host, folder)
    if (machine === null) {
      if (await isUnfinished(host, folder)) await host.removeFolder(folder)
      continue
    }
    if (machine.definition.ownedBy !== runId) continue
    // The guest first: with its disks taken away while it runs it would only write errors.
    await endProcess(machine)
    await exports.end(runId)
    await host.removeFolder(folder)
    forgetRun(host, runId)
  }
  await exports.end(runId)
}

/** We were killed before the definition was in place: the folder holds at most its unfinished file. */
async function isUnfinished(host: Host, folder: string): Promise<boolean> {
  if ((await loadMachineDefinition(host, folder)) !== null) return false
  return (await host.list(folder)).every(({ name }) => name === 'machine.json.new')
}

export function refuseUnhydrated({ name, definition }: RunMachine): void {
  if (definition.disks.every(({ backing }) => backing === undefined)) return
  throw new Refusal({
    code: 'run/not-hydrated',
    message: `${name} still reads from its recovery point`,
    remedy: 'Wait until its disks are complete.',
  })
}

export const alreadyOn = (name: string): Refusal =>
  new Refusal({
    code: 'machine/running',
    message: `${name} is on already; its changes cannot be tracked from the beginning`,
    remedy: 'Shut it down first.',
  })
