import type { Brand } from '@understudy/base/brand'
import { type Instant, secondsBetween } from '@understudy/base/instant'
import { stateMachine } from '@understudy/base/state-machine'
import type { MachineRef } from '../machines/machine.ts'
import type { ProtectionId, ReplicaId } from '../protection/protection.ts'
import type { PointId } from '../recovery-points/recovery-point.ts'
import type { SiteId } from '../sites/site.ts'

/** One boot of a replica: a test or a failover. Also the ownership tag of everything that is made for it. */
export type RunId = Brand<'RunId'>

export type FailoverKind = 'test' | 'planned' | 'unplanned'

export type TestState = 'starting' | 'running' | 'failed' | 'cleaningUp' | 'gone'

export const testLife = stateMachine<TestState>('test failover', {
  starting: ['running', 'failed', 'cleaningUp'],
  running: ['cleaningUp', 'failed'],
  failed: ['cleaningUp'],
  cleaningUp: ['gone', 'failed'],
  gone: [],
})

/** What is kept of one boot. A protection has at most one test and one failover that are not over. */
export type Run = {
  readonly id: RunId
  readonly protectionId: ProtectionId
  readonly kind: FailoverKind
  /** Of a test; a failover's state is its protection's. */
  readonly testState: TestState | null
  readonly over: boolean
  readonly targetSiteId: SiteId
  readonly replicaId: ReplicaId
  readonly pointId: PointId
  readonly pointInstant: Instant
  /** Where at the target site its machine is made, kept before anything is; see Whereabouts. Null: not kept. */
  readonly place: string | null
  /** What the running replica is called in the target site's inventory, once it exists. */
  readonly machineRef: MachineRef | null
  /** Where the guest answers, when known: `http://127.0.0.1:18080`, `192.0.2.7`. */
  readonly addresses: readonly string[]
  /** 0 to 1: how much of the disks no longer needs our journal. */
  readonly hydrated: number
  readonly failure: string | null
  /** When the operator asked for it: the moment the API accepted the request. */
  readonly startedAt: Instant
  /** First successful answer of the guest to the probe; null: none so far. What counts as one: see ProbeResult. */
  readonly answeredAt: Instant | null
  /** Between the two: how long the job waited for a person to answer a question or to try again. */
  readonly waitedSeconds: number
  readonly endedAt: Instant | null
  /** When the timer of an uncommitted failover does what the policy says; null: never. */
  readonly commitDeadline: Instant | null
}

/**
 * From the operator's click to the answer of the guest; null without one. Waiting for a retry or for the operator's own
 * answer is in it: the business waits too. Never below zero, whatever was done to a clock meanwhile. Pure.
 */
export const recoverySeconds = (run: Pick<Run, 'startedAt' | 'answeredAt'>): number | null =>
  run.answeredAt === null ? null : Math.max(0, secondsBetween(run.startedAt, run.answeredAt))

/**
 * The same without what the job waited for a person: how long the next one would take, whose questions nobody knows yet. Pure.
 */
export const unattendedSeconds = (
  run: Pick<Run, 'startedAt' | 'answeredAt' | 'waitedSeconds'>,
): number | null => {
  const seconds = recoverySeconds(run)
  return seconds === null ? null : Math.max(0, seconds - run.waitedSeconds)
}
