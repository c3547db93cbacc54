// Which receivers stand in for which servers. PostgreSQL in the product, plain memory in tests.
import type {
  AssignmentState,
  ReceiverAssignment,
  ReceiverAssignmentId,
} from '@understudy/domain/failover/receiver'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'

export interface ReceiverStore {
  /** From old to new. */
  list(): Promise<readonly ReceiverAssignment[]>
  findByServer(siteId: SiteId, ref: MachineRef): Promise<ReceiverAssignment | null>
  /**
   * With an epoch above all of before. Null, changing nothing, where the receiver or the server has an assignment already. Its agent is there: with
   * that it goes.
   */
  assign(assignment: Omit<ReceiverAssignment, 'epoch' | 'state'>): Promise<ReceiverAssignment | null>
  /** False: it is over. */
  note(id: ReceiverAssignmentId, state: AssignmentState): Promise<boolean>
  /** False: it was over already. */
  end(id: ReceiverAssignmentId): Promise<boolean>
}
