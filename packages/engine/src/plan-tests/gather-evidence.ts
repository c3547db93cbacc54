// Everything that was recorded of a run, for its report. Nothing is worked out here that was not written down while it ran, but sums of it.
import { formatBytes, MiB } from '@understudy/base/bytes'
import { secondsBetween, toIso } from '@understudy/base/instant'
import { type Run, type RunId, recoverySeconds } from '@understudy/domain/failover/failover'
import type { Job, JobId } from '@understudy/domain/jobs/job'
import type {
  EvidenceFollowUp,
  EvidenceItem,
  EvidenceReport,
} from '@understudy/domain/recovery-plans/evidence'
import { hasPassed } from '@understudy/domain/recovery-plans/last-test'
import { isPlanRunKind, type ProtectionNames } from '@understudy/domain/recovery-plans/plan'
import { isStep, itemsOf, nameOfItem, type PlacedItem } from '@understudy/domain/recovery-plans/plan-items'
import {
  activePlanRunStates,
  type PlanActivity,
  type PlanRun,
  type PlanRunPoint,
} from '@understudy/domain/recovery-plans/plan-run'
import { runsFor } from '@understudy/domain/recovery-plans/schedule-plan'
import { wordsOfStepKind } from '@understudy/domain/recovery-plans/step-action'
import type { EngineParts } from '../engine-parts.ts'
import type { DueEvidence } from '../ports/test-stores.ts'
import { followUpsOf } from '../recovery-plans/boots-of-run.ts'
import { wordsOfRun } from '../recovery-plans/conduct-run.ts'
import { protectionNames } from '../recovery-plans/save-plan.ts'
import { timetableOf } from '../recovery-plans/timetable.ts'

/** A report is opened, printed and mailed: what it can hold of one thing is bounded, and it says so. */
const PICTURES = 100
const PICTURE_BYTES = 32 * MiB
const OUTPUT_CHARACTERS = 4000
const LOG_LINES = 500

export type Gathered = {
  readonly run: PlanRun
  readonly report: EvidenceReport
  readonly pictures: ReadonlyMap<string, Buffer>
}

/** Null: it has gone, or goes on. */
export async function gatherEvidence(parts: EngineParts, due: DueEvidence): Promise<Gathered | null> {
  const { stores, clock } = parts
  const run = await stores.planRuns.find(due.planRunId)
  if (run === null || activePlanRunStates.includes(run.state)) return null
  const [activities, names, followers, version, log, scheduled] = await Promise.all([
    stores.planRuns.activities(run.id),
    protectionNames(parts),
    followUpsOf(parts, run),
    stores.plans.version(run.planId, run.version),
    logOf(parts, run),
    scheduleOf(parts, run),
  ])
  const [jobs, boots, critical] = await Promise.all([
    jobsOf(parts, activities),
    bootsOf(parts, activities),
    criticalPathOf(parts, run, activities),
  ])
  const pictures = await picturesOf(parts, run, { activities, boots, names })
  const byItem = new Map(activities.map((activity) => [activity.itemId, activity]))
  const items = itemsOf(run.plan).flatMap((placed) => {
    const activity = byItem.get(placed.item.id)
    return activity ? [itemOf(run, placed, { activity, names, jobs, boots, critical, pictures })] : []
  })
  const report: EvidenceReport = {
    title: wordsOfRun(run),
    verdict: verdictOf(run),
    hasPassed: hasPassed(run),
    note: run.note,
    runId: run.id,
    edition: due.edition,
    planId: run.planId,
    planName: run.planName,
    version: run.version,
    edits: run.planRevision - 1,
    savedBy: version?.savedBy ?? null,
    savedAt: version?.savedAt ?? null,
    kind: run.kind,
    direction: run.direction,
    startedBy: run.startedBy,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    dueAt: scheduled.dueAt,
    timeZone: scheduled.timeZone,
    madeAt: clock.now(),
    point: wordsOfPoint(run.point),
    parameters: Object.entries(run.parameters).map(([name, value]) => [name, String(value)]),
    settings: settingsOf(run),
    targetSeconds: run.plan.targetRtoSeconds,
    tookSeconds: run.endedAt === null ? null : secondsBetween(run.startedAt, run.endedAt),
    criticalPath: items.filter(({ isCritical }) => isCritical).map(({ name }) => name),
    items,
    followUps: await Promise.all(followers.toReversed().map((each) => followUpOf(parts, each, names))),
    log: log.lines,
    omitted: [...log.omitted, ...pictures.omitted],
  }
  return { run, report, pictures: pictures.content }
}

const verdictOf = (run: PlanRun): string => {
  if (run.state === 'succeeded') return hasPassed(run) ? 'Passed' : 'Succeeded with reservations'
  return run.state === 'cancelled' ? 'Cancelled' : 'Failed'
}

