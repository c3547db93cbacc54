// Assignments of receivers in plain memory: the model that the PostgreSQL store is judged by.
import type { ReceiverAssignment, ReceiverAssignmentId } from '@understudy/domain/failover/receiver'
import type { ReceiverStore } from '@understudy/engine/ports/receiver-store'

const copy = <Value>(value: Value): Value => structuredClone(value)

/** Every operation is atomic: nothing awaits between reading and writing. */
export function memoryReceiverStore(): ReceiverStore {
  const assignments = new Map<ReceiverAssignmentId, ReceiverAssignment>()
  let epoch = 0
  const all = (): ReceiverAssignment[] => [...assignments.values()]
  return {
    list: async () => copy(all()),
    findByServer: async (siteId, ref) =>
      copy(all().find((each) => each.siteId === siteId && each.serverRef === ref) ?? null),
    async assign(wanted) {
      const taken = all().some(
        ({ agentId, siteId, serverRef }) =>
          agentId === wanted.agentId || (siteId === wanted.siteId && serverRef === wanted.serverRef),
      )
      if (taken) return null
      epoch += 1
      const made: ReceiverAssignment = { ...wanted, epoch, state: 'assigned' }
      assignments.set(made.id, copy(made))
      return copy(made)
    },
    async note(id, state) {
      const known = assignments.get(id)
      if (known) assignments.set(id, { ...known, state })
      return known !== undefined
    },
    end: async (id) => assignments.delete(id),
  }
}
