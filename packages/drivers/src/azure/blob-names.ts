// What lies where in the container. Names of disks are for people who look into it; what counts stands in the manifests.
//
//   heads/<replica>.json                                        see replica-head.ts
//   replicas/<replica>/<incarnation>/points/<number>.json       see manifests.ts
//   replicas/<replica>/<incarnation>/disks/<blob>.vhd           content, a fixed VHD
//   replicas/<replica>/<incarnation>/disks/<blob>.sums          see grain-sums.ts
import { randomBytes } from 'node:crypto'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { StoredDisk } from './manifests.ts'
import type { SnapshotRef } from './storage-calls.ts'

export const replicaFolder = (id: ReplicaId): string => `replicas/${id}/`
export const incarnationFolder = (id: ReplicaId, incarnation: string): string =>
  `${replicaFolder(id)}${incarnation}/`

/** Never used before: a disk that comes back after it was taken out is another one. */
export const newBlob = (disk: DiskKey): string =>
  `${disk.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 40)}.${randomBytes(6).toString('hex')}`

export const contentName = (folder: string, blob: string): string => `${folder}disks/${blob}.vhd`
export const sumsName = (folder: string, blob: string): string => `${folder}disks/${blob}.sums`

export const contentSnapshot = (folder: string, { blob, content }: StoredDisk): SnapshotRef => ({
  name: contentName(folder, blob),
  ...content,
})
export const sumsSnapshot = (folder: string, { blob, sums }: StoredDisk): SnapshotRef => ({
  name: sumsName(folder, blob),
  ...sums,
})