function wordsOfPoint(point: PlanRunPoint): string {
  switch (point.kind) {
    case 'latest':
      return 'Latest of each machine'
    case 'latest-application-consistent':
      return 'Latest application-consistent of each machine'
    case 'latest-processed':
      return `What all machines had reached: the newest of each at or before ${toIso(point.instant)}`
    case 'at':
      return `Newest of each machine at or before ${toIso(point.instant)}`
  }
}

function settingsOf({ kind, settings }: PlanRun): EvidenceReport['settings'] {
  const { acceptUnfenced, allowOpenNetworks, shutDownTimeoutSeconds, answerTimeoutSeconds } = settings
  const yesNo = (yes: boolean): string => (yes ? 'yes' : 'no')
  const seconds = (value: number | null): string => (value === null ? 'as configured' : `${value} s`)
  return [
    ...(kind === 'test' ? [['Networks of a failover allowed', yesNo(allowOpenNetworks)] as const] : []),
    ...(kind === 'unplanned'
      ? [['Went on without proof that the sources are off', yesNo(acceptUnfenced)] as const]
      : []),
    ['Time for a guest to answer', seconds(answerTimeoutSeconds)],
    ['Time for a source to shut down', seconds(shutDownTimeoutSeconds)],
  ]
}

type Around = {
  readonly activity: PlanActivity
  readonly names: ProtectionNames
  readonly jobs: ReadonlyMap<string, Job>
  readonly boots: ReadonlyMap<string, Run>
  readonly critical: ReadonlySet<string>
  readonly pictures: Pictures
}

function itemOf(
  run: PlanRun,
  { item, groupIndex }: PlacedItem,
  { activity, names, jobs, boots, critical, pictures }: Around,
): EvidenceItem {
  const boot = activity.bootId === null ? null : (boots.get(activity.bootId) ?? null)
  const job = activity.jobId === null ? null : (jobs.get(activity.jobId) ?? null)
  const isLeftOut =
    activity.state === 'pending' &&
    isStep(item) &&
    isPlanRunKind(run.kind) &&
    !runsFor(item, { kind: run.kind, direction: run.direction })
  return {
    id: item.id,
    name: nameOfItem(item, names),
    group: run.plan.groups[groupIndex]?.name ?? '',
    kind: isStep(item) ? wordsOfStepKind[item.action.kind] : 'machine',
    state: isLeftOut ? 'left out' : activity.state,
    attempts: activity.attempt,
    startedAt: activity.startedAt,
    endedAt: activity.endedAt,
    isCritical: critical.has(item.id),
    note: activity.note,
    failure: activity.failure && {
      code: activity.failure.code,
      message: activity.failure.message,
      remedy: activity.failure.remedy,
    },
    output: activity.output === null ? null : excerptOf(activity.output),
    answer: activity.answer,
    steeredBy: activity.steeredBy,
    boot: boot && {
      pointInstant: boot.pointInstant,
      pointAgeSeconds: Math.max(0, secondsBetween(boot.pointInstant, boot.startedAt)),
      addresses: boot.addresses,
      answeredAt: boot.answeredAt,
      recoverySeconds: recoverySeconds(boot),
      screenshot: pictures.nameOf.get(boot.id) ?? null,
    },
    tasks: (job?.tasks ?? []).map(({ name, state, startedAt, endedAt, note }) => ({
      name,
      state,
      startedAt,
      endedAt,
      note,
    })),
  }
}

/** The beginning says what was done, the end how it went. */
function excerptOf(output: string): string {
  if (output.length <= OUTPUT_CHARACTERS) return output
  const half = OUTPUT_CHARACTERS / 2
  const left = output.length - OUTPUT_CHARACTERS
  return `${output.slice(0, half)}\n[${left} characters are left out here]\n${output.slice(-half)}`
}

async function followUpOf(
  { stores }: EngineParts,
  run: PlanRun,
  names: ProtectionNames,
): Promise<EvidenceFollowUp> {
  const activities = new Map(
    (await stores.planRuns.activities(run.id)).map((activity) => [activity.itemId, activity]),
  )
  return {
    title: wordsOfRun(run),
    state: run.state,
    startedBy: run.startedBy,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    note: run.note,
    items: itemsOf(run.plan).flatMap(({ item }) => {
      const activity = activities.get(item.id)
      return activity ? [{ name: nameOfItem(item, names), state: activity.state, note: activity.note }] : []
    }),
  }
}

async function jobsOf(
  { stores }: EngineParts,
  activities: readonly PlanActivity[],
): Promise<ReadonlyMap<string, Job>> {
  const found = await Promise.all(
    activities.flatMap(({ jobId }) => (jobId === null ? [] : [stores.jobs.find(jobId as JobId)])),
  )
  return new Map(found.flatMap((job) => (job ? [[job.id, job]] : [])))
}

