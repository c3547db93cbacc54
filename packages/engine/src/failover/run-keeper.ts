// Running replicas read from recovery points until they are hydrated. The keeper holds those points open, copies behind
// the guests, and takes both up again after a restart.
import { Outage, toFailureReport } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { Run, RunId } from '@understudy/domain/failover/failover'
import type { MachineHardware } from '@understudy/domain/machines/machine'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import { retryDelaySeconds } from '@understudy/domain/replication/next-cycle'
import type { SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, recordEvent, resolveAlert, type Subject } from '../events/report.ts'
import type { OpenedPoint, Replica } from '../ports/replica-store.ts'
import type { BootDisk, HydrateProgress } from '../ports/target-platform.ts'
import { NO_ANSWER, withinSeconds } from '../sites/bounded-call.ts'
import { replicasOf, targetOf } from '../sites/platform-of.ts'

export type RunKeeper = {
  /** Opens the run's point for its boot. Repeatable: the same readers come back while they are kept. */
  open(run: Run, hardware: MachineHardware): Promise<readonly BootDisk[]>
  /**
   * Begins to copy behind the guest, once. Goes on until done or dropped, over any number of outages. A guest that boots would
   * wait for its reads behind the copy's, so this is called when it answers; by the keeper itself when that takes too long.
   */
  hydrate(run: Run): void
  /** Resolves when the run needs us no more. Throws what makes that impossible. */
  whenHydrated(run: Run, onProgress: (progress: HydrateProgress) => void, signal: AbortSignal): Promise<void>
  /** The machine has gone, or needs us no more. Repeatable. */
  drop(runId: RunId): Promise<void>
  /**
   * Given all active runs: begins to take up those of held protections (whose hardware is known) that nobody in this process
   * keeps, after a restart or a take-over, and to hydrate what is kept here and due. Does not wait: a target site that does not
   * answer must not hold up the mover's heartbeat. What failed is tried at the next call.
   */
  takeUp(runs: readonly Run[], hardwareOf: (id: ProtectionId) => MachineHardware | null): void
  stop(): Promise<void>
}

type Kept = {
  readonly runId: RunId
  readonly protectionId: ProtectionId
  readonly targetSiteId: SiteId
  readonly replica: Replica
  readonly opened: OpenedPoint
  readonly disks: readonly BootDisk[]
  readonly stop: AbortController
  hydrating: Promise<void> | null
  progress: HydrateProgress
  /** Why it does not hydrate at the moment. */
  failure: unknown
  /** When the machine was last told of these readers. */
  attachedAt: Instant
  /** When hydration is begun whether or not the guest has answered, or begun again after a failure. */
  hydrateAt: Instant
}

/** Readers that are being offered to a machine again. */
type TakeUp = {
  readonly stop: AbortController
  work: Promise<void>
  done: Promise<void>
}

/** Resolved when the machine needs its point no more, or has gone. */
export const HYDRATION_ALERT = 'failover/hydration'

/** A second: hydration is watched by people, and every report is a row that changes. */
const REPORT_GAP_MILLISECONDS = 1000
/**
 * A machine that depends on us is told of its readers again and again: the site's settings may have been saved, which ends
 * what was offered under the old ones, or a read that failed may have stopped the guest.
 */
const ATTACH_AGAIN_MILLISECONDS = 15_000
const HYDRATE_AGAIN_MILLISECONDS = 30_000
/** Until it is hydrated a guest depends on us, so one that gives no answer does not put that off for long. */
const HYDRATE_UNANSWERED_MILLISECONDS = 120_000

