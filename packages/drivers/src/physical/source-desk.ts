// The other end, in the agent: answers what is asked about the disks of its server, from the source beside them. Points stay open here over cuts and restarts of
// the server; whoever comes anew for the same tracking takes the place of the one before.
import {
  type Answer,
  type AskKind,
  EXTENTS_PER_PAGE,
  isSourceAsk,
  type Question,
  readQuestion,
  type SourceAskKind,
} from '@understudy/agent-protocol/asks'
import { BootFactsShape } from '@understudy/agent-protocol/boot-facts-shape'
import type { WantedRead } from '@understudy/agent-protocol/messages'
import { Outage, Refusal } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import type { Clock, Instant } from '@understudy/base/instant'
import type { MappedExtent } from '@understudy/block/device'
import { digestsOf } from '@understudy/block/digest'
import type { Preparation } from '@understudy/domain/boot-check/preparation'
import type { DiscoveredMachine, DiskKey } from '@understudy/domain/machines/machine'
import type {
  SettledPoint,
  SourceDisk,
  SourceMachinePoint,
  SourcePlatform,
} from '@understudy/engine/ports/source-platform'
import { createLongWork } from './long-work.ts'

export type SourceDesk = {
  /** Throws Refusal and Outage as the source does. */
  answer(kind: AskKind, body: unknown, signal: AbortSignal): Promise<unknown>
  read(wanted: WantedRead, signal: AbortSignal): Promise<Buffer>
  /** A point is open, or what takes longer than an answer is under way: whoever ends the agent spoils it. */
  isBusy(): boolean
  /** Lets every point go, unsealed. */
  close(): Promise<void>
}

/** A point that nobody asks about for so long is let go: the server has forgotten it, or is gone. */
const FORGOTTEN_MILLISECONDS = 60 * 60_000
const LOOK_MILLISECONDS = 60_000
/** Whose power has not gone by then runs on, and says so. */
const POWER_GOES_MILLISECONDS = 60_000

/** The time of the server here, and a clock that nobody sets: what passed between two moments, in milliseconds. */
export type DeskTime = { readonly clock: Clock; elapsed(): number }

const realTime: DeskTime = { clock: { now: () => Date.now() }, elapsed: () => performance.now() }

type Opened = Extract<Answer<'open-point'>, { kind: 'opened' }>

type OpenedPoint = {
  readonly machine: SourceMachinePoint
  readonly facts: Omit<Opened, 'ageMilliseconds'>
  readonly openedAt: number
  /** When its instant was, as `elapsed` has it. */
  readonly takenAt: number
  readonly stop: AbortController
  /** 0: the point itself; from 1 on the rounds of settling, of which only the present one is there. */
  readonly rounds: Map<number, readonly SourceDisk[]>
  readonly walks: Map<string, Walk>
  settling: Settling | null
}

type Opening = {
  readonly id: string
  readonly trackingId: string
  /** Null: its tracking was lost. */
  readonly point: Promise<OpenedPoint | null>
  readonly result: Promise<() => Answer<'open-point'>>
  touchedAt: number
}

type Walk = {
  readonly id: string
  readonly extents: AsyncIterator<MappedExtent>
  readonly turn: ReturnType<typeof inTurn>
  page: number
  kept: Answer<'list-changes'>
  failed: { readonly error: unknown } | null
}

type Settling = {
  round: number
  copied: number
  end: { readonly point: SettledPoint; readonly takenAt: number } | { readonly error: unknown } | null
  changed: ReturnType<typeof Promise.withResolvers<void>>
  /** Nothing of it goes on any more. */
  readonly over: Promise<void>
}

