// What a site of servers needs of receivers: computers in a rescue system, whose disks are written so that a server comes home. The server has it, and
// a platform calls it.

import type {
  AssignmentState,
  ReceiverAssignment,
  ReceiverAssignmentId,
} from '@understudy/domain/failover/receiver'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'

/** What stands in for a server now. */
export type StandIn = ReceiverAssignment & {
  readonly agentName: string
  readonly hostName: string
  /** To this process. */
  readonly connected: boolean
}

export type Piece = {
  readonly assignment: ReceiverAssignmentId
  readonly disk: DiskKey
  readonly offset: number
  /** At most `MOST_READ_BYTES`; stays as it is until it is written. */
  readonly content: Buffer
}

export interface ReceiverLine {
  /** Null: nothing was assigned to it. */
  standInOf(siteId: SiteId, ref: MachineRef): Promise<StandIn | null>
  /** How many others are connected at the site and stand in for nobody. */
  free(siteId: SiteId): Promise<number>
  /** Its assignment cannot be taken back while this is held. */
  hold(assignment: ReceiverAssignmentId): () => void
  /** Refuses (`receiver/assigned-anew`) when it is over. */
  note(assignment: ReceiverAssignmentId, state: AssignmentState): Promise<void>
  /**
   * Resolves when the disk of the receiver has taken it; on the medium it is after `flush-received`. Survives cuts, after which the same is sent again; throws what
   * the receiver says, and an Outage when it does not come back.
   */
  write(standIn: StandIn, piece: Piece, signal?: AbortSignal): Promise<void>
  /**
   * From now on the hardware of the receiver is that of the server, whose own agent comes from there without another word of a person: the
   * assignment was that word.
   */
  expectHome(standIn: StandIn): Promise<void>
  /** What was done to the disks so that the server starts from them, for people to read. */
  tellFinished(standIn: StandIn, changes: readonly string[]): Promise<void>
  /** The server has answered itself: what stood in for it is let go, and never let in again. Repeatable. */
  cameHome(standIn: StandIn): Promise<void>
}
