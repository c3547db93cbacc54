// A mover: takes protections by lease, runs their cycles in order of urgency, keeps their points within the policy.
import { Outage, Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { Run } from '@understudy/domain/failover/failover'
import type { Policy, PolicyId } from '@understudy/domain/protection/policy'
import {
  type GroupId,
  type Protection,
  type ProtectionId,
  replicatingStates,
} from '@understudy/domain/protection/protection'
import type { CutId, RecoveryPoint } from '@understudy/domain/recovery-points/recovery-point'
import { lagTargetAt } from '@understudy/domain/replication/carried-pace'
import { chooseNextCycle } from '@understudy/domain/replication/next-cycle'
import type { EngineConfig, EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { Measurement } from '../ports/live.ts'
import { whereIs, withReplica } from '../recovery-points/with-replica.ts'
import { NO_ANSWER, withinSeconds } from '../sites/bounded-call.ts'
import { closeSlotReplica, cycleSlot } from './cycle-slot.ts'
import { type GroupSeat, groupSeats } from './group-opening.ts'
import { type GroupSlot, noteOpened, recordCut, type Work, worksOf } from './group-slot.ts'
import { findScattered, membersByGroup, refreshGroups } from './keep-groups.ts'
import { type LineLimits, openLineLimits } from './line-limits.ts'
import { applyRetention } from './retention.ts'
import { scrubSlot } from './scrub.ts'
import { intervalSecondsOf, type RunningCycle, type Slot, subjectOf } from './slot.ts'
import { watchGroup } from './watch-group.ts'
import { watchLag } from './watch-lag.ts'
import { forgetGaps, watchPace } from './watch-pace.ts'

export type MoverHooks = {
  /** Called at every look with the held protections and all active runs: timers and readers of running replicas. */
  readonly onLook: (held: ReadonlyMap<ProtectionId, Protection>, runs: readonly Run[]) => Promise<void>
}

export type Mover = {
  start(): void
  /** Stops cycles without sealing, closes replicas, gives the leases back. Repeatable. */
  stop(): Promise<void>
  /**
   * Stops the protection's cycle and closes its replica. Resolves when nothing of it runs here any more, or when what runs
   * ignores that for `letGoSeconds` and is left behind: true when this mover holds it. Whoever calls this has moved the
   * state before, so that no new cycle begins.
   */
  quiesce(id: ProtectionId): Promise<boolean>
  /** A state changed: look now, not at the next beat. */
  look(): void
  measurement(id: ProtectionId): Measurement | null
}

type MoverState = {
  readonly parts: EngineParts
  readonly hooks: MoverHooks
  readonly slots: Map<ProtectionId, Slot>
  readonly groups: Map<GroupId, GroupSlot>
  readonly lines: LineLimits
  /** Machines that nobody has, of groups that are here: they are taken however many there are already. */
  unclaimedMates: number
  /** Left behind, and still not over: they hold memory, so they count among the cycles that run at once. */
  readonly abandoned: Set<Slot>
  readonly stopping: AbortController
  beatAt: Instant | null
  lookAt: Instant
  /** What the clock said last. */
  seenAt: Instant
  /** Ends the nap: something is due earlier than thought. */
  wake: () => void
}

export function createMover(parts: EngineParts, hooks: MoverHooks): Mover {
  const state: MoverState = {
    parts,
    hooks,
    slots: new Map(),
    groups: new Map(),
    lines: openLineLimits(parts),
    unclaimedMates: 0,
    abandoned: new Set(),
    stopping: new AbortController(),
    beatAt: null,
    lookAt: 0,
    seenAt: parts.clock.now(),
    wake: () => {},
  }
  let loop: Promise<void> | null = null
  return {
    start() {
      loop ??= runLoop(state)
    },
    async stop() {
      state.stopping.abort(new DOMException('The mover stops', 'AbortError'))
      await loop
    },
    async quiesce(id) {
      const slot = state.slots.get(id)
      if (slot) await letGo(state, slot)
      return slot !== undefined
    },
    look() {
      state.lookAt = 0
      state.wake()
    },
    measurement: (id) => state.slots.get(id)?.measurement ?? null,
  }
}

async function runLoop(state: MoverState): Promise<void> {
  const { parts, stopping } = state
  while (!stopping.signal.aborted) {
    noticeClock(state)
    if (parts.clock.now() >= state.lookAt) {
      // Set before, not after: a wish that comes while looking must not be forgotten.
      state.lookAt = parts.clock.now() + parts.config.lookSeconds * 1000
      await lookSafely(state)
    }
    startDueCycles(state)
    startRetention(state)
    startScrub(state)
    await nap(state)
  }
  await leave(state)
}

/** A clock that is set back would leave everything due in a future that was the present: no cycle, no look, no heartbeat. */
function noticeClock(state: MoverState): void {
  const now = state.parts.clock.now()
  const jumpMilliseconds = state.seenAt - now
  state.seenAt = now
  if (jumpMilliseconds <= 0) return
  state.parts.log('warn', 'the clock was set back', { jumpMilliseconds })
  state.lookAt = now
  state.beatAt = null
  for (const slot of state.slots.values()) {
    slot.dueAt -= jumpMilliseconds
    slot.retentionDueAt -= jumpMilliseconds
    slot.scrubDueAt -= jumpMilliseconds
    if (slot.stopAskedAt !== null) slot.stopAskedAt -= jumpMilliseconds
    if (slot.lastConsistencyAttemptAt !== null) slot.lastConsistencyAttemptAt -= jumpMilliseconds
    if (slot.running) slot.running.since -= jumpMilliseconds
  }
  for (const group of state.groups.values()) {
    if (group.apart) group.apart.until -= jumpMilliseconds
    group.lagCountsFrom = null
  }
}

async function lookSafely(state: MoverState): Promise<void> {
  try {
    await look(state)
  } catch (error) {
    state.parts.log('error', 'the mover could not look at its protections', { error })
    // Without a heartbeat others may take over at any moment. Their epoch protects the store; we stop all the same.
    const silentFor = state.parts.clock.now() - (state.beatAt ?? 0)
    if (silentFor < state.parts.config.leaseSeconds * 1000) return
    await letGoAll(state)
  }
}

/** Brings what this mover holds up to what the stores say. */
async function look(state: MoverState): Promise<void> {
  const { parts, slots } = state
  const { stores, config, clock } = parts
  const now = clock.now()
  if (state.beatAt === null || now - state.beatAt >= config.heartbeatSeconds * 1000) {
    await stores.leases.beat(config.moverId, now, now + config.leaseSeconds * 1000)
    state.beatAt = now
  }
  const room = Math.max(config.maximumProtections - slots.size, state.unclaimedMates)
  if (room > 0) await stores.leases.claim(config.moverId, now, room)
  const held = new Set(await stores.leases.held(config.moverId))
  const [protections, policies, runs] = await Promise.all([
    stores.protections.list(),
    stores.policies.list(),
    stores.runs.active(),
    state.lines.refresh(),
  ])
  for (const slot of slots.values()) if (isStuck(slot, config, now)) await abandon(state, slot)
  const members = membersByGroup(protections)
  const { toLetGo, toClaim } = await findScattered(parts, members, held, now)
  state.unclaimedMates = toClaim
  for (const id of toLetGo) held.delete(id)
  await refreshGroups(parts, state.groups, members, held)
  const mine = new Map(protections.filter(({ id }) => held.has(id)).map((row) => [row.id, row]))
  const byId = new Map(policies.map((policy) => [policy.id, policy]))
  for (const protection of mine.values()) await refreshSlot(state, protection, byId.get(protection.policyId))
  for (const slot of slots.values()) if (!mine.has(slot.id)) await dropSlot(state, slot)
  // Only when nothing of it runs here any more: the next one to have it begins at once.
  for (const id of toLetGo) if (!slots.has(id)) await stores.leases.release(config.moverId, id)
  await watchGroups(state, mine, byId)
  await state.hooks.onLook(mine, runs)
}

async function watchGroups(
  { parts, groups, slots }: MoverState,
  mine: ReadonlyMap<ProtectionId, Protection>,
  policies: ReadonlyMap<PolicyId, Policy>,
): Promise<void> {
  for (const group of groups.values()) {
    // Whoever has this one runs the cycles of the group, and knows of its newest cut.
    const first = group.members.find(({ state }) => replicatingStates.includes(state)) ?? group.members[0]
    const policy = first && policies.get(first.policyId)
    if (!policy || !mine.has(first.id)) continue
    const targets = group.members.map(({ id }) => lagTargetAt(policy, slots.get(id)?.pace))
    await watchGroup(parts, group, Math.max(...targets))
  }
}

async function refreshSlot(
  state: MoverState,
  protection: Protection,
  policy: Policy | undefined,
): Promise<void> {
  if (!policy) return
  const known = state.slots.get(protection.id)
  const slot = known ?? (await newSlot(state, protection, policy))
  const wasReplicating = known !== undefined && replicatingStates.includes(known.protection.state)
  if (slot.policy.intervalSeconds !== policy.intervalSeconds) forgetGaps(slot)
  slot.protection = protection
  slot.policy = policy
  // A shorter interval counts from now on, not after the long wait that was planned under the old one.
  const earliest = state.parts.clock.now() + intervalSecondsOf(slot) * 1000
  if (slot.failures === 0 && slot.dueAt > earliest) slot.dueAt = earliest
  const replicates = replicatingStates.includes(protection.state)
  // Infinite: the lease had gone and is back before the slot was cleared away.
  const cameBack = slot.dueAt === Number.POSITIVE_INFINITY
  // Another wish, not a later one: the clocks of those who ask may differ.
  const isAsked = protection.cycleAskedAt !== null && protection.cycleAskedAt !== slot.askedAt
  slot.askedAt = protection.cycleAskedAt
  if (replicates && (!wasReplicating || cameBack || isAsked)) startAfresh(slot, state.parts.clock.now())
  // Paused or failing over by another process: its wish reaches a running cycle here.
  if (!replicates) await letGoSoon(state, slot)
  await watchPace(state.parts, slot)
  await watchLag(state.parts, slot)
}

function startAfresh(slot: Slot, now: Instant): void {
  slot.dueAt = now
  slot.failures = 0
  slot.deposed = 0
}

async function newSlot(state: MoverState, protection: Protection, policy: Policy): Promise<Slot> {
  const { newestPoint, pace = null } = await state.parts.stores.protections.summary(protection.id)
  const now = state.parts.clock.now()
  const slot: Slot = {
    id: protection.id,
    protection,
    policy,
    dueAt: now,
    failures: 0,
    askedAt: protection.cycleAskedAt,
    troubleMayBeOpen: true,
    deposed: 0,
    replica: null,
    openedFrom: null,
    running: null,
    stopAskedAt: null,
    lastConsistencyAttemptAt: null,
    newestInstant: newestPoint?.instant ?? null,
    newestIsTracked: false,
    sealedCut: null,
    lagRaised: null,
    lagCountsFrom: null,
    shortestIntervalSeconds: pace?.cause === 'source' ? pace.carriedSeconds : 0,
    pace,
    paceAlertMayBeLeft: pace === null,
    gaps: [],
    lastDelta: null,
    retentionDueAt: now + state.parts.config.retentionEverySeconds * 1000,
    retaining: null,
    scrubDueAt: now + state.parts.config.retentionEverySeconds * 1000,
    scrubbing: null,
    measurement: null,
  }
  state.slots.set(slot.id, slot)
  return slot
}

function startDueCycles(state: MoverState): void {
  const { parts, slots, groups } = state
  for (let free = freeCycles(state); free > 0; free = freeCycles(state)) {
    const now = parts.clock.now()
    const next = chooseNextCycle(worksOf([...slots.values()], groups, now), now)
    if (!next) return
    startWork(state, next, free)
  }
}

function freeCycles({ parts, slots, abandoned }: MoverState): number {
  const running = [...slots.values()].filter((slot) => slot.running?.counts).length
  return parts.config.concurrentCycles - running - abandoned.size
}

/** As many copy at once as there is room for; of a group the others take turns with them. */
function startWork(state: MoverState, { slots, group }: Work, free: number): void {
  if (group === null) {
    for (const slot of slots) void startCycle(state, slot, true, new Set())
    return
  }
  const { parts } = state
  const seats = groupSeats({
    id: group.id,
    members: slots.map(({ id }) => id),
    newCut: () => parts.newId() as CutId,
    // A replica that does not open, or a database that does not answer, is the trouble of one of them.
    patience: (signal) => parts.sleep(parts.config.letGoSeconds * 1000, signal),
    lanes: Math.min(free, slots.length),
    onOpened: (failure) => noteOpened(parts, group, slots, failure),
  })
  const together = new Set<RunningCycle>()
  const cycles = slots.map(async (slot, index) => ({
    slot,
    cut: await startCycle(state, slot, index < free, together, seats.get(slot.id)),
  }))
  void Promise.all(cycles)
    .then((sealed) => recordCut(parts, group, sealed))
    .catch((error: unknown) => parts.log('error', 'a cut could not be recorded', { group: group.id, error }))
}

/** What it has sealed together with others. */
function startCycle(
  state: MoverState,
  slot: Slot,
  counts: boolean,
  together: Set<RunningCycle>,
  seat?: GroupSeat,
): Promise<Slot['sealedCut']> {
  const stop = new AbortController()
  const since = state.parts.clock.now()
  // If the stores fail in mid-cycle, the pause keeps a broken database from being hammered.
  slot.dueAt = since + state.parts.config.lookSeconds * 1000
  const ended = cycleSlot(state.parts, slot, state.lines, stop.signal, seat)
    .catch((error: unknown) =>
      state.parts.log('error', 'a cycle could not be recorded', { protection: slot.id, error }),
    )
    .then(() => {
      slot.running = null
      together.delete(running)
      if (running.counts) passOn(together)
      state.wake()
      return slot.sealedCut
    })
  const running: RunningCycle = { stop, done: ended.then(() => {}), since, counts }
  together.add(running)
  slot.running = running
  slot.stopAskedAt = null
  return ended
}

/** Its turn to copy goes to another one, which counts from now on in its place. */
function passOn(together: ReadonlySet<RunningCycle>): void {
  const next = [...together].find(({ counts }) => !counts)
  if (next) next.counts = true
}

/** One expiry at a time: what it reads and writes shall not compete with cycles. */
function startRetention(state: MoverState): void {
  const slots = [...state.slots.values()]
  if (slots.some((slot) => slot.retaining)) return
  const now = state.parts.clock.now()
  const due = slots.find((slot) => slot.replica && slot.retentionDueAt <= now)
  if (!due) return
  const stop = new AbortController()
  const done = applyRetention(state.parts, due, stop.signal, (signal) =>
    pointsOfMates(state, due, signal),
  ).then(() => {
    due.retaining = null
    state.wake()
  })
  due.retaining = { stop, done }
}

/**
 * Also of those that are paused, or lie in other hands: what they still have is worth keeping here. A store that is away, or does not
 * answer, is no reason to let this one fill up: without its shares another cut of a step may stay, but never more than the policy keeps.
 */
async function pointsOfMates(
  { parts, slots, groups }: MoverState,
  { id, protection }: Slot,
  signal: AbortSignal,
): Promise<readonly (readonly RecoveryPoint[])[]> {
  const mates = protection.groupId === null ? [] : (groups.get(protection.groupId)?.members ?? [])
  const pointsOf = async (mate: Protection): Promise<readonly RecoveryPoint[]> => {
    const replica = slots.get(mate.id)?.replica
    if (replica?.id === mate.replicaId) return replica.points()
    const bound = { seconds: parts.config.deadSiteSeconds, signal }
    try {
      return await withinSeconds(parts, bound, () =>
        withReplica(parts, whereIs(mate), async (opened) => opened.points()),
      )
    } catch (error) {
      signal.throwIfAborted()
      // It has no replica, yet or any more; or cannot be read.
      if (error instanceof Refusal || error instanceof Outage) return []
      throw error
    }
  }
  return await Promise.all(mates.filter((mate) => mate.id !== id).map(pointsOf))
}

/** One scrub at a time, and it may take days: the store throttles it and cycles go on beside it. */
function startScrub(state: MoverState): void {
  const slots = [...state.slots.values()]
  if (state.parts.config.scrubEverySeconds === 0 || slots.some((slot) => slot.scrubbing)) return
  const now = state.parts.clock.now()
  const due = slots.find((slot) => slot.replica && slot.scrubDueAt <= now)
  if (!due) return
  const stop = new AbortController()
  const done = scrubSlot(state.parts, due, stop.signal).then(() => {
    due.scrubbing = null
    state.wake()
  })
  due.scrubbing = { stop, done }
}

/** Waits for what runs, but not for ever: a failover must not wait for a driver that is stuck in its dead source. */
async function letGo(state: MoverState, slot: Slot): Promise<void> {
  const { parts } = state
  askToStop(slot, parts.clock.now())
  const bound = { seconds: parts.config.letGoSeconds, signal: new AbortController().signal }
  try {
    await withinSeconds(parts, bound, () => whenQuiet(slot).then(() => closeSlotReplica(slot)))
  } catch (error) {
    if (!(error instanceof Outage) || error.code !== NO_ANSWER) throw error
    await abandon(state, slot)
  }
}

/** A replica that cannot be closed, because its disk is away, ends neither this loop nor the process. */
async function letGoAll(state: MoverState): Promise<void> {
  const { parts, slots } = state
  const closing = [...slots.values()].map((slot) =>
    letGo(state, slot).catch((error: unknown) =>
      parts.log('error', 'a replica was not closed', { protection: slot.id, error }),
    ),
  )
  await Promise.all(closing)
  slots.clear()
}

async function whenQuiet(slot: Slot): Promise<void> {
  await slot.running?.done
  await slot.retaining?.done
  await slot.scrubbing?.done
}

/** The same without waiting: a look must not wait for a slow source, or the heartbeat would stop with it. */
async function letGoSoon(state: MoverState, slot: Slot): Promise<void> {
  askToStop(slot, state.parts.clock.now())
  if (!isBusy(slot)) await closeSlotReplica(slot)
}

const isBusy = (slot: Slot): boolean =>
  slot.running !== null || slot.retaining !== null || slot.scrubbing !== null

const isStuck = (slot: Slot, { letGoSeconds }: EngineConfig, now: Instant): boolean =>
  isBusy(slot) && slot.stopAskedAt !== null && now - slot.stopAskedAt >= letGoSeconds * 1000

/**
 * Goes on without it. Should it wake up one day, it finds its signal aborted before it would seal, and whoever writes next has
 * a newer epoch. Its replica stays open until then: it may be in the middle of a write.
 */
async function abandon(state: MoverState, slot: Slot): Promise<void> {
  const { parts, slots, abandoned } = state
  if (abandoned.has(slot)) return
  abandoned.add(slot)
  if (slots.get(slot.id) === slot) slots.delete(slot.id)
  void whenQuiet(slot)
    .then(() => closeSlotReplica(slot))
    .catch((error: unknown) => parts.log('warn', 'a late replica was not closed', { id: slot.id, error }))
    .finally(() => {
      abandoned.delete(slot)
      state.wake()
    })
  await tellAbandoned(parts, slot)
}

async function tellAbandoned(parts: EngineParts, slot: Slot): Promise<void> {
  const { name } = slot.protection
  try {
    await recordEvent(parts, {
      severity: 'warning',
      code: 'protection/cycle-abandoned',
      message: `A cycle of ${name} was asked to stop and did not within ${parts.config.letGoSeconds} s; it was left behind and can write nothing any more`,
      subject: subjectOf(slot.protection),
      facts: {
        moverId: parts.config.moverId,
        remedy:
          'Check the source site. Restart the server when this comes often: what is left behind keeps its memory.',
      },
    })
  } catch (error) {
    // A mover without its database must still be able to stop.
    parts.log('error', 'an event could not be recorded', { protection: slot.id, error })
  }
}

function askToStop(slot: Slot, now: Instant): void {
  const reason = new DOMException('The cycle is not wanted any more', 'AbortError')
  if (isBusy(slot)) slot.stopAskedAt ??= now
  slot.running?.stop.abort(reason)
  slot.retaining?.stop.abort(reason)
  slot.scrubbing?.stop.abort(reason)
}

/** Lost or ended: nothing may start here any more, and the slot goes when what runs has stopped. */
async function dropSlot(state: MoverState, slot: Slot): Promise<void> {
  slot.dueAt = Number.POSITIVE_INFINITY
  await letGoSoon(state, slot)
  if (slot.replica === null && !slot.running) state.slots.delete(slot.id)
}

async function nap(state: MoverState): Promise<void> {
  const { parts, slots, groups, stopping } = state
  const works = freeCycles(state) > 0 ? worksOf([...slots.values()], groups, parts.clock.now()) : []
  const dueAt = Math.min(Infinity, ...works.map((work) => work.dueAt))
  const milliseconds = Math.min(state.lookAt, dueAt) - parts.clock.now()
  if (milliseconds <= 0) return
  const woken = new AbortController()
  state.wake = () => woken.abort(new DOMException('Something is due', 'AbortError'))
  if (stopping.signal.aborted) return
  await parts.sleep(milliseconds, AbortSignal.any([stopping.signal, woken.signal])).catch(() => {})
  state.wake = () => {}
}

async function leave(state: MoverState): Promise<void> {
  const { parts } = state
  await letGoAll(state)
  try {
    await parts.stores.leases.leave(parts.config.moverId)
  } catch (error) {
    // They expire by themselves. Whoever stops this mover has more to stop.
    parts.log('warn', 'the leases could not be given back', { error })
  }
}
