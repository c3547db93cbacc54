// One instant for the machines of a group: each runs a cycle of its own, and they meet where a source point is opened. The last one to
// come opens for all. From then on each copies, seals and ends by itself, and what happens to one is no concern of the others.
import { Refusal } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { GroupId, ProtectionId } from '@understudy/domain/protection/protection'
import type { Consistency, CutId, GroupMark } from '@understudy/domain/recovery-points/recovery-point'
import type {
  OpenPointRequest,
  SourceMachinePoint,
  SourcePlatform,
  SourcePoint,
} from '../ports/source-platform.ts'

/** Rejects with the signal's reason when it aborts before the turn comes. */
export type InTurn = <Result>(work: () => Promise<Result>, signal: AbortSignal) => Promise<Result>

export type SeatRequest = {
  readonly source: SourcePlatform
  /** With a checkpoint: only what has changed is asked for. */
  readonly machine: OpenPointRequest['machines'][number]
  readonly consistency: Consistency
  readonly signal: AbortSignal
}

export type OpenedTogether = {
  readonly source: Pick<SourcePoint, 'instant' | 'consistency' | 'consistencyNote' | 'pauseMilliseconds'>
  readonly machine: SourceMachinePoint
  readonly group: GroupMark
}

/** What one machine of the group sees of it. */
export type GroupSeat = {
  /** Its part of the common point; null: it shall open one alone. Rejects with the signal's reason when it aborts. */
  open(request: SeatRequest): Promise<OpenedTogether | null>
  /** The others need not wait for it. Repeatable; nothing happens after `open`. */
  leave(): void
  /** Copying of all that have seats here, however each was opened. */
  readonly inTurn: InTurn
}

export type GroupOpening = {
  readonly id: GroupId
  readonly members: readonly ProtectionId[]
  readonly newCut: () => CutId
  /** Resolves when those that have not come by then are waited for no longer. Rejects with the signal's reason when it aborts. */
  readonly patience: (signal: AbortSignal) => Promise<void>
  /** So many copy at once; the others wait for their turn, with their points open. */
  readonly lanes: number
  /** The machines were opened together, or could not be and why. Not called where too few came. Must not throw. */
  readonly onOpened: (failure: unknown) => void
}

type Waiting = SeatRequest & {
  readonly resolve: (opened: OpenedTogether | null) => void
  readonly reject: (reason: unknown) => void
}

/** Seats for all members. Every one of them must be used: opened or left. */
export function groupSeats(opening: GroupOpening): ReadonlyMap<ProtectionId, GroupSeat> {
  const missing = new Set(opening.members)
  const waiting: Waiting[] = []
  const begun = new AbortController()
  const begin = (): void => {
    if (begun.signal.aborted) return
    begun.abort()
    void openAll(opening, waiting)
  }
  opening.patience(begun.signal).then(begin, () => {})
  const arrive = (id: ProtectionId): void => {
    if (missing.delete(id) && missing.size === 0) begin()
  }
  const inTurn = takeTurns(opening.lanes)
  const seatOf = (id: ProtectionId): GroupSeat => ({
    open: (request) =>
      new Promise((resolve, reject) => {
        // Too late: the others have gone on.
        if (begun.signal.aborted) return resolve(null)
        waiting.push({ ...request, resolve, reject })
        // Once the opening has begun it stays until the call that it is part of has ended and cleaned up.
        const { signal } = request
        signal.addEventListener('abort', () => !begun.signal.aborted && reject(signal.reason), { once: true })
        arrive(id)
      }),
    leave: () => arrive(id),
    inTurn,
  })
  return new Map(opening.members.map((id) => [id, seatOf(id)]))
}

/** Settles everybody who waits. Whoever is called away, or has lost its tracking, is left out, and the others try without. */
async function openAll(opening: GroupOpening, waiting: readonly Waiting[]): Promise<void> {
  let left = waiting
  for (;;) {
    left = left.filter((one) => !settledByAbort(one))
    if (left.length < 2) return openApart(left)
    const outcome = await openOnce(left)
    if (outcome.kind === 'opened') {
      const settling = outcome.point.machines.find(({ settle }) => settle)
      if (settling === undefined) return handOut(opening, left, outcome.point)
      // Its instant comes when it has been copied, so what was opened here has none in common.
      await outcome.point.release(false).catch(() => {})
      opening.onOpened(noCommonInstant(settling.ref))
      return openApart(left)
    }
    if (outcome.kind === 'failed') {
      if (left.some(({ signal }) => signal.aborted)) continue
      opening.onOpened(outcome.failure)
      return openApart(left)
    }
    const lost = left.filter(({ machine }) => machine.ref === outcome.ref)
    // It finds out by itself what it has lost, and why.
    openApart(lost)
    left = left.filter((one) => !lost.includes(one))
    if (lost.length === 0) return openApart(left)
  }
}

const noCommonInstant = (ref: MachineRef): Refusal =>
  new Refusal({
    code: 'group/no-common-instant',
    message: `${ref} is copied while it runs and has its instant only at the end, so it cannot have one together with others`,
    remedy: 'Take it out of the group; each machine has points of its own meanwhile.',
  })

function settledByAbort({ signal, reject }: Waiting): boolean {
  if (signal.aborted) reject(signal.reason)
  return signal.aborted
}

const openApart = (some: readonly Waiting[]): void => {
  for (const { resolve } of some) resolve(null)
}

async function openOnce(some: readonly Waiting[]) {
  const [first] = some
  if (!first) return { kind: 'failed', failure: null } as const
  const consistency = some.some((one) => one.consistency === 'application') ? 'application' : 'crash'
  const signal = AbortSignal.any(some.map((one) => one.signal))
  try {
    return await first.source.openPoint({ machines: some.map(({ machine }) => machine), consistency }, signal)
  } catch (failure) {
    return { kind: 'failed', failure } as const
  }
}

function handOut(opening: GroupOpening, some: readonly Waiting[], point: SourcePoint): void {
  const group = { id: opening.id, cut: opening.newCut() }
  opening.onOpened(null)
  for (const one of some) {
    const machine = point.machines.find(({ ref }) => ref === one.machine.ref)
    if (machine === undefined) one.resolve(null)
    else if (one.signal.aborted) giveBack(machine, one)
    else one.resolve({ source: point, machine, group })
  }
}

/** Called away while all were opened: it is let go before whoever called it goes on. */
function giveBack(machine: SourceMachinePoint, { signal, reject }: Waiting): void {
  machine.release(false).then(
    () => reject(signal.reason),
    () => reject(signal.reason),
  )
}

/** At most `lanes` at once, in the order in which they came. */
function takeTurns(lanes: number): InTurn {
  let free = lanes
  let queue: (() => void)[] = []
  const turn = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      queue.push(resolve)
      const leave = (): void => {
        queue = queue.filter((other) => other !== resolve)
        reject(signal.reason)
      }
      signal.addEventListener('abort', leave, { once: true })
    })
  return async (work, signal) => {
    signal.throwIfAborted()
    if (free > 0) free -= 1
    else await turn(signal)
    try {
      return await work()
    } finally {
      const next = queue.shift()
      if (next) next()
      else free += 1
    }
  }
}
