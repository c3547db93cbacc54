import { z } from 'zod'
import { Bytes, Id, InstantText } from './primitives.ts'

export const JobState = z.enum(['queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled'])
export type JobState = z.infer<typeof JobState>
export const TaskState = z.enum(['pending', 'running', 'succeeded', 'warned', 'failed', 'skipped'])
export const JobKind = z.enum([
  'protect',
  'end-protection',
  'resync',
  'export-seed',
  'import-seed',
  'test-failover',
  'clean-up-test',
  'planned-failover',
  'unplanned-failover',
  'change-point',
  'start-replica',
  'power-off-old',
  'roll-back',
  'commit',
  'reprotect',
  'fail-back',
  'tidy-up',
  'create-lab',
  'scrub',
  'plan-step',
])
export const Task = z
  .object({
    name: z.string(),
    state: TaskState,
    startedAt: InstantText.nullable(),
    endedAt: InstantText.nullable(),
    progress: z.object({ doneBytes: Bytes, totalBytes: Bytes, bytesPerSecond: z.number() }).nullable(),
    note: z.string().nullable(),
  })
  .meta({ id: 'Task' })
export const Job = z
  .object({
    id: Id,
    kind: JobKind,
    title: z.string(),
    state: JobState,
    subjectId: Id,
    subjectName: z.string(),
    tasks: z.array(Task),
    failure: z
      .object({ kind: z.string(), code: z.string(), message: z.string(), remedy: z.string() })
      .nullable(),
    question: z
      .object({
        id: z.string(),
        text: z.string(),
        answers: z.array(z.object({ value: z.string(), label: z.string(), danger: z.boolean() })),
      })
      .nullable(),
    canCancel: z.boolean(),
    canRetry: z.boolean(),
    createdAt: InstantText,
    endedAt: InstantText.nullable(),
    startedBy: z.string(),
  })
  .meta({ id: 'Job' })
export type Job = z.infer<typeof Job>
