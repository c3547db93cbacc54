// From a recovery point to a guest that answers: the part that every kind of failover shares.
import { InvariantError, Outage, Refusal, toFailureReport } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import { present } from '@understudy/base/invariant'
import { chooseBootAddresses, chooseBootNetworks } from '@understudy/domain/failover/boot-networks'
import {
  type FailoverKind,
  type Run,
  type RunId,
  recoverySeconds,
  unattendedSeconds,
} from '@understudy/domain/failover/failover'
import type { Finding } from '@understudy/domain/machines/machine'
import type { Protection } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import { choosePoint, type PointChoice } from '@understudy/domain/recovery-points/choose-point'
import type { EngineContext } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent, resolveAlert } from '../events/report.ts'
import type { JobScope, TaskScope } from '../jobs/job-scope.ts'
import type { BootSpec, Placing, ProbeResult, Whereabouts } from '../ports/target-platform.ts'
import { whereIs, withReplica } from '../recovery-points/with-replica.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { originalsOf, targetOf } from '../sites/platform-of.ts'
import { HYDRATION_ALERT } from './run-keeper.ts'
import { whenOff } from './see-power.ts'

export type RunPlan = {
  readonly runId: RunId
  readonly kind: FailoverKind
  /** As wished for; the target says at the boot what it became. */
  readonly name: string
  readonly allowOpenNetworks: boolean
  readonly askedAt: Instant
}

/**
 * When the API accepted the request: recovery time counts from here. Retries and questions to the operator are in it,
 * because whoever needs the machine waits through them as well. How much of it they were is kept apart: see waitedSeconds.
 */
export async function loadAskedAt(
  { stores }: Pick<EngineParts, 'stores'>,
  { id }: Pick<JobScope, 'id'>,
): Promise<Instant> {
  return present(await stores.jobs.find(id), 'a running job is written down').createdAt
}

/** Far more than for a source that may be dead: a target that is asked about hundreds of machines at once is better waited for than given up. */
const TARGET_SECONDS = 180

/** Decided once and kept by the step that decides it: a repeated boot must ask for the same machine. Touches nothing. */
export async function planRun(
  context: EngineContext,
  job: Pick<JobScope, 'id'>,
  protection: Protection,
  wanted: {
    readonly kind: FailoverKind
    readonly allowOpenNetworks: boolean
    /** A machine of ours goes before this one boots: the room it takes will be free. */
    readonly replacing?: boolean
    readonly signal: AbortSignal
  },
): Promise<RunPlan> {
  const { parts } = context
  const { kind, allowOpenNetworks, replacing = false, signal } = wanted
  const name = kind === 'test' ? `${protection.name}-test` : protection.name
  const askedAt = await loadAskedAt(parts, job)
  const plan: RunPlan = { runId: parts.newId() as RunId, kind, allowOpenNetworks, name, askedAt }
  // A target that hangs is told as such, and a cancel is not kept waiting for it.
  const bound = { seconds: TARGET_SECONDS, signal }
  await withinSeconds(parts, bound, () => checkTarget(parts, protection, { plan, replacing }))
  return plan
}

async function checkTarget(
  parts: EngineParts,
  protection: Protection,
  { plan, replacing }: { readonly plan: RunPlan; readonly replacing: boolean },
): Promise<void> {
  const target = await targetOf(parts, protection.targetSiteId)
  // Refuses networks that have gone, also where what is to be replaced would still be found in the way of all else.
  const { runId, ...spec } = await machineSpec(parts, protection, plan)
  if (!replacing) refuseBlockers(await target.preflight(spec))
}

export function refuseBlockers(findings: readonly Finding[]): void {
  const blocker = findings.find(({ level }) => level === 'blocker')
  if (blocker) throw new Refusal({ code: blocker.code, message: blocker.message, remedy: blocker.remedy })
}

async function machineSpec(
  parts: EngineParts,
  protection: Protection,
  plan: RunPlan,
): Promise<Omit<BootSpec, 'disks' | 'placing' | 'onProgress'>> {
  const target = await targetOf(parts, protection.targetSiteId)
  const mode = plan.kind === 'test' ? 'test' : 'failover'
  return {
    runId: plan.runId,
    name: plan.name,
    mode,
    hardware: protection.hardware,
    networks: chooseBootNetworks({
      mode,
      adapters: protection.adapters,
      networks: await target.networks(),
      allowOpenNetworks: plan.allowOpenNetworks,
    }),
    addresses: chooseBootAddresses({ mode, adapters: protection.adapters }),
    trackingId: mode === 'test' ? null : trackingIdOf(protection.id),
  }
}

