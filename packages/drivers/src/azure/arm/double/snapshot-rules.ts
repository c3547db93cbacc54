// Snapshots of disks as Azure keeps them: incremental, of one family for each disk, and read at an address that is given and taken back.
import { randomUUID } from 'node:crypto'
import { GiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { isZero } from '@understudy/block/zero-detection'
import { REQUEST_BYTES } from '../../limits.ts'
import { DISK, machineWith } from './compute-rules.ts'
import {
  ArmError,
  type DiskContent,
  type DoubleSite,
  filled,
  type KindRules,
  type Resource,
} from './double-parts.ts'

export const SNAPSHOT = 'Microsoft.Compute/snapshots'
/** Of one family at a time. */
const MOST_READ = 5

const refused = (message: string): ArmError => new ArmError(409, 'OperationNotAllowed', message)

export const snapshotRules: KindRules = {
  type: SNAPSHOT,
  put(site, resource, before) {
    const { properties } = resource
    if (before !== undefined) {
      // Another moment is never put in the place of the first: only tags and settings change.
      const { tags } = resource
      Object.assign(resource, before, { tags })
      return async () => {
        if (before.content === undefined)
          throw new ArmError(409, 'Conflict', `The snapshot ${resource.name} was not made.`)
        resource.content = before.content
      }
    }
    const { createOption, sourceResourceId } = properties.creationData
    if (createOption !== 'Copy' || properties.incremental !== true)
      throw new ArmError(400, 'InvalidParameter', 'the double makes incremental snapshots of disks only')
    const disk = site.find(sourceResourceId)
    if (disk?.type !== DISK)
      throw new ArmError(404, 'ResourceNotFound', `The disk '${sourceResourceId}' was not found.`)
    if (disk.properties.provisioningState !== 'Succeeded')
      throw refused(`The disk ${disk.name} is ${disk.properties.provisioningState}.`)
    const { uniqueId } = disk.properties
    Object.assign(properties, {
      diskState: 'Unattached',
      uniqueId: randomUUID(),
      timeCreated: site.now(),
      incrementalSnapshotFamilyId: `family-of-${uniqueId}`,
    })
    properties.creationData.sourceUniqueId = uniqueId
    return async () => {
      const content = present(site.find(disk.id)?.content, 'a disk that is whole has content')
      const user = machineWith(site, disk.id)
      const copy = async (): Promise<void> => {
        resource.content = await copyOf(site, content)
      }
      if (user?.power === 'running' && site.runner?.hold !== undefined)
        await site.runner.hold(user.name, copy)
      else await copy()
      properties.diskSizeBytes = content.bytes
      properties.diskSizeGB = Math.ceil(content.bytes / GiB)
    }
  },
  checkRemoval(_site, { name, properties }) {
    if (properties.diskState === 'ActiveSAS')
      throw refused(`There is an active shared access signature outstanding for snapshot ${name}.`)
  },
}

async function copyOf(site: DoubleSite, content: DiskContent): Promise<DiskContent> {
  const copy = await site.room(content.bytes)
  return await filled(copy, async () => {
    for (let at = 0; at < content.bytes; at += REQUEST_BYTES) {
      const piece = await content.read(at, Math.min(REQUEST_BYTES, content.bytes - at))
      if (!isZero(piece)) await copy.write(at, piece)
    }
  })
}

/** Whoever asks again is given the same address. What it returns is done when the work ends. */
export function openReading(site: DoubleSite, snapshot: Resource): () => void {
  const { properties } = snapshot
  if (properties.provisioningState !== 'Succeeded')
    throw refused(`The snapshot ${snapshot.name} is ${properties.provisioningState}.`)
  const family = [...site.resources.values()].filter(
    (one) =>
      one !== snapshot &&
      one.type === SNAPSHOT &&
      one.signature !== undefined &&
      one.properties.incrementalSnapshotFamilyId === properties.incrementalSnapshotFamilyId,
  )
  if (family.length >= MOST_READ)
    throw refused(`${family.length} snapshots of the family of ${snapshot.name} are being read already.`)
  return () => {
    snapshot.signature ??= randomUUID()
    properties.diskState = 'ActiveSAS'
  }
}

export function endReading(snapshot: Resource): void {
  delete snapshot.signature
  snapshot.properties.diskState = 'Unattached'
}
