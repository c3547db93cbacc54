// Removing everything of one owner from a machine.
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { removeBitmaps } from './dirty-bitmaps.ts'
import type { MachineDirectory } from './machine-directory.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { type OurNode, ownerDigest, TRACKING_ID } from './ownership.ts'
import type { Qmp } from './qmp.ts'
import { removeSnapshots } from './snapshot.ts'

/**
 * See SourcePlatform.stopTracking. A machine that is off keeps its images as they are, because whether anybody wrote to them
 * decides how it can be failed back to; its bitmaps go when it is started next.
 */
export async function stopTracking(
  directory: MachineDirectory,
  ref: MachineRef,
  trackingId: string,
): Promise<void> {
  const machine = await findOrGone(directory, ref)
  if (machine === null) return
  await machine.host.removeFile(join(machine.folder, `us-last-${ownerDigest(trackingId)}.json`))
  try {
    await withMonitor(machine, (qmp) => removeOwner(qmp, machine, trackingId))
  } catch (error) {
    if (!(error instanceof Outage) || error.code !== 'kvm/socket-closed') throw error
    if (machine.definition !== null) await machine.host.writeFile(unwantedPath(machine, trackingId), '')
  }
}

async function removeOwner(qmp: Qmp, machine: MachineLocation, trackingId: string): Promise<void> {
  const owner = ownerDigest(trackingId)
  const isOurs = (node: OurNode): boolean => node.owner === owner
  const { disks } = await removeSnapshots(qmp, machine.host, machine.folder, isOurs)
  await removeBitmaps(qmp, disks, trackingId, () => true)
}

const PREFIX = 'us-unwanted-'
const unwantedPath = (machine: MachineLocation, trackingId: string): string =>
  join(machine.folder, `${PREFIX}${trackingId}`)

/** Removes the owners that were given up while the machine was off. Called at every start, before the first instruction. */
export async function removeUnwanted(qmp: Qmp, machine: MachineLocation): Promise<void> {
  for (const { name } of await machine.host.list(machine.folder)) {
    const trackingId = name.startsWith(PREFIX) ? name.slice(PREFIX.length) : ''
    if (!TRACKING_ID.test(trackingId)) continue
    await removeOwner(qmp, machine, trackingId)
    await machine.host.removeFile(unwantedPath(machine, trackingId))
  }
}

async function findOrGone(directory: MachineDirectory, ref: MachineRef): Promise<MachineLocation | null> {
  try {
    return await directory.find(ref)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'source/no-such-machine') return null
    throw error
  }
}
