// Making a replica behind libvirt independent of us. `virsh blockpull` is QEMU's block-stream, except that libvirt knows of
// it: when it ends, libvirt takes the backing out of the running domain and out of its definition. The job lives in QEMU and
// libvirtd, so it goes on while we are away.
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { aliasOfKey } from '../device-alias.ts'
import { type DiskState, followStreams, type HydrateOptions } from '../hydrate.ts'
import { socketClosed } from '../local-host.ts'
import type { DefinedDisk } from '../machine-definition.ts'
import { withMonitor } from '../monitor.ts'
import { findDomain } from './libvirt-host.ts'
import type { LibvirtRun } from './libvirt-site.ts'
import { type VirshSession, word } from './virsh-session.ts'

const SETTLE_MILLISECONDS = 20_000

/** Resolves when no disk needs us. Repeatable; adopts jobs that run already. Outage `kvm/socket-closed` when it is off. */
export async function hydrateDomain(run: LibvirtRun, options: HydrateOptions): Promise<void> {
  const { host, replica } = run
  await flushWhole(run)
  const refusedSince = new Map<DiskKey, number>()
  await followStreams(replica, {
    ...options,
    look: (disks) => host.virsh((session) => look(session, run, { disks, refusedSince }), options.signal),
    async onIndependent(key) {
      await flush(run, key)
      await options.onIndependent(key)
    },
  })
}

async function look(
  session: VirshSession,
  { domain: { ref }, replica, host }: LibvirtRun,
  { disks, refusedSince }: { disks: readonly DefinedDisk[]; refusedSince: Map<DiskKey, number> },
): Promise<ReadonlyMap<DiskKey, DiskState>> {
  const now = await findDomain(session, ref)
  if (now?.active !== true)
    throw socketClosed(host.name, replica.monitorPath, new Error('libvirt says that it is shut off'))
  const seen = new Map<DiskKey, DiskState>()
  // One disk after the other: when two end at once, libvirt settles the first one and lists QEMU's nodes for it while the other
  // ended stream is still kept, at which QEMU 7.2 crashes.
  let isBusy = false
  for (const { key } of disks) {
    const { target, backing } = present(
      now.disks.find((disk) => disk.key === key),
      `${replica.name} has disk ${key}`,
    )
    const part = await readPart(session, `${word(ref)} ${target}`)
    if (part !== null) seen.set(key, { kind: 'streaming', part })
    else if (backing === null) seen.set(key, { kind: 'independent' })
    else if (isBusy) seen.set(key, { kind: 'streaming', part: 0 })
    else {
      const begun = await begin(session, `${word(ref)} ${target}`, refusedSince.get(key) ?? performance.now())
      if (begun) refusedSince.delete(key)
      else refusedSince.set(key, refusedSince.get(key) ?? performance.now())
      seen.set(key, begun ? { kind: 'idle' } : { kind: 'streaming', part: 0 })
    }
    isBusy ||= seen.get(key)?.kind !== 'independent'
  }
  return seen
}

/**
 * False while libvirt is still busy with a job that has ended a moment ago: its disk then has neither a job nor its new
 * chain, and a new job is refused. The next look tells.
 */
async function begin(session: VirshSession, disk: string, refusedSince: number): Promise<boolean> {
  try {
    await session.ask(`blockpull ${disk}`)
    return true
  } catch (error) {
    if (!(error instanceof Outage) || error.code !== 'kvm/libvirt-failed') throw error
    if (performance.now() - refusedSince > SETTLE_MILLISECONDS) throw error
    return false
  }
}

/** How much of the disk's job is done. Null: it has none. https://libvirt.org/manpages/virsh.html#blockjob */
async function readPart(session: VirshSession, disk: string): Promise<number | null> {
  const text = await session.ask(`blockjob ${disk} --raw`)
  const value = (name: string): number =>
    Number(new RegExp(`^\\s*${name}=(\\d+)`, 'm').exec(text)?.[1] ?? 'NaN')
  const [done, total] = [value('cur'), value('end')]
  if (Number.isNaN(total) || Number.isNaN(done)) return null
  return total === 0 ? 0 : Math.min(1, done / total)
}

/**
 * libvirt takes the backing out by itself when a pull ends. A predecessor that was killed before its flush leaves a disk behind that
 * looks like any that is whole. One that is off was flushed when its QEMU closed it.
 */
async function flushWhole(run: LibvirtRun): Promise<void> {
  if (!run.domain.active) return
  for (const { key, backing } of run.replica.definition.disks)
    if (backing === undefined) await flush(run, key)
}

/**
 * What was streamed must be on the disk before anybody is told that nothing is missing: a host may crash a moment later. The
 * device's path is known and not asked for: QEMU 7.2 crashes on listing its nodes while an ended stream is kept, and libvirt keeps
 * that of another disk until it has heard of its end.
 */
async function flush({ replica }: LibvirtRun, key: DiskKey): Promise<void> {
  const device = `/machine/peripheral/${aliasOfKey(key)}/virtio-backend`
  await withMonitor(replica, (qmp) => qmp.human(`qemu-io -d ${device} flush`))
}