export function createSourceDesk(source: SourcePlatform, time: DeskTime = realTime): SourceDesk {
  const openings = new Map<string, Opening>()
  const openInTurn = inTurn()
  const long = createLongWork()
  let off: { readonly at: number } | null = null

  const find = async (id: string): Promise<OpenedPoint> => {
    const opening = openings.get(id)
    const point = await opening?.point
    if (!opening || !point) throw pointGone()
    opening.touchedAt = time.elapsed()
    return point
  }

  const open = (question: Question<'open-point'>, signal: AbortSignal): Promise<Answer<'open-point'>> => {
    const known = openings.get(question.opening)
    if (known) return known.result.then((tell) => tell())
    const opened = openInTurn(async () => {
      // Those behind it wait for this one: waiting for them would never end.
      for (const other of [...openings.values()]) {
        if (other.id === question.opening) break
        if (other.trackingId === question.trackingId) await giveWay(openings, other, question.since)
      }
      return await openPoint(source, question, time, signal)
    })
    const opening: Opening = {
      id: question.opening,
      trackingId: question.trackingId,
      point: opened.then((made) => ('machine' in made ? made : null)),
      result: opened.then((made) => () => ('machine' in made ? tellOpened(made, time) : made)),
      touchedAt: time.elapsed(),
    }
    opening.point.catch(() => {})
    openings.set(opening.id, opening)
    return opening.result.then(
      (tell) => {
        const answer = tell()
        if (answer.kind === 'tracking-lost') openings.delete(opening.id)
        return answer
      },
      (error: unknown) => {
        // Whoever asks again tries it again.
        openings.delete(opening.id)
        throw error
      },
    )
  }

  const forgetting = setInterval(() => {
    for (const opening of [...openings.values()])
      if (time.elapsed() - opening.touchedAt >= FORGOTTEN_MILLISECONDS)
        void forget(openings, opening).catch(() => {})
  }, LOOK_MILLISECONDS).unref()

  const handlers: {
    readonly [Kind in SourceAskKind]: (question: Question<Kind>, signal: AbortSignal) => Promise<Answer<Kind>>
  } = {
    'describe-server': async (_question, signal) => {
      const { name, power, guestAgent, hardware } = await ownMachine(source, signal)
      return {
        name,
        power,
        guestAgent,
        hardware: { ...hardware, disks: [...hardware.disks], adapters: [...hardware.adapters] },
      }
    },
    'check-eligibility': async (_question, signal) => {
      const { ref } = await ownMachine(source, signal)
      const { findings, ...rest } = await source.eligibility(ref, signal)
      return { ...rest, findings: [...findings] }
    },
    'boot-facts': ({ work }) =>
      long(work, async () => {
        const { ref } = await ownMachine(source)
        const facts = await source.bootFacts?.(ref)
        if (facts?.system !== 'linux') throw noBootFacts()
        return BootFactsShape.parse(facts)
      }),
    'prepare-boot': ({ work, hardware }) =>
      long(work, async () => {
        const { ref } = await ownMachine(source)
        const prepared = await source.prepareBoot?.(ref, hardware)
        if (prepared === undefined) throw noBootFacts()
        return toPrepared(prepared)
      }),
    'find-preparation': async (_question, signal) => {
      const { ref } = await ownMachine(source, signal)
      const prepared = await source.findPreparation?.(ref, signal)
      return { prepared: prepared ? toPrepared(prepared) : null }
    },
    'open-point': open,
    'list-changes': async (question) => nextPage(await find(question.opening), question),
    'digest-disk': async ({ opening, round, disk: key, offset, bytes, pieceBytes }, signal) => {
      const disk = diskOf(await find(opening), round, key)
      const range = { offset, bytes }
      if (offset + bytes > disk.bytes) throw outside()
      const digests = disk.digests
        ? await disk.digests(range, pieceBytes, signal)
        : await digestsOf(disk.reader, range, pieceBytes, signal)
      return { digests: digests.toString('base64') }
    },
    'settle-point': async ({ opening, copied }, signal) => settle(await find(opening), copied, time, signal),
    'power-off': async ({ opening }, signal) => {
      const { machine } = await find(opening)
      if (!machine.powerOff) throw noLastPoint()
      const { evidence } = await machine.powerOff(signal)
      off ??= { at: time.elapsed() }
      return { evidence }
    },
    'release-point': async ({ opening, kept }) => {
      const known = openings.get(opening)
      if (known) await letGo(openings, known, kept)
      return {}
    },
    'stop-tracking': async ({ trackingId }, signal) => {
      for (const other of [...openings.values()])
        if (other.trackingId === trackingId) await letGo(openings, other, false)
      const { ref } = await ownMachine(source, signal)
      await source.stopTracking(ref, trackingId)
      return {}
    },
  }

  const answer = async <Kind extends SourceAskKind>(
    kind: Kind,
    body: unknown,
    signal: AbortSignal,
  ): Promise<unknown> => {
    // Another one is about to serve in its place: it is not to be seen running, but where its power does not go.
    const isLate = off !== null && time.elapsed() - off.at >= POWER_GOES_MILLISECONDS
    if (off !== null && kind !== 'power-off' && !(isLate && kind === 'describe-server')) throw switchingOff()
    return await handlers[kind](readQuestion(kind, body), signal)
  }
  return {
    answer: (kind, body, signal) =>
      isSourceAsk(kind) ? answer(kind, body, signal) : Promise.reject(notForServers(kind)),
    async read({ opening, round, disk, offset, bytes }, signal) {
      const { reader } = diskOf(await find(opening), round, disk)
      if (offset + bytes > reader.bytes) throw outside()
      return await reader.read(offset, bytes, signal)
    },
    isBusy: () => openings.size > 0 || long.isBusy(),
    async close() {
      clearInterval(forgetting)
      for (const opening of [...openings.values()]) await letGo(openings, opening, false)
    },
  }
}

