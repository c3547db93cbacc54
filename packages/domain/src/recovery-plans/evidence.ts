// What can be shown afterwards of a run of a plan: only what was recorded, as plain data, before anybody prints it.
import type { Instant } from '@understudy/base/instant'
import type { ActivityState } from './schedule-plan.ts'

export type EvidenceTask = {
  readonly name: string
  readonly state: string
  readonly startedAt: Instant | null
  readonly endedAt: Instant | null
  readonly note: string | null
}

export type EvidenceItem = {
  readonly id: string
  readonly name: string
  readonly group: string
  /** `machine`, or what kind of step it is. */
  readonly kind: string
  readonly state: ActivityState | 'left out'
  readonly attempts: number
  readonly startedAt: Instant | null
  readonly endedAt: Instant | null
  readonly isCritical: boolean
  readonly note: string | null
  readonly failure: { readonly code: string; readonly message: string; readonly remedy: string } | null
  /** Of a script or a call, cut to what a report can hold. */
  readonly output: string | null
  readonly answer: {
    readonly value: string
    readonly by: string
    readonly at: Instant
    readonly comment: string
  } | null
  readonly steeredBy: string | null
  /** Of a machine that was brought up. */
  readonly boot: {
    readonly pointInstant: Instant
    /** How old its point was when it was asked for. */
    readonly pointAgeSeconds: number
    readonly addresses: readonly string[]
    readonly answeredAt: Instant | null
    readonly recoverySeconds: number | null
    /** Name of a file beside the report. */
    readonly screenshot: string | null
  } | null
  /** What its job has noted, with what the probes of the guest said. */
  readonly tasks: readonly EvidenceTask[]
}

export type EvidenceReport = {
  readonly title: string
  readonly verdict: string
  readonly hasPassed: boolean
  readonly note: string | null
  readonly runId: string
  readonly edition: number
  readonly planId: string
  readonly planName: string
  readonly version: number
  /** How often its copy of the plan was edited during the run. */
  readonly edits: number
  readonly savedBy: string | null
  readonly savedAt: Instant | null
  readonly kind: string
  readonly direction: string
  readonly startedBy: string
  readonly startedAt: Instant
  readonly endedAt: Instant | null
  /** When it was due by its schedule; null: a person has started it. */
  readonly dueAt: Instant | null
  /** In which times are told beside UTC. */
  readonly timeZone: string
  readonly madeAt: Instant
  readonly point: string
  readonly parameters: readonly (readonly [name: string, value: string])[]
  readonly settings: readonly (readonly [name: string, value: string])[]
  readonly targetSeconds: number | null
  readonly tookSeconds: number | null
  readonly criticalPath: readonly string[]
  readonly items: readonly EvidenceItem[]
  readonly followUps: readonly EvidenceFollowUp[]
  /** From old to new. */
  readonly log: readonly { readonly at: Instant; readonly message: string }[]
  /** What was left out for want of room, in words; none when nothing was. */
  readonly omitted: readonly string[]
}

export type EvidenceFollowUp = {
  readonly title: string
  readonly state: string
  readonly startedBy: string
  readonly startedAt: Instant
  readonly endedAt: Instant | null
  readonly note: string | null
  readonly items: readonly Pick<EvidenceItem, 'name' | 'state' | 'note'>[]
}

/** Of a run against its target; null: there is none, or it has not ended. Pure. */
export const hasMetTarget = ({
  targetSeconds,
  tookSeconds,
}: Pick<EvidenceReport, 'targetSeconds' | 'tookSeconds'>): boolean | null =>
  targetSeconds === null || tookSeconds === null ? null : tookSeconds <= targetSeconds
