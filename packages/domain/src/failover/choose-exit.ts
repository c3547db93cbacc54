// A job has stopped, or was lost, before it could put its protection back or settle it. What leads out of the state it left.
import type { MachineRef } from '../machines/machine.ts'
import type { ProtectionState } from '../protection/protection.ts'

export type StrandedFacts = {
  readonly state: ProtectionState
  /** What the protection was before the job took it; null: not known. */
  readonly former: ProtectionState | null
  /**
   * The failover that is not over. Its machine may run before it has a name, which is written down after the boot: so without a name
   * it is put back, which destroys whatever carries the run's id before the source is started.
   */
  readonly failover: { readonly machineRef: MachineRef | null } | null
  /**
   * A roll back has left a replica behind, on a person's word. `reachable`: its site answers, so it can be removed now. One that is under way
   * counts as done: its failover is none any more.
   */
  readonly left: 'none' | 'out-of-reach' | 'reachable'
  /** The machine that was failed over to is the source already. */
  readonly turned: boolean
  /** A failover that was put back had asked the source to shut down, and it may still do so. */
  readonly sourceMayGoOff: boolean
}

export type Exit =
  /** Nothing is stranded. */
  | 'none'
  /** A replica may run and counts: the operator commits it, changes its point or rolls it back. */
  | 'failed-over'
  /** No replica runs: whatever was made goes, the source runs again, replication goes on. */
  | 'put-back'
  /** The replica has been removed for good: only the source is missing. */
  | 'start-source'
  /** As far as the run goes: committed, or not yet. */
  | 'commit'
  | 'turned'
  | 'not-turned'
  /** Replication goes on, but a run that never had a machine still holds its point. */
  | 'let-go'
  /** The original runs again, and what was left at the target has to go. */
  | 'remove-left'
  /** Replication goes on: the source is started again if it has gone off. */
  | 'start-late'

/** Pure. Never starts a source beside a replica that may run. */
export function chooseExit(facts: StrandedFacts): Exit {
  const { state, former, failover, turned } = facts
  switch (state) {
    case 'failingOver':
      // The change of a point: there is no source to go back to before somebody rolls back.
      if (former === 'failedOver') return 'failed-over'
      return failover !== null && failover.machineRef !== null ? 'failed-over' : 'put-back'
    case 'rollingBack':
      return failover === null ? 'start-source' : 'failed-over'
    case 'committing':
      return 'commit'
    case 'reprotecting':
      return turned ? 'turned' : 'not-turned'
    case 'seeding':
    case 'protected':
    case 'resyncing':
      if (failover?.machineRef === null) return 'let-go'
      if (facts.left === 'reachable') return 'remove-left'
      return failover === null && facts.sourceMayGoOff ? 'start-late' : 'none'
    case 'paused':
      if (failover?.machineRef === null) return 'let-go'
      return facts.left === 'reachable' ? 'remove-left' : 'none'
    // Its source may not have been started: then what was left is the only one of it that may run.
    case 'broken':
    case 'awaitingSeed':
      // One with a machine is left alone: a person was told that it could not be put back.
      return failover !== null && failover.machineRef === null ? 'let-go' : 'none'
    // An end asks about what it cannot reach, so a person begins it again.
    case 'ending':
    case 'enabling':
    case 'failedOver':
    case 'committed':
    case 'gone':
      return 'none'
  }
}