export function createRunKeeper(parts: EngineParts): RunKeeper {
  const kept = new Map<RunId, Kept>()
  /** A boot and a take-up may come at once; they share the readers. */
  const opening = new Map<RunId, Promise<Kept>>()
  /** Of this process: a machine on its way out must not be taken up again by the next look. */
  const dropped = new Set<RunId>()
  /**
   * Their readers are open here, but the machine could not be told yet; or another process holds their protection and may
   * have told it of its own. When the protection comes (back) to this process, the machine is told of ours.
   */
  const unattached = new Set<RunId>()
  const stopping = new AbortController()
  const takingUp = new Map<RunId, TakeUp>()
  let dropping: Promise<void> | null = null

  const keep = async (run: Run, hardware: MachineHardware): Promise<Kept> => {
    const entry = await openRun(parts, run, hardware)
    // Dropped while it was being opened: nobody would ever close it.
    if (dropped.has(run.id)) {
      await letGo(parts, entry)
      throw droppedMeanwhile()
    }
    kept.set(run.id, entry)
    return entry
  }

  const openReaders: RunKeeper['open'] = async (run, hardware) => {
    const known = kept.get(run.id)
    if (known) return known.disks
    const begun = opening.get(run.id) ?? keep(run, hardware).finally(() => opening.delete(run.id))
    opening.set(run.id, begun)
    return (await begun).disks
  }

  const hydrate: RunKeeper['hydrate'] = (run) => {
    const entry = kept.get(run.id)
    if (!entry || entry.hydrating !== null) return
    entry.failure = null
    entry.hydrating = keepHydrating(parts, run, entry).catch((error: unknown) => {
      entry.failure = error
      entry.hydrating = null
      entry.hydrateAt = parts.clock.now() + HYDRATE_AGAIN_MILLISECONDS
    })
  }

  const drop: RunKeeper['drop'] = async (runId) => {
    dropped.add(runId)
    // Else what is being taken up at this moment would come back after it has gone.
    await endTakeUp(parts, takingUp.get(runId))
    unattached.delete(runId)
    const entry = kept.get(runId)
    if (!entry) return
    kept.delete(runId)
    await letGo(parts, entry)
  }

  async function attach(run: Run, hardware: MachineHardware, signal: AbortSignal): Promise<void> {
    const target = await targetOf(parts, run.targetSiteId)
    signal.throwIfAborted()
    const disks = await openReaders(run, hardware)
    signal.throwIfAborted()
    await target.reattach({ runId: run.id, disks }, signal)
  }

  async function takeUpOne(run: Run, hardware: MachineHardware, takeUp: TakeUp): Promise<void> {
    const isNew = !isAttached(run.id)
    unattached.add(run.id)
    const ends = AbortSignal.any([stopping.signal, takeUp.stop.signal])
    const bound = { seconds: parts.config.deadSiteSeconds, signal: ends }
    try {
      await withinSeconds(parts, bound, (signal) => {
        takeUp.work = attach(run, hardware, signal)
        return takeUp.work
      })
      unattached.delete(run.id)
      const entry = kept.get(run.id)
      if (entry) entry.attachedAt = parts.clock.now()
      hydrateInTime(run)
      if (isNew) parts.log('info', 'took up a running replica', { run: run.id })
    } catch (error) {
      if (takeUp.stop.signal.aborted) return
      // The guest waits for its disks meanwhile (reads are retried at its side); the next look tries again.
      parts.log('warn', 'a running replica could not be taken up', { run: run.id, error })
    }
  }

  /** Also what another process holds: where we booted it, nobody else may reach its readers. */
  function hydrateInTime(run: Run): void {
    const entry = kept.get(run.id)
    if (entry === undefined || run.kind === 'test' || run.hydrated >= 1) return
    const failed = entry.failure !== null
    if ((hasBooted(run) && !failed) || entry.hydrateAt <= parts.clock.now()) hydrate(run)
  }

  const isAttached = (runId: RunId): boolean => kept.has(runId) && !unattached.has(runId)

  /** Nothing is wanted of it before that instant. */
  function nextCareAt(run: Run): Instant {
    const entry = kept.get(run.id)
    if (!entry || !isAttached(run.id)) return 0
    const attachAt = entry.attachedAt + ATTACH_AGAIN_MILLISECONDS
    return run.kind === 'test' || entry.hydrating !== null ? attachAt : Math.min(attachAt, entry.hydrateAt)
  }

  /** One at a time for each run: a site that does not answer must not hold up the others. */
  function beginToTakeUp(run: Run, hardware: MachineHardware): void {
    if (takingUp.has(run.id)) return
    const takeUp: TakeUp = { stop: new AbortController(), work: Promise.resolve(), done: Promise.resolve() }
    takingUp.set(run.id, takeUp)
    takeUp.done = takeUpOne(run, hardware, takeUp).finally(() => takingUp.delete(run.id))
  }

  /** Another process may have ended what is kept here. `runs` may be older than a boot of this moment, so each is asked for. */
  async function dropWhatIsOver(active: readonly Run[]): Promise<void> {
    const ids = new Set(active.map(({ id }) => id))
    for (const { runId } of [...kept.values()])
      if (!ids.has(runId) && (await isOver(parts, runId))) await drop(runId)
  }

  return {
    async open(run, hardware) {
      dropped.delete(run.id)
      return await openReaders(run, hardware)
    },
    hydrate,
    drop,
    async whenHydrated(run, onProgress, signal) {
      for (;;) {
        signal.throwIfAborted()
        const now = await parts.stores.runs.find(run.id)
        if (now === null || now.hydrated >= 1) return
        const entry = kept.get(run.id)
        if (entry?.failure) throw entry.failure
        if (entry) onProgress(entry.progress)
        await parts.sleep(REPORT_GAP_MILLISECONDS, signal)
      }
    },
    takeUp(runs, hardwareOf) {
      if (stopping.signal.aborted) return
      for (const { runId, protectionId } of kept.values())
        if (hardwareOf(protectionId) === null) unattached.add(runId)
      for (const run of runs) {
        hydrateInTime(run)
        const hardware = hardwareOf(run.protectionId)
        const needsUs = run.machineRef !== null && run.hydrated < 1 && !dropped.has(run.id)
        if (hardware && needsUs && nextCareAt(run) <= parts.clock.now()) beginToTakeUp(run, hardware)
      }
      dropping ??= dropWhatIsOver(runs)
        .catch((error: unknown) => parts.log('warn', 'running replicas could not be looked at', { error }))
        .finally(() => {
          dropping = null
        })
    },
    async stop() {
      stopping.abort(new DOMException('The keeper stops', 'AbortError'))
      await Promise.all([...[...takingUp.values()].map(({ done }) => done), dropping])
      const entries = [...kept.values()]
      kept.clear()
      await Promise.all(entries.map((entry) => letGo(parts, entry)))
    },
  }
}