/** Chooses the point and holds it, then writes the run down. Repeatable. */
export async function openRun(
  context: EngineContext,
  protection: Protection,
  plan: RunPlan,
  choice: PointChoice,
): Promise<Run> {
  const { parts } = context
  const known = await parts.stores.runs.find(plan.runId)
  if (known) return known
  const point = await withReplica(parts, whereIs(protection), async (replica) => {
    // A predecessor that was killed before it wrote the run down has chosen already; its hold must not stay behind.
    const held = replica.points().find(({ heldBy }) => heldBy.includes(plan.runId))
    const chosen = held ?? choosePoint(replica.points(), choice)
    // Held before anything depends on it: retention may run at this very moment.
    await replica.hold(chosen.id, plan.runId)
    return chosen
  })
  const run: Run = {
    id: plan.runId,
    protectionId: protection.id,
    kind: plan.kind,
    testState: plan.kind === 'test' ? 'starting' : null,
    over: false,
    targetSiteId: protection.targetSiteId,
    replicaId: protection.replicaId,
    pointId: point.id,
    pointInstant: point.instant,
    place: null,
    machineRef: null,
    addresses: [],
    hydrated: 0,
    failure: null,
    startedAt: plan.askedAt,
    answeredAt: null,
    waitedSeconds: 0,
    endedAt: null,
    commitDeadline: null,
  }
  await writeDown(parts, protection, run)
  parts.live.changed('runs', run.id)
  return run
}

/** A hold of a run that nobody has heard of would never be let go. */
async function writeDown(parts: EngineParts, protection: Protection, run: Run): Promise<void> {
  try {
    await parts.stores.runs.create(run)
  } catch (error) {
    // It may have been written all the same: then the hold is known.
    if ((await parts.stores.runs.find(run.id)) === null)
      await withReplica(parts, whereIs(protection), (replica) => replica.unhold(run.pointId, run.id))
    throw error
  }
}

/** Boots the run's machine. Repeatable: the same machine goes on. */
export async function bootRun(
  context: EngineContext,
  protection: Protection,
  plan: RunPlan,
  task: TaskScope,
): Promise<void> {
  const { parts, keeper } = context
  const run = present(await parts.stores.runs.find(plan.runId), 'a run is written down before it boots')
  const target = await targetOf(parts, run.targetSiteId)
  const disks = await keeper.open(run, protection.hardware)
  const spec: BootSpec = {
    ...(await machineSpec(parts, protection, plan)),
    disks,
    placing: placingOf(parts, run),
    onProgress: ({ doing, bytes }) => task.at(doing, bytes),
  }
  const { ref, name, checkpoint, isWhole = false } = await target.boot(spec, task.signal)
  if (plan.kind !== 'test')
    await parts.stores.protections.updateNotes(protection.id, { runningCheckpoint: checkpoint })
  await parts.stores.runs.update(run.id, { machineRef: ref, ...(isWhole ? { hydrated: 1 } : {}) })
  // Else it is missing from the inventory until its turn comes, and looks as if nobody knew of it.
  context.lookAtSite(run.targetSiteId)
  parts.live.changed('runs', run.id)
  task.note(`${name} runs from the point of ${new Date(run.pointInstant).toISOString()}`)
}

/** A run that has a machine and no place is older than the places. */
export const whereaboutsOf = ({ place, machineRef }: Pick<Run, 'place' | 'machineRef'>): Whereabouts => {
  if (place !== null) return { kind: 'at', place }
  return machineRef === null ? { kind: 'nowhere' } : { kind: 'anywhere' }
}

/** The place is in the run's row before anything is made there: no later change of the site can lose it. */
export const placingOf = (parts: Pick<EngineParts, 'stores'>, run: Run): Placing => ({
  before: whereaboutsOf(run),
  async keep(place) {
    const now = await parts.stores.runs.find(run.id)
    // An attempt that stood still must not lead away from what a later one has made, or make what was removed.
    if (now === null || now.over || now.place !== run.place) throw placedMeanwhile(run)
    await parts.stores.runs.update(run.id, { place })
  },
})

const placedMeanwhile = ({ id }: Run): Outage =>
  new Outage({
    code: 'failover/placed-meanwhile',
    message: `Run ${id} was begun elsewhere, or ended, while this attempt chose a place`,
    remedy: 'The next attempt goes on with what is there.',
  })

/** The failover of a protection that is not over, or null. */
export async function findFailover(context: EngineContext, id: Protection['id']): Promise<Run | null> {
  const active = await context.parts.stores.runs.active(id)
  return active.find(({ kind }) => kind !== 'test') ?? null
}

/** After a fail-back the run's machine is one that was there before: it is never destroyed and never adopted. */
export const isFailBack = (run: Run, protection: Protection): boolean =>
  run.machineRef !== null && run.machineRef === protection.originalRef

export type Answered = { readonly answered: boolean; readonly note: string }

/**
 * Asks the guest until it answers or the time is over, and keeps what came of it. A guest that does not answer is told, and
 * so is a target that does not: what was asked for is done, only nobody knows yet how it went.
 */