type Prepared = NonNullable<Answer<'find-preparation'>['prepared']>

const toPrepared = ({ drivers, changes, ...rest }: Preparation): Prepared => ({
  ...rest,
  drivers: [...drivers],
  changes: [...changes],
})

/** Of a site's point of view there is one machine here: the server itself. */
async function ownMachine(source: SourcePlatform, signal?: AbortSignal): Promise<DiscoveredMachine> {
  const [machine, ...others] = await source.inventory(signal)
  if (machine && others.length === 0) return machine
  throw new Refusal({
    code: 'agent/no-single-server',
    message: `The agent sees ${others.length + (machine ? 1 : 0)} machines where it protects its own server only`,
    remedy: 'Look at the log of the agent.',
  })
}

async function openPoint(
  source: SourcePlatform,
  { trackingId, since, excludedDisks, consistency, readWhole = false, last }: Question<'open-point'>,
  time: DeskTime,
  signal: AbortSignal,
): Promise<OpenedPoint | Extract<Answer<'open-point'>, { kind: 'tracking-lost' }>> {
  if (last && !source.shutsDownAtPoint) throw noLastPoint()
  const { ref } = await ownMachine(source, signal)
  const openedAt = time.elapsed()
  const opened = await source.openPoint(
    {
      machines: [{ ref, trackingId, since, excludedDisks, readWhole }],
      consistency,
      ...(last ? { last } : {}),
    },
    signal,
  )
  if (opened.kind === 'tracking-lost') return { kind: 'tracking-lost', reason: { ...opened.reason } }
  const { instant, consistencyNote, pauseMilliseconds, machines } = opened.point
  const [machine] = machines
  if (!machine) throw new Error('A point of one machine has none')
  const disks = machine.disks.map(({ key, bytes }) => ({ key, bytes }))
  return {
    machine,
    openedAt,
    takenAt: momentOf(instant, openedAt, time),
    facts: {
      kind: 'opened',
      consistency: opened.point.consistency,
      consistencyNote,
      checkpoint: machine.checkpoint,
      pauseMilliseconds,
      disks,
      settles: machine.settle !== undefined,
      digests: true,
      last: machine.powerOff !== undefined,
    },
    stop: new AbortController(),
    rounds: new Map([[0, machine.disks]]),
    walks: new Map(),
    settling: null,
  }
}

