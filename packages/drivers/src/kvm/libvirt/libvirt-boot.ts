// Starting a replica as a domain of libvirt, from a recovery point with nothing copied before:
//
//     guest -> overlay (qcow2, in our folder) -> NBD -> our reader of the point
//
// Order: where it is made, in the engine's keeping; folder and run record, overlays, domain (with the run's tag), server, QEMU paused, tracking, first instruction. The
// folder's name follows from the run, so what a killed predecessor made is found whether it got to the domain or not.
import { join } from 'node:path'
import { Refusal } from '@understudy/base/errors'
import { invariant, present } from '@understudy/base/invariant'
import type { BootSpec, RunningReplica } from '@understudy/engine/ports/target-platform'
import {
  createOverlay,
  findCheckpoint,
  newRecord,
  nowhere,
  toRefusal,
  trackFromFirstInstruction,
} from '../boot-replica.ts'
import { withMonitor } from '../monitor.ts'
import { type Checkpoint, checkpointText } from '../ownership.ts'
import { choosePlace, freeMachineName, type PreflightFacts, preflightFindings } from '../preflight.ts'
import { replicaDefinition, replicaRef } from '../replica-definition.ts'
import { loadRunRecord, saveRunRecord } from '../run-record.ts'
import type { LibvirtHost } from './libvirt-host.ts'
import { offerDisks } from './libvirt-offer.ts'
import { libvirtPowerState, startDomain } from './libvirt-power.ts'
import {
  findBegun,
  findRun,
  type LibvirtRun,
  type LibvirtSite,
  readLibvirtFacts,
  toRun,
} from './libvirt-site.ts'
import { replicaXml } from './replica-xml.ts'
import { word } from './virsh-session.ts'

/** See TargetPlatform.boot. */
export async function bootDomain(
  site: LibvirtSite,
  spec: BootSpec,
  signal?: AbortSignal,
): Promise<RunningReplica> {
  const begun = await findBegun(site, spec.runId, spec.placing.before, signal)
  const existing = begun?.domain.ownedBy === spec.runId ? toRun(begun) : null
  const run = existing ?? (await makeDomain(site, spec, signal))
  await offerDisks(site, run, spec, signal)
  const checkpoint = await startReplica(site, run, spec, signal)
  return {
    ref: run.domain.ref,
    name: run.domain.name,
    checkpoint: checkpoint === null ? null : checkpointText(checkpoint),
  }
}

async function makeDomain(
  site: LibvirtSite,
  spec: BootSpec,
  signal: AbortSignal | undefined,
): Promise<LibvirtRun> {
  const facts = await readLibvirtFacts(site, spec.runId, signal)
  refuseForeign(facts, spec)
  const blocker = preflightFindings(spec, facts).find(({ level }) => level === 'blocker')
  if (blocker !== undefined) throw toRefusal(blocker)
  const place = choosePlace(spec, facts)
  const host = site.hosts.find((candidate) => candidate === place)
  if (host === undefined) throw new Refusal(nowhere(spec))

  const folder = host.folderOf(replicaRef(spec.runId))
  await spec.placing.keep(host.place)
  await host.makeFolder(folder)
  await host.handOver(folder)
  await saveRunRecord(host, folder, newRecord(spec))
  const { networks } = facts.settings
  const settings = { networks, accelerator: site.settings.accelerator }
  const named = { ...spec, name: freeMachineName(spec.name, facts) }
  const definition = replicaDefinition(named, settings, { folder, takePort: noPort })
  for (const disk of definition.disks) await createOverlay({ host, folder }, disk)
  await defineDomain(host, folder, replicaXml(definition, folder, networks))
  return present(await findRun(site, spec.runId, signal), 'libvirt knows what it has just defined')
}

/** libvirt would take our definition of a machine of the same uuid for a change of that machine. */
function refuseForeign({ machines }: PreflightFacts, { runId, name }: BootSpec): void {
  const found = machines.find(({ definition }) => definition?.ref === replicaRef(runId))
  if (found === undefined) return
  throw new Refusal({
    code: 'run/tag-lost',
    message: `The machine ${found.name} was made for this run of ${name}, but its metadata does not say so any more`,
    remedy: 'Remove that machine with virsh, or give it its metadata back.',
  })
}

/** libvirt's user networks have no way in. */
const noPort = (): number => {
  invariant(false, 'networks behind libvirt forward no ports')
}

async function defineDomain(host: LibvirtHost, folder: string, xml: string): Promise<void> {
  const path = join(folder, 'us-domain.xml')
  await host.writeFile(path, xml)
  await host.virsh((session) => session.ask(`define ${word(path)}`))
}

async function startReplica(
  { settings }: LibvirtSite,
  run: LibvirtRun,
  spec: BootSpec,
  signal: AbortSignal | undefined,
): Promise<Checkpoint | null> {
  const { replica } = run
  const { trackingId } = spec
  if (run.domain.active && (await libvirtPowerState(run, signal)) === 'running')
    return withMonitor(replica, (qmp) => findCheckpoint(qmp, trackingId), { signal })

  const record = (await loadRunRecord(replica.host, replica.folder)) ?? newRecord(spec)
  let checkpoint: Checkpoint | null = null
  await startDomain(run, {
    bootDeadlineSeconds: settings.bootDeadlineSeconds,
    async beforeFirstInstruction(qmp) {
      checkpoint = await trackFromFirstInstruction(qmp, replica, record, trackingId)
    },
    signal,
  })
  return checkpoint
}