/** Ends it, and waits for what it is at, though not for ever. */
async function endTakeUp(parts: EngineParts, takeUp: TakeUp | undefined): Promise<void> {
  if (takeUp === undefined) return
  takeUp.stop.abort(new DOMException('The run is not kept any more', 'AbortError'))
  const bound = { seconds: parts.config.letGoSeconds, signal: new AbortController().signal }
  // How it ended does not matter, nor whether: it finds its signal aborted before it would open or offer anything.
  await withinSeconds(parts, bound, () => takeUp.work).catch(() => {})
  await takeUp.done
}

const droppedMeanwhile = (): Outage =>
  new Outage({
    code: 'failover/dropped-meanwhile',
    message: 'The replica was let go while its recovery point was being opened',
    remedy: 'Nothing is to be done: its machine has gone, or needs the point no more.',
  })

async function openRun(parts: EngineParts, run: Run, hardware: MachineHardware): Promise<Kept> {
  const replicas = await replicasOf(parts, run.targetSiteId)
  const replica = await replicas.openReplica(run.replicaId, null)
  const opened = await replica.openPoint(run.pointId).catch(async (error: unknown) => {
    // It is tried again every few seconds; a handle left open each time would keep the replica open for ever.
    await replica.close()
    throw error
  })
  return {
    runId: run.id,
    protectionId: run.protectionId,
    targetSiteId: run.targetSiteId,
    replica,
    opened,
    disks: toBootDisks(opened, hardware),
    stop: new AbortController(),
    hydrating: null,
    progress: { doneBytes: 0, totalBytes: 0 },
    failure: null,
    attachedAt: parts.clock.now(),
    hydrateAt: parts.clock.now() + HYDRATE_UNANSWERED_MILLISECONDS,
  }
}

/** Bounded: a target that ignores its signal must not hold up a shut-down. Its readers then stay open for as long as it reads. */
async function letGo(parts: EngineParts, entry: Kept): Promise<void> {
  entry.stop.abort(new DOMException('The run is not kept any more', 'AbortError'))
  const closed = (async () => {
    await entry.hydrating
    await endOffer(parts, entry)
    await entry.opened.close()
    await entry.replica.close()
  })()
  const bound = { seconds: parts.config.letGoSeconds, signal: new AbortController().signal }
  try {
    await withinSeconds(parts, bound, () => closed)
  } catch (error) {
    if (!(error instanceof Outage) || error.code !== NO_ANSWER) throw error
    await tellLeftBehind(parts, entry)
  }
}

/**
 * Before the readers close: a guest waits for an offer that is gone, and gets an error from one whose readers are closed. Also of a
 * run that another process has ended: the offer is ours, and nobody else would end it.
 */
async function endOffer(parts: EngineParts, { runId, targetSiteId }: Kept): Promise<void> {
  try {
    await (await targetOf(parts, targetSiteId)).detach(runId)
  } catch (error) {
    parts.log('warn', 'what was offered to a replica could not be ended', { run: runId, error })
  }
}

async function tellLeftBehind(parts: EngineParts, entry: Kept): Promise<void> {
  try {
    await recordEvent(parts, {
      severity: 'warning',
      code: 'failover/hydration-abandoned',
      message: `The hydration of a replica was asked to stop and did not within ${parts.config.letGoSeconds} s; it was left behind`,
      subject: { id: entry.protectionId, name: entry.protectionId },
      facts: { runId: entry.runId, moverId: parts.config.moverId },
    })
  } catch (error) {
    parts.log('error', 'an event could not be recorded', { run: entry.runId, error })
  }
}