/** By a clock that nobody sets, and not before the point was opened: that of the server may jump, and be years off. */
function momentOf(instant: Instant, openedAt: number, { clock, elapsed }: DeskTime): number {
  const now = elapsed()
  return Math.min(now, Math.max(openedAt, now - (clock.now() - instant)))
}

const tellOpened = ({ facts, takenAt }: OpenedPoint, { elapsed }: DeskTime): Opened => ({
  ...facts,
  ageMilliseconds: elapsed() - takenAt,
})

/** The checkpoint that would have been sealed with it. Null: it has none, or none yet. */
function checkpointOf({ machine, settling, facts }: OpenedPoint): string | null {
  if (!machine.settle) return facts.checkpoint
  return settling?.end && 'point' in settling.end ? settling.end.point.checkpoint : null
}

/** Somebody begins anew from `since`. Where that is this point's own mark it was sealed, and nobody came to say so. */
async function giveWay(
  openings: Map<string, Opening>,
  opening: Opening,
  since: string | null,
): Promise<void> {
  const point = await opening.point.catch(() => null)
  await letGo(openings, opening, since !== null && point !== null && checkpointOf(point) === since)
}

/** Whether it was sealed only the next one knows, who names its mark: a server that has its instant behind it loses nothing by waiting. */
async function forget(openings: Map<string, Opening>, opening: Opening): Promise<void> {
  const point = await opening.point.catch(() => null)
  if (point?.machine.settle && checkpointOf(point) !== null) return
  await letGo(openings, opening, false)
}

async function letGo(openings: Map<string, Opening>, opening: Opening, kept: boolean): Promise<void> {
  openings.delete(opening.id)
  const point = await opening.point.catch(() => null)
  if (!point) return
  if (!kept) point.stop.abort(new DOMException('The point is not wanted any more', 'AbortError'))
  // What is held still, or read, is the source's until its settling is over.
  await point.settling?.over
  await point.machine.release(kept)
}

function diskOf({ rounds }: OpenedPoint, round: number, key: DiskKey): SourceDisk {
  const disk = rounds.get(round)?.find((each) => each.key === key)
  if (disk) return disk
  throw pointGone()
}

async function nextPage(
  point: OpenedPoint,
  { round, disk: key, walk: id, page }: Question<'list-changes'>,
): Promise<Answer<'list-changes'>> {
  const disk = diskOf(point, round, key)
  const place = `${round} ${key}`
  const before = point.walks.get(place)
  const walk: Walk =
    before?.id === id
      ? before
      : {
          id,
          extents: disk.changed(point.stop.signal)[Symbol.asyncIterator](),
          turn: inTurn(),
          page: -1,
          kept: { extents: [], last: false },
          failed: null,
        }
  if (walk !== before) {
    await before?.extents.return?.()
    point.walks.set(place, walk)
  }
  return await walk.turn(async () => {
    // Its answer was lost on the way.
    if (page === walk.page) return walk.kept
    if (page !== walk.page + 1) throw pointGone()
    const extents: Answer<'list-changes'>['extents'] = []
    let last = false
    while (!last && extents.length < EXTENTS_PER_PAGE) {
      // A list that has failed once is over, and would look as if it were whole.
      if (walk.failed) throw walk.failed.error
      const next = await walk.extents.next().catch((error: unknown) => {
        walk.failed = { error }
        throw error
      })
      if (next.done) last = true
      else extents.push([next.value.offset, next.value.bytes, next.value.kind === 'zero' ? 1 : 0])
    }
    walk.kept = { extents, last }
    walk.page = page
    return walk.kept
  })
}

