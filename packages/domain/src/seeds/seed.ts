// A first copy that travels on a disk instead of over the line.
import type { Brand } from '@understudy/base/brand'
import type { Instant } from '@understudy/base/instant'
import type { ProtectionId, ReplicaId } from '../protection/protection.ts'

/** Names one seed for ever, `[a-z0-9-]{1,36}`; a first copy that is exported anew has another one. */
export type SeedId = Brand<'SeedId'>

/** What the control plane knows of the seed of a protection. */
export type Seed = {
  readonly id: SeedId
  readonly protectionId: ProtectionId
  /** For which replica it was made. */
  readonly replicaId: ReplicaId
  /** On the server: where it is exported to, later where it is imported from. */
  readonly folder: string
  /** `folder` may lie on a disk that the server itself lives on. */
  readonly acceptsServerDisk: boolean
  /** Of its first file: whoever goes on with it has to find that one. Null: nothing of it was written yet. */
  readonly fingerprint: string | null
  readonly startedAt: Instant
  /** Null: it is not complete. */
  readonly export: SeedExport | null
}

export type SeedExport = {
  readonly endedAt: Instant
  /** The moment the source's disks had this content. */
  readonly instant: Instant
  /** The size of its files. */
  readonly storedBytes: number
  /** False: changes since then are not tracked, and the first cycle after the import compares everything. */
  readonly tracked: boolean
}

/** What a seed says of itself. */
export type SeedIdentity = Pick<Seed, 'id' | 'protectionId' | 'replicaId'> & { readonly machineName: string }