async function isOver(parts: EngineParts, runId: RunId): Promise<boolean> {
  const run = await parts.stores.runs.find(runId)
  return run === null || run.over
}

/** Or whoever waited for its answer has given up. */
const hasBooted = ({ answeredAt, failure }: Run): boolean => answeredAt !== null || failure !== null

/** In the order of the source's disks; the firmware boots from the one that said so, or from the first. */
function toBootDisks(opened: OpenedPoint, hardware: MachineHardware): readonly BootDisk[] {
  const order = hardware.disks.map(({ key }) => key)
  const rank = (key: BootDisk['key']): number => {
    const index = order.indexOf(key)
    return index < 0 ? order.length : index
  }
  const disks = [...opened.disks].sort((a, b) => rank(a.key) - rank(b.key))
  const bootKey = hardware.disks.find(({ boot }) => boot)?.key ?? disks[0]?.key
  return disks.map(({ key, bytes, reader }) => ({ key, bytes, reader, boot: key === bootKey }))
}

async function keepHydrating(parts: EngineParts, run: Run, entry: Kept): Promise<void> {
  let subject: Subject = { id: run.protectionId, name: run.protectionId }
  for (let failures = 0; ; ) {
    try {
      subject = await subjectOfRun(parts, run)
      await hydrateOnce(parts, run, entry)
      await resolveAlert(parts, HYDRATION_ALERT, subject)
      await recordEvent(parts, {
        severity: 'info',
        code: 'failover/hydrated',
        message: `${subject.name} does not need its recovery point any more`,
        subject,
      })
      return
    } catch (error) {
      if (entry.stop.signal.aborted) return
      // Its machine has gone because another process ended the run: that is no failure.
      if (await isOver(parts, run.id).catch(() => false)) return
      failures += 1
      if (!(await isBeingTakenAway(parts, run).catch(() => false)))
        await tellHydrationFailure(parts, subject, error)
      if (!(error instanceof Outage)) throw error
      const delaySeconds = Math.min(30, retryDelaySeconds(failures, parts.config.retryDelaysSeconds))
      await parts.sleep(delaySeconds * 1000, entry.stop.signal).catch(() => {})
    }
  }
}

/** A roll back, or another point: whoever does that lets the run go in a moment. */
async function isBeingTakenAway({ stores }: EngineParts, { kind, protectionId }: Run): Promise<boolean> {
  if (kind === 'test') return false
  const state = (await stores.protections.find(protectionId))?.state
  return state === 'rollingBack' || state === 'failingOver'
}

async function hydrateOnce(parts: EngineParts, run: Run, entry: Kept): Promise<void> {
  const target = await targetOf(parts, run.targetSiteId)
  let reportedAt = 0
  let writing: Promise<void> = Promise.resolve()
  const report = (hydrated: number): Promise<void> =>
    parts.stores.runs
      .update(run.id, { hydrated })
      .then(() => parts.live.changed('runs', run.id))
      .catch((error: unknown) => parts.log('warn', 'hydration could not be shown', { run: run.id, error }))
  await target.hydrate(
    run.id,
    (progress) => {
      entry.progress = progress
      const now = parts.clock.now()
      if (now - reportedAt < REPORT_GAP_MILLISECONDS || progress.totalBytes === 0) return
      reportedAt = now
      // 1 means that it needs us no more, which only the end of `hydrate` proves.
      const share = Math.min(0.999, progress.doneBytes / progress.totalBytes)
      writing = writing.then(() => report(share))
    },
    entry.stop.signal,
  )
  await writing
  await parts.stores.runs.update(run.id, { hydrated: 1 })
  parts.live.changed('runs', run.id)
}

async function tellHydrationFailure(parts: EngineParts, subject: Subject, error: unknown): Promise<void> {
  const failure = toFailureReport(error)
  parts.log('warn', 'hydration failed', { subject, error })
  try {
    await raiseAlert(parts, {
      severity: error instanceof Outage ? 'warning' : 'critical',
      code: HYDRATION_ALERT,
      message: `${subject.name} still depends on its recovery point: ${failure.message}`,
      remedy: failure.remedy,
      subject,
      facts: { cause: failure.code },
    })
  } catch (storeError) {
    parts.log('error', 'an alert could not be raised', { error: storeError })
  }
}

async function subjectOfRun(parts: EngineParts, run: Run): Promise<Subject> {
  const protection = await parts.stores.protections.find(run.protectionId)
  return { id: run.protectionId, name: protection?.name ?? run.protectionId }
}