export async function waitForAnswer(
  context: EngineContext,
  plan: RunPlan,
  wait: { readonly timeoutSeconds: number; readonly task: TaskScope; readonly job: JobScope },
): Promise<Answered> {
  const { parts } = context
  const run = present(await parts.stores.runs.find(plan.runId), 'a run that boots is written down')
  const over = new AbortController()
  let timeIsUp = false
  // One that is off gives no answer, and while it is waited for nobody else could start it again.
  let isOff = false
  // Slept, not read from the clock: clocks are set back.
  const limit = AbortSignal.any([over.signal, wait.task.signal])
  const timer = parts.sleep(wait.timeoutSeconds * 1000, limit).then(
    () => (timeIsUp = true),
    () => {},
  )
  const off = whenOff(parts, run, limit).then(
    () => (isOff = true),
    () => {},
  )
  try {
    for (;;) {
      wait.task.signal.throwIfAborted()
      const { answered, addresses, note } = await askGuest(parts, run, wait.task.signal)
      if (answered) {
        await recordAnswer(parts, plan, { ...wait, addresses, note })
        return { answered, note }
      }
      if (timeIsUp || isOff) {
        await parts.stores.runs.update(run.id, { addresses })
        const why = timeIsUp ? `No answer within ${wait.timeoutSeconds} s` : 'The machine is off'
        wait.task.note(`${why}: ${note}`)
        return { answered, note }
      }
      await parts.sleep(parts.config.probeEverySeconds * 1000, wait.task.signal)
    }
  } finally {
    over.abort(new DOMException('The guest was asked', 'AbortError'))
    await Promise.all([timer, off])
  }
}

async function askGuest(parts: EngineParts, run: Run, signal: AbortSignal): Promise<ProbeResult> {
  const ref = present(run.machineRef, 'a run that is asked has a machine')
  try {
    return await withinSeconds(parts, { seconds: parts.config.deadSiteSeconds, signal }, async (bound) =>
      (await originalsOf(parts, run.targetSiteId)).probe(ref, bound),
    )
  } catch (error) {
    if (signal.aborted || error instanceof InvariantError) throw error
    return { addresses: [], answered: false, note: toFailureReport(error).message }
  }
}

async function recordAnswer(
  parts: EngineParts,
  plan: RunPlan,
  answer: {
    readonly addresses: readonly string[]
    readonly note: string
    readonly task: TaskScope
    readonly job: JobScope
  },
): Promise<void> {
  const { addresses, note, task, job } = answer
  const run = present(await parts.stores.runs.find(plan.runId), 'a run that answers is written down')
  // A repetition after a crash finds an answer that came earlier.
  const answeredAt = run.answeredAt ?? parts.clock.now()
  // What was waited for after that answer is no part of it.
  const waitedSeconds = run.answeredAt === null ? job.waitedSeconds() : run.waitedSeconds
  const measured = { startedAt: plan.askedAt, answeredAt, waitedSeconds }
  await parts.stores.runs.update(run.id, { addresses, answeredAt, waitedSeconds })
  await parts.stores.protections.updateSummary(run.protectionId, {
    lastRecoverySeconds: Math.round(unattendedSeconds(measured) ?? 0),
  })
  parts.live.changed('runs', run.id)
  task.note(`The guest answered ${describeRecovery(measured, 'the click')}: ${note}`)
}

/** `62 s after the click, 20 s of them waiting for a person`. Pure. */
export function describeRecovery(
  run: Pick<Run, 'startedAt' | 'answeredAt' | 'waitedSeconds'>,
  since: string,
): string {
  const wait = Math.round(run.waitedSeconds)
  const waited = wait === 0 ? '' : `, ${wait} s of them waiting for a person`
  return `${Math.round(recoverySeconds(run) ?? 0)} s after ${since}${waited}`
}

/** Removes everything that was made for the run, and lets its point go. Repeatable. */
export async function destroyRun(context: EngineContext, runId: RunId, end: Partial<Run>): Promise<void> {
  const run = await context.parts.stores.runs.find(runId)
  if (!run) return
  const target = await targetOf(context.parts, run.targetSiteId)
  await target.destroy(runId, whereaboutsOf(run))
  await closeRun(context, run, end)
}

/** The run is over and its point may expire; no machine is touched. Repeatable. */
export async function closeRun(context: EngineContext, run: Run, end: Partial<Run>): Promise<void> {
  const { parts, keeper } = context
  const runId = run.id
  // Only when the machine has gone, or reads from us no more.
  await keeper.drop(runId)
  await withReplica(parts, { siteId: run.targetSiteId, replicaId: run.replicaId }, async (replica) => {
    // Also what a step held that was killed before it wrote the run down, and then chose a newer point.
    const held = replica.points().filter(({ heldBy }) => heldBy.includes(runId))
    for (const { id } of held) await replica.unhold(id, runId)
  })
  await parts.stores.runs.update(runId, { over: true, endedAt: parts.clock.now(), ...end })
  // Also one that was raised because the machine went away under its hydration a moment ago.
  await resolveAlert(parts, HYDRATION_ALERT, { id: run.protectionId, name: run.protectionId })
  parts.live.changed('runs', runId)
  parts.live.changed('protections', run.protectionId)
  context.lookAtSite(run.targetSiteId)
}

export async function tellFailover(
  context: EngineContext,
  protection: Protection,
  told: {
    readonly code: string
    readonly message: string
    readonly severity: 'info' | 'warning' | 'critical'
  } & {
    readonly facts?: Readonly<Record<string, unknown>>
  },
): Promise<void> {
  const subject = { id: protection.id, name: protection.name }
  await recordEvent(context.parts, { ...told, subject })
}
