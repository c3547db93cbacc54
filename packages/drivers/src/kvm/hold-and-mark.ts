// The instant itself: hold the guests still, mark every disk, let the guests go.
import { Outage } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import type { Consistency } from '@understudy/domain/recovery-points/recovery-point'
import { connectToFreeze } from './dead-mans-thaw.ts'
import { connectGuestAgent, type GuestAgent } from './guest-agent.ts'
import { thaw } from './monitor.ts'
import { HELD_FROZEN } from './ownership.ts'
import type { PreparedMachine } from './prepare-point.ts'
import type { QmpCommand, QmpSettled } from './qmp.ts'
import { addMarker, type HoldCommands, holdCommands, removeMarker } from './snapshot.ts'

const FREEZE_MILLISECONDS = 10_000
/** Marking several machines takes milliseconds. When it takes this long the guests go on and the point is given up. */
const MARK_MILLISECONDS = 5000

export type Held = {
  readonly instant: Instant
  readonly consistency: Consistency
  readonly consistencyNote: string | null
  readonly pauseMilliseconds: number
}

/**
 * One instant over all disks of all machines. Guests are let go whatever happens. When application consistency is wanted
 * and one guest cannot give it, none waits for it, and the note says why.
 */
export async function holdAndMark(
  machines: readonly PreparedMachine[],
  wanted: Consistency,
  clock: Clock,
): Promise<Held> {
  const [only] = machines
  if (machines.length === 1 && only !== undefined && only.unchangedAt !== null)
    return { instant: only.unchangedAt, consistency: 'crash', consistencyNote: null, pauseMilliseconds: 0 }
  if (wanted === 'crash') {
    const marked = await mark(machines, clock)
    return { ...marked, consistency: 'crash', consistencyNote: null }
  }
  const started = performance.now()
  const frozen: Frozen[] = []
  let note: string | null = null
  let marked: Marked
  let stayedFrozen = false
  try {
    note = await freezeAll(machines, frozen)
    // A point that is not application-consistent anyway must not keep some of the guests frozen.
    if (note !== null) await thawAll(frozen.splice(0))
    marked = await mark(machines, clock)
  } finally {
    stayedFrozen = await thawAll(frozen)
  }
  if (note === null && !stayedFrozen) note = 'A guest was thawed before its disks were marked'
  if (note !== null) return { ...marked, consistency: 'crash', consistencyNote: note }
  const pauseMilliseconds = performance.now() - started
  return { ...marked, pauseMilliseconds, consistency: 'application', consistencyNote: null }
}

type Frozen = {
  readonly prepared: PreparedMachine
  readonly agent: GuestAgent
  /** How many of its file systems the agent froze. */
  fileSystems: number
}

/** Freezes every guest's file systems, or says why one could not be. What was tried is in `frozen` and must be thawed. */
async function freezeAll(machines: readonly PreparedMachine[], frozen: Frozen[]): Promise<string | null> {
  const notes = await Promise.all(
    machines.map(async (prepared) => {
      const { machine, running, visit } = prepared
      const { agentPath } = machine
      if (!running) return `${machine.name} is not running, so its applications could not be asked`
      if (agentPath === null) return `${machine.name} has no guest agent channel`
      try {
        const open = () => connectToFreeze(machine.host, agentPath)
        const agent = await connectGuestAgent(open, { name: machine.name })
        await visit.qmp.batch([addMarker(HELD_FROZEN)])
        const one: Frozen = { prepared, agent, fileSystems: 0 }
        frozen.push(one)
        one.fileSystems = await agent.call<number>('guest-fsfreeze-freeze', {}, FREEZE_MILLISECONDS)
        return null
      } catch (error) {
        if (error instanceof Outage) return error.message
        throw error
      }
    }),
  )
  return notes.find((note) => note !== null) ?? null
}

/**
 * Whether all were frozen until now: else somebody, such as the dead man's hand on the host, has let one go already. A guest
 * whose thaw fails keeps its marker: every later visitor tries again (see monitor.ts).
 */
