// The agent's end of a way home: what a computer in a rescue system is asked, and what is written to its disks, for one assignment at a time. Which one
// that is outlives the process, but not the computer.
import {
  type Answer,
  type AskKind,
  isSourceAsk,
  type Question,
  type ReceiverAskKind,
  readQuestion,
} from '@understudy/agent-protocol/asks'
import { Outage, Refusal } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import type { BlockDevice } from '@understudy/block/device'
import { digestsOf } from '@understudy/block/digest'
import { anotherDisk, inUse, type ReceiverDisk } from '@understudy/domain/failover/receiver'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { createLongWork } from './long-work.ts'

/** The computer that is written to. */
export type ReceiverSystem = {
  describe(signal?: AbortSignal): Promise<{
    readonly disks: readonly ReceiverDisk[]
    readonly addresses: readonly string[]
    readonly firmware: 'bios' | 'uefi'
  }>
  /** So that nobody else uses it. */
  open(path: string, bytes: number): Promise<BlockDevice>
  /** Makes the written disks fit to start on this hardware. Repeatable. Says in words what it changed. */
  finish(disks: readonly WrittenDisk[], signal: AbortSignal): Promise<{ readonly changes: readonly string[] }>
  /** Starts the computer anew, from its disks: this process ends with that. */
  restart(): Promise<void>
}

/** `bytes`: of the disk itself, which may be bigger than what was written to it. */
export type WrittenDisk = { readonly path: string; readonly bytes: number }

export type Receiving = Question<'begin-receiving'>

export type ReceiverDesk = {
  answer(kind: AskKind, body: unknown, signal: AbortSignal): Promise<unknown>
  /** Refuses (`receiver/assigned-anew`) what is of no assignment, or of one that is over. */
  expect(assignment: string, disk: DiskKey): Promise<void>
  /** Resolves when the disk has taken it. The same again does no harm. */
  write(piece: {
    readonly assignment: string
    readonly disk: DiskKey
    readonly offset: number
    readonly content: Buffer
  }): Promise<void>
  close(): Promise<void>
}

/** The answer goes out before. */
const RESTART_MILLISECONDS = 1000
/** Of a computer with one of the slowest disks, and hundreds of kernels to look at. */
const FINISH_MILLISECONDS = 60 * 60_000