async function bootsOf(
  { stores }: EngineParts,
  activities: readonly PlanActivity[],
): Promise<ReadonlyMap<string, Run>> {
  const found = await Promise.all(
    activities.flatMap(({ bootId }) => (bootId === null ? [] : [stores.runs.find(bootId as RunId)])),
  )
  return new Map(found.flatMap((boot) => (boot ? [[boot.id, boot]] : [])))
}

type Pictures = {
  readonly content: ReadonlyMap<string, Buffer>
  readonly nameOf: ReadonlyMap<string, string>
  readonly omitted: readonly string[]
}

async function picturesOf(
  { stores }: EngineParts,
  run: PlanRun,
  {
    activities,
    boots,
    names,
  }: {
    readonly activities: readonly PlanActivity[]
    readonly boots: ReadonlyMap<string, Run>
    readonly names: ProtectionNames
  },
): Promise<Pictures> {
  const ofItem = new Map(activities.map(({ itemId, bootId }) => [itemId, bootId]))
  const booted = itemsOf(run.plan).flatMap(({ item }) => {
    const boot = boots.get(ofItem.get(item.id) ?? '')
    return boot ? [{ boot, name: nameOfItem(item, names) }] : []
  })
  const pictured = await stores.runs.withScreenshot(booted.map(({ boot }) => boot.id))
  const wanted = booted.filter(({ boot }) => pictured.has(boot.id))
  const content = new Map<string, Buffer>()
  const nameOf = new Map<string, string>()
  let bytes = 0
  let left = 0
  for (const [index, { boot, name }] of wanted.entries()) {
    const png = content.size < PICTURES ? await stores.runs.screenshot(boot.id) : null
    // One that is too large leaves room for those behind it; beyond the count none is read any more.
    if (content.size >= PICTURES || (png !== null && bytes + png.length > PICTURE_BYTES)) left += 1
    else if (png !== null) {
      const file = `screenshots/${String(index + 1).padStart(3, '0')}-${fileNameOf(name)}.png`
      bytes += png.length
      content.set(file, png)
      nameOf.set(boot.id, file)
    }
  }
  return { content, nameOf, omitted: left === 0 ? [] : [wordsOfLeftOut(left)] }
}

const wordsOfLeftOut = (count: number): string =>
  `${count} more ${count === 1 ? 'screenshot, which is' : 'screenshots, which are'} in the console: a report holds ${PICTURES} of them, and ${formatBytes(PICTURE_BYTES)}`

/** Nothing of a name can become a path. */
const fileNameOf = (name: string): string => name.replaceAll(/[^A-Za-z0-9-]+/g, '_').slice(0, 40)

/** What was told of this run, by its number: who has started, steered, answered, and how it ended. */
async function logOf(
  { stores }: EngineParts,
  { id, planId }: PlanRun,
): Promise<{ readonly lines: EvidenceReport['log']; readonly omitted: readonly string[] }> {
  const { rows, next } = await stores.events.list({ subjectId: planId }, { limit: LOG_LINES, cursor: null })
  const mine = rows.filter(({ facts, code }) => facts.planRunId === id && code !== 'plan-run/evidence')
  return {
    lines: mine.toReversed().map(({ at, message }) => ({ at, message })),
    omitted: next === null ? [] : [`Events of the plan before its newest ${LOG_LINES}`],
  }
}

/** Of one that has begun by itself: when it was due, and whose clock that was. */
async function scheduleOf(
  { stores }: EngineParts,
  { id, planId }: PlanRun,
): Promise<{ readonly dueAt: number | null; readonly timeZone: string }> {
  const [settings, { rows }] = await Promise.all([
    stores.tests.find(planId),
    stores.tests.history(planId, { limit: 50, cursor: null }),
  ])
  const test = rows.find(({ planRunId }) => planRunId === id)
  return { dueAt: test?.dueAt ?? null, timeZone: settings?.schedule?.timeZone ?? 'UTC' }
}

async function criticalPathOf(
  parts: EngineParts,
  run: PlanRun,
  activities: readonly PlanActivity[],
): Promise<ReadonlySet<string>> {
  const progress = new Map(
    activities.map(({ itemId, state, startedAt, endedAt }) => [itemId, { state, startedAt, endedAt }]),
  )
  const kind = isPlanRunKind(run.kind) ? run.kind : 'planned'
  const now = run.endedAt ?? parts.clock.now()
  const timetable = await timetableOf(
    parts,
    run.plan,
    { kind, direction: run.direction },
    { startedAt: run.startedAt, now, progress },
  )
  return new Set<string>(timetable.criticalPath)
}