async function thawAll(frozen: readonly Frozen[]): Promise<boolean> {
  const stayed = await Promise.all(
    frozen.map(async ({ prepared, agent, fileSystems }) => {
      const thawedNow = await agent.call<number>('guest-fsfreeze-thaw').catch(() => null)
      agent.close()
      // The connection may be spoilt by a freeze that took too long. A new one begins in order.
      const thawed = thawedNow !== null || (await thaw(prepared.machine))
      if (thawed) await prepared.visit.qmp.batch([removeMarker(HELD_FROZEN)])
      return thawedNow !== null && (thawedNow > 0 || fileSystems === 0)
    }),
  )
  return stayed.every((one) => one)
}

type Marked = { readonly instant: Instant; readonly pauseMilliseconds: number }

async function mark(machines: readonly PreparedMachine[], clock: Clock): Promise<Marked> {
  const diskCount = machines.reduce((count, { snapshots }) => count + snapshots.length, 0)
  const work = machines.map((prepared) => ({
    prepared,
    pauses: watchPauses(prepared),
    commands: holdCommands(
      prepared.snapshots,
      prepared.checkpoint.bitmap,
      prepared.since,
      prepared.running && diskCount > 1,
    ),
  }))
  try {
    const [only] = work
    const instant =
      work.length === 1 && only !== undefined
        ? await markOne(only.prepared, only.commands, clock)
        : await markTogether(work, clock)
    return { instant, pauseMilliseconds: Math.max(0, ...work.map(({ pauses }) => pauses.longest())) }
  } finally {
    for (const { pauses } of work) pauses.end()
  }
}

/** All commands in one write. Past a command that fails, QEMU still runs the one that lets the guest go. */
async function markOne({ visit }: PreparedMachine, commands: HoldCommands, clock: Clock): Promise<Instant> {
  const { hold, mark, letGo, expose } = commands
  const settled = await visit.qmp.batch([...hold, ...mark, ...letGo, ...expose])
  const now = performance.now()
  const at = settled[hold.length + mark.length - 1]?.at ?? now
  throwFirstFailure(settled)
  return clock.now() - Math.round(now - at)
}

type MarkWork = { readonly prepared: PreparedMachine; readonly commands: HoldCommands }

/** Every guest stands still before the first is marked, and none goes on before the last is. */
async function markTogether(work: readonly MarkWork[], clock: Clock): Promise<Instant> {
  const phase = (choose: (commands: HoldCommands) => readonly QmpCommand[]): Promise<void> =>
    allSucceed(work.map(({ prepared, commands }) => prepared.visit.qmp.batch(choose(commands))))
  let instant: Instant
  try {
    await inTime(phase(({ hold }) => hold))
    instant = clock.now()
    await inTime(phase(({ mark }) => mark))
  } finally {
    await phase(({ letGo }) => letGo)
  }
  await phase(({ expose }) => expose)
  return instant
}

async function allSucceed(batches: readonly Promise<readonly QmpSettled[]>[]): Promise<void> {
  for (const settled of await Promise.all(batches)) throwFirstFailure(settled)
}

function throwFirstFailure(settled: readonly QmpSettled[]): void {
  const failed = settled.find(({ failure }) => failure !== undefined)
  if (failed?.failure !== undefined) throw failed.failure
}

async function inTime(work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(tooSlow()), MARK_MILLISECONDS)
  try {
    await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
    // When the deadline won, the work's own failure has nobody else to hear it.
    work.catch(() => undefined)
  }
}

/** QEMU itself says when the guest's processors stopped and went on. */
function watchPauses({ visit }: PreparedMachine): { longest(): number; end(): void } {
  let stoppedAt: number | null = null
  let longest = 0
  const end = visit.qmp.onEvent(({ event, at }) => {
    if (event === 'STOP') stoppedAt = at
    if (event === 'RESUME' && stoppedAt !== null) longest = Math.max(longest, at - stoppedAt)
  })
  return { longest: () => longest, end }
}

const tooSlow = (): Outage =>
  new Outage({
    code: 'source/too-slow',
    message: `Marking all machines took longer than ${MARK_MILLISECONDS} ms, so they were let go again`,
    remedy: 'Look at the load of their hosts. The next cycle tries again.',
  })