export function createReceiverDesk(
  system: ReceiverSystem,
  kept: { load(): Promise<Receiving | null>; save(receiving: Receiving): Promise<void> },
): ReceiverDesk {
  const long = createLongWork()
  const turn = inTurn()
  const opened = new Map<DiskKey, Promise<BlockDevice>>()
  const working = new Set<Promise<unknown>>()
  const closing = new AbortController()
  let receiving: Receiving | null | undefined

  const current = async (assignment: string): Promise<Receiving> => {
    receiving ??= await kept.load()
    if (receiving?.assignment === assignment) return receiving
    throw assignedAnew()
  }
  const letDisksGo = async (): Promise<void> => {
    const all = [...opened.values()]
    opened.clear()
    await Promise.allSettled([...working])
    for (const each of all) await each.then((disk) => disk.close()).catch(() => {})
  }
  const openDisk = async (wanted: Receiving['disks'][number]): Promise<BlockDevice> => {
    const disk = (await system.describe()).disks.find(({ path }) => path === wanted.path)
    if (!disk || disk.bytes !== wanted.bytes || disk.serial !== wanted.serial) throw anotherDisk(wanted.path)
    if (disk.blocked !== null) throw inUse(disk.path, disk.blocked)
    return await system.open(disk.path, disk.bytes)
  }
  const diskOf = async (assignment: string, key: DiskKey): Promise<BlockDevice> => {
    const { disks } = await current(assignment)
    const known = opened.get(key)
    if (known !== undefined) return await known
    const wanted = disks.find((disk) => disk.key === key)
    if (!wanted) throw noSuchDisk(key)
    const opening = openDisk(wanted)
    opened.set(key, opening)
    // Whoever comes next tries it again.
    opening.catch(() => opened.get(key) === opening && opened.delete(key))
    return await opening
  }
  /** What is under way with a disk ends before it is closed. */
  const withDisk = async <Result>(
    { assignment, disk, offset, bytes }: { assignment: string; disk: DiskKey; offset: number; bytes: number },
    work: (device: BlockDevice) => Promise<Result>,
  ): Promise<Result> => {
    const device = await diskOf(assignment, disk)
    if (offset + bytes > device.bytes) throw outside()
    // It may have been assigned anew while the disk was opened.
    await current(assignment)
    const done = work(device)
    working.add(done)
    return await done.finally(() => working.delete(done))
  }
  const flush = async (assignment: string): Promise<void> => {
    const { disks } = await current(assignment)
    // What came twice may still be on its way to the disk, and must not get there after what comes next.
    await Promise.allSettled([...working])
    for (const { key } of disks) await (await diskOf(assignment, key)).flush()
  }

  const handlers: {
    readonly [Kind in ReceiverAskKind]: (
      question: Question<Kind>,
      signal: AbortSignal,
    ) => Promise<Answer<Kind>>
  } = {
    'describe-receiver': async (_question, signal) => {
      const { disks, addresses, firmware } = await system.describe(signal)
      return { disks: [...disks], addresses: [...addresses], firmware }
    },
    'begin-receiving': (wanted) =>
      turn(async () => {
        receiving ??= await kept.load()
        if (receiving && receiving.epoch > wanted.epoch) throw assignedAnew()
        if (receiving?.assignment !== wanted.assignment) {
          await letDisksGo()
          await kept.save(wanted)
          receiving = wanted
        }
        for (const { key } of wanted.disks) await diskOf(wanted.assignment, key)
        return {}
      }),
    'digest-received': async ({ pieceBytes, ...range }, signal) => {
      const digests = await withDisk(range, (device) => digestsOf(device, range, pieceBytes, signal))
      return { digests: digests.toString('base64') }
    },
    'zero-received': async (range, signal) => {
      await withDisk(range, (device) => device.zero(range.offset, range.bytes, signal))
      return {}
    },
    'flush-received': async ({ work, assignment }) => {
      await current(assignment)
      return await long(work, async () => {
        await flush(assignment)
        return {}
      })
    },
    'finish-received': async ({ work, assignment }) => {
      await current(assignment)
      return await long(work, () =>
        turn(async () => {
          const { disks } = await current(assignment)
          await flush(assignment)
          // The kernel reads partitions anew of what nobody has for himself.
          await letDisksGo()
          const limit = AbortSignal.any([closing.signal, AbortSignal.timeout(FINISH_MILLISECONDS)])
          const written = disks.map(({ path, bytes }) => ({ path, bytes }))
          const { changes } = await system.finish(written, limit)
          return { changes: [...changes] }
        }),
      )
    },
    'restart-received': async ({ assignment }) => {
      await current(assignment)
      await letDisksGo()
      setTimeout(() => void system.restart().catch(() => {}), RESTART_MILLISECONDS).unref()
      return {}
    },
  }
  const answer = <Kind extends ReceiverAskKind>(kind: Kind, body: unknown, signal: AbortSignal) =>
    handlers[kind](readQuestion(kind, body), signal)

  return {
    answer: (kind, body, signal) =>
      isSourceAsk(kind) ? Promise.reject(notForReceivers(kind)) : answer(kind, body, signal),
    async expect(assignment, disk) {
      await diskOf(assignment, disk)
    },
    write: ({ content, ...place }) =>
      withDisk({ ...place, bytes: content.length }, (device) => device.write(place.offset, content)),
    async close() {
      closing.abort(new DOMException('The agent stops', 'AbortError'))
      await letDisksGo()
    },
  }
}

export const assignedAnew = (): Refusal =>
  new Refusal({
    code: 'receiver/assigned-anew',
    message: 'This assignment of the receiver is over: it was taken back, or given to another server',
    remedy: 'Look at the receivers of the site, and begin anew with what is assigned now.',
  })

const noSuchDisk = (key: DiskKey): Refusal =>
  new Refusal({
    code: 'receiver/no-such-disk',
    message: `Nothing was chosen for the disk ${key} of the server`,
    remedy: 'Take the assignment of the receiver back, and choose a disk for each disk of the server.',
  })

const outside = (): Outage =>
  new Outage({
    code: 'receiver/outside',
    message: 'A piece lies behind the end of the disk that it was for',
    remedy: 'It is tried again. If it stays, look at the disks of the receiver, and assign it anew.',
  })

const notForReceivers = (kind: AskKind): Refusal =>
  new Refusal({
    code: 'agent/role-missing',
    message: `This agent is a receiver: "${kind}" is for the agents of servers`,
    remedy: 'Enrol an agent as a protected server on the server itself.',
  })