/** The source settles by itself; each round of it waits here until the server says that it has copied it. */
async function settle(
  point: OpenedPoint,
  copied: number,
  time: DeskTime,
  signal: AbortSignal,
): Promise<Answer<'settle-point'>> {
  point.settling ??= beginSettling(point, time)
  const { settling } = point
  if (copied > settling.round) throw pointGone()
  if (copied > settling.copied) {
    settling.copied = copied
    wake(settling)
  }
  while (settling.end === null && settling.round <= copied) await untilChanged(settling, signal)
  const { end, round } = settling
  if (end === null) {
    const disks = point.rounds.get(round) ?? []
    return { kind: 'round', round, disks: disks.map(({ key, bytes }) => ({ key, bytes })) }
  }
  if ('error' in end) throw end.error
  const { consistency, consistencyNote, checkpoint, pauseMilliseconds } = end.point
  const ageMilliseconds = time.elapsed() - end.takenAt
  return { kind: 'settled', ageMilliseconds, consistency, consistencyNote, checkpoint, pauseMilliseconds }
}

function beginSettling(point: OpenedPoint, time: DeskTime): Settling {
  const { machine, rounds, stop, openedAt } = point
  const over = Promise.withResolvers<void>()
  const settling: Settling = {
    round: 0,
    copied: 0,
    end: null,
    changed: Promise.withResolvers(),
    over: over.promise,
  }
  const copy = async (disks: readonly SourceDisk[]): Promise<void> => {
    stop.signal.throwIfAborted()
    const round = settling.round + 1
    rounds.clear()
    rounds.set(round, disks)
    point.walks.clear()
    settling.round = round
    wake(settling)
    while (settling.copied < round) await untilChanged(settling, stop.signal)
  }
  const settled = machine.settle
    ? machine.settle(copy, stop.signal)
    : Promise.reject(new Error('This point does not settle'))
  const finish = (end: NonNullable<Settling['end']>): void => {
    settling.end = end
    over.resolve()
    wake(settling)
  }
  settled.then(
    (made) => finish({ point: made, takenAt: momentOf(made.instant, openedAt, time) }),
    (error: unknown) => finish({ error }),
  )
  return settling
}

function wake(settling: Settling): void {
  settling.changed.resolve()
  settling.changed = Promise.withResolvers()
}

function untilChanged({ changed }: Settling, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason)
    const abort = (): void => reject(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    void changed.promise.then(() => {
      signal.removeEventListener('abort', abort)
      resolve()
    })
  })
}

const notForServers = (kind: AskKind): Refusal =>
  new Refusal({
    code: 'agent/role-missing',
    message: `This agent protects its server: "${kind}" is for receivers, whose disks may be written`,
    remedy:
      'Start the computer that is to be written from the rescue system, and enrol its agent as a receiver.',
  })

const noBootFacts = (): Refusal =>
  new Refusal({
    code: 'boot-check/no-way',
    message: 'The agent of this server cannot tell what the server is prepared for',
    remedy: 'Run a test failover: it shows whether the machine boots there.',
  })

const noLastPoint = (): Refusal =>
  new Refusal({
    code: 'agent/no-last-point',
    message: 'The agent cannot shut its server down at a point',
    remedy: 'Switch the server off yourself, wait until it is, and run an unplanned failover.',
  })

const switchingOff = (): Outage =>
  new Outage({
    code: 'agent/switching-off',
    message: 'The server was failed over and is switching itself off',
    remedy: 'It can be replicated again once it has been started.',
  })

const pointGone = (): Outage =>
  new Outage({
    code: 'agent/point-gone',
    message: 'The agent has been started anew, or has let this point go meanwhile',
    remedy: 'The next cycle begins with a new one.',
  })

const outside = (): Refusal =>
  new Refusal({
    code: 'agent/bad-read',
    message: 'A piece was asked for that lies behind the end of the disk',
    remedy: 'Run another cycle: the disk may have been replaced meanwhile.',
  })
