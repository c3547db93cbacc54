// Hosts that libvirt manages as a place where replicas run: each is a domain, like any other for virsh.
import { join } from 'node:path'
import { Outage } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import type { RunId } from '@understudy/domain/failover/failover'
import type { Whereabouts } from '@understudy/engine/ports/target-platform'
import { guestPrograms } from '../guest-programs.ts'
import { toNetworks } from '../networks.ts'
import { preflightFindings } from '../preflight.ts'
import { probeMachine } from '../probe.ts'
import { backingSocketPath, kvmHardware, replicaRef } from '../replica-definition.ts'
import { type ReplicaExportsOptions, replicaExports } from '../replica-exports.ts'
import { loadRunRecord, saveRunRecord } from '../run-record.ts'
import { takePicture } from '../screenshot.ts'
import { type KvmTarget, refuseUnhydrated, resumeAfterError } from '../target.ts'
import { bootDomain } from './libvirt-boot.ts'
import type { LibvirtHost } from './libvirt-host.ts'
import { hydrateDomain } from './libvirt-hydrate.ts'
import { offerDisks } from './libvirt-offer.ts'
import { evidenceOnHost, powerOffDomain } from './libvirt-power.ts'
import { restoreIntoDomain, startDomainTracked } from './libvirt-restore.ts'
import {
  findBegun,
  findRun,
  getRun,
  type LibvirtRun,
  type LibvirtSite,
  readLibvirtFacts,
  readNetworks,
} from './libvirt-site.ts'
import { word } from './virsh-session.ts'

export type LibvirtTargetDeps = Omit<LibvirtSite, 'exports'> &
  ReplicaExportsOptions & { readonly clock: Clock }

/** See kvmTarget. */
export function libvirtTarget(deps: LibvirtTargetDeps): KvmTarget {
  const exports = replicaExports(deps)
  const site: LibvirtSite = { ...deps, exports }
  const { hosts, directory, settings, clock } = deps
  return {
    presents: kvmHardware,
    places: async () => hosts.map(({ place }) => place),
    networks: async (signal) => toNetworks(await readNetworks(site, signal)),
    preflight: async (spec, signal) => preflightFindings(spec, await readLibvirtFacts(site, null, signal)),
    boot: (spec, signal) => bootDomain(site, spec, signal),
    async reattach(spec, signal) {
      const run = await findRun(site, spec.runId, signal)
      if (run === null) return
      await offerDisks(site, run, spec, signal)
      await resumeAfterError(run.replica, signal)
    },
    detach: (runId) => exports.end(runId),
    async hydrate(runId, onProgress, signal) {
      const run = await getRun(site, runId, signal)
      await hydrateDomain(run, { onProgress, onIndependent: (key) => exports.withdraw(runId, key), signal })
      await exports.end(runId)
      await run.host.removeFile(backingSocketPath(run.replica.folder))
    },
    screenshot: async (runId, signal) => takeScreenshot(await getRun(site, runId, signal), signal),
    probe: async (ref, signal) => probeMachine(await directory.find(ref, signal), signal),
    destroy: (runId, whereabouts) => destroyRun(site, runId, whereabouts),
    async adopt(runId) {
      const { replica } = await getRun(site, runId)
      refuseUnhydrated(replica)
      const record = await loadRunRecord(replica.host, replica.folder)
      const known = record ?? { runId, mode: 'failover' as const, started: true, adopted: false }
      await saveRunRecord(replica.host, replica.folder, { ...known, adopted: true })
    },
    async stop(runId) {
      const run = await findRun(site, runId)
      if (run !== null) await powerOffDomain(run, clock, evidenceOnHost)
    },
    guestPrograms: (ref) => guestPrograms((signal) => directory.find(ref, signal)),
    restoreInto: async (ref, disks, options, signal) =>
      restoreIntoDomain(await directory.findMachine(ref, signal), disks, options, signal),
    startTracked: async (ref, trackingId, signal) =>
      startDomainTracked(await directory.findMachine(ref, signal), trackingId, {
        bootDeadlineSeconds: settings.bootDeadlineSeconds,
        signal,
      }),
    close: () => exports.endAll(),
  }
}

/** libvirt has QEMU write where it may write, which our folder need not be. */
async function takeScreenshot(
  { host, domain, replica }: LibvirtRun,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const path = join(replica.folder, 'us-screen')
  await host.virsh((session) => session.ask(`screenshot ${word(domain.ref)} ${word(path)}`), signal)
  return takePicture(replica, path)
}

/**
 * Only what carries the run's tag, and a folder of the run's in which no domain was made yet. Nothing is touched while it may be
 * at a host that cannot be asked.
 */
async function destroyRun(site: LibvirtSite, runId: RunId, whereabouts: Whereabouts): Promise<void> {
  const { hosts, exports, clock } = site
  const ref = replicaRef(runId)
  const machine = await findBegun(site, runId, whereabouts)
  if (machine === null || machine.domain.ownedBy === runId) {
    if (machine !== null) {
      // The guest first: with its disks taken away while it runs it would only write errors.
      await powerOffDomain(machine, clock, evidenceOnHost)
      await exports.end(runId)
      await undefine(machine.host, ref)
      await removeRunFolder(machine.host, runId)
    }
    for (const host of hosts) await removeRunFolder(host, runId).catch(unlessAway)
  }
  await exports.end(runId)
}

const unlessAway = (error: unknown): void => {
  if (!(error instanceof Outage)) throw error
}

const undefine = (host: LibvirtHost, ref: string): Promise<string> =>
  host.virsh((session) =>
    session.ask(`undefine ${word(ref)} --managed-save --nvram --snapshots-metadata --checkpoints-metadata`),
  )

/** A folder that its record says is this run's, or that we were killed in before the record was in place. */
async function removeRunFolder(host: LibvirtHost, runId: RunId): Promise<void> {
  const folder = host.folderOf(replicaRef(runId))
  if ((await host.status(folder)) === null) return
  const record = await loadRunRecord(host, folder)
  const isOurs =
    record === null
      ? (await host.list(folder)).every(({ name }) => name === 'us-run.json.new')
      : record.runId === runId
  if (isOurs) await host.removeFolder(folder)
}
