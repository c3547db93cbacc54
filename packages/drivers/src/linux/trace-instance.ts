// A trace buffer of our own in tracefs that fills with every completed write of some disks, and is read without ever waiting.
import { closeSync, constants, openSync, readSync, writeFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { KiB } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import { trackingFailed } from './failures.ts'
import { fenceText, filterOf, lostEvents, parseTraceLine, readEvents, type TraceLine } from './trace-text.ts'

/** What our names begin with. */
export const OURS = 'understudy-'
const EVENT = 'events/block/block_rq_complete'
/** Of one turn, so that everything else in the process goes on. The kernel gives a page at a time. */
const READS_PER_TURN = 256
const FENCE_TURNS = 20_000

export type TraceInstance = {
  /**
   * Takes what is there and leaves a mark behind it. Throws `linux/tracking-failed` when the buffer takes no mark, as when it was stopped, or
   * cannot be read.
   */
  pump(): void
  /** All writes that had completed when it was called have been told when it resolves. Throws as `pump`, and when a mark is missing. */
  fence(): Promise<void>
  /** Null: nothing was lost and nobody has changed anything. Else what makes it doubtful. */
  doubt(): Promise<string | null>
  /** More or fewer disks. What both have in common is told without a gap. */
  watch(devices: readonly string[]): Promise<void>
  close(): Promise<void>
}

export type TraceOptions = {
  readonly tracefs: string
  /** Unique on this computer, and carries our name: what is there under it is ours. */
  readonly name: string
  readonly devices: readonly string[]
  /** Of all processors together. */
  readonly buffersKiB: number
  readonly onLine: (line: Exclude<TraceLine, { kind: 'fence' }>) => void
}

const MOST_OF_EACH_KIB = 8192
/** A page. */
const LEAST_OF_EACH_KIB = 4

/** A computer with hundreds of processors has no more of it than one with a few. */
async function bufferOfEach(folder: string, buffersKiB: number): Promise<number> {
  const processors = (await readdir(join(folder, 'per_cpu'))).length
  return Math.max(LEAST_OF_EACH_KIB, Math.min(MOST_OF_EACH_KIB, Math.floor(buffersKiB / processors)))
}

const instancesOf = (tracefs: string): string => join(tracefs, 'instances')

/** Begins to fill at once. What a dead predecessor left under the name is removed; a living one is an Outage. */
export async function openTraceInstance(options: TraceOptions): Promise<TraceInstance> {
  const { tracefs, name, buffersKiB, onLine } = options
  const folder = join(instancesOf(tracefs), name)
  await removeTraceInstance(tracefs, name)
  const set = (file: string, value: string): Promise<void> => writeFile(join(folder, file), value)
  let filter = filterOf(options.devices)
  let pipe = -1
  try {
    await mkdir(folder)
    await set('buffer_size_kb', String(await bufferOfEach(folder, buffersKiB)))
    // The clocks of two processors differ by default, and with them the order in which we read: a fence would be no fence.
    await set('trace_clock', 'global')
    // An overwritten event must not leave room for looking complete: what does not fit is dropped, and counted.
    await set('options/overwrite', '0')
    await set(`${EVENT}/filter`, filter)
    await set(`${EVENT}/enable`, '1')
    await set('tracing_on', '1')
    pipe = openSync(join(folder, 'trace_pipe'), constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    await removeTraceInstance(tracefs, name).catch(() => {})
    throw trackingFailed('its trace buffer could not be set up', cause)
  }

  const page = Buffer.alloc(64 * KiB)
  let rest = ''
  // Numbered, so that one that is missing is known: somebody stopped it, emptied it, or reads it as well.
  let marked = 0
  let newest = 0
  let found = 0
  let changes = 0
  /** Events that the kernel must have handed to us. */
  let taken = 0
  let closed = false
  /** False: it was empty. */
  const readOnce = (): boolean => {
    let bytes: number
    try {
      bytes = readSync(pipe, page, 0, page.length, null)
    } catch (cause) {
      if (codeOf(cause) === 'EAGAIN') return false
      throw trackingFailed('its trace buffer could not be read', cause)
    }
    if (bytes === 0) return false
    const lines = (rest + page.toString('latin1', 0, bytes)).split('\n')
    rest = lines.pop() ?? ''
    for (const text of lines) {
      const line = parseTraceLine(text)
      if (line && line.kind !== 'lost') taken += 1
      if (line?.kind === 'fence') {
        newest = Math.max(newest, Number(line.name))
        found += 1
      } else if (line) onLine(line)
    }
    return true
  }
  const mark = (): void => {
    try {
      writeFileSync(join(folder, 'trace_marker'), fenceText(String(marked + 1)))
    } catch (cause) {
      throw trackingFailed('its trace buffer takes nothing any more', cause)
    }
    marked += 1
  }
  const takeSome = (): void => {
    for (let reads = 0; reads < READS_PER_TURN && readOnce(); reads += 1);
  }

  return {
    pump() {
      if (closed) return
      takeSome()
      // Behind what was read: it lies there until the next turn, so whoever empties the buffer in between takes it along.
      mark()
    },
    async fence() {
      mark()
      const [fence, all] = [marked, () => found === marked]
      for (let turns = 0; turns < FENCE_TURNS; turns += 1) {
        takeSome()
        if (newest >= fence) {
          // Marks of other turns may be behind it.
          while (!all() && readOnce());
          // As after every other turn.
          if (all()) return mark()
          throw trackingFailed(
            'its trace buffer is not whole',
            new Error(`${marked - found} marks are missing`),
          )
        }
        await nextTurn()
      }
      throw trackingFailed('its trace buffer does not come to an end', new Error('no fence was read'))
    },
    async doubt() {
      const read = async (file: string): Promise<string> =>
        (await readFile(join(folder, file), 'latin1')).trim()
      const before = changes
      const takenBefore = taken
      let handed = 0
      try {
        for (const cpu of await readdir(join(folder, 'per_cpu'))) {
          const stats = await read(`per_cpu/${cpu}/stats`)
          const lost = lostEvents(stats)
          if (lost > 0) return `${lost} writes came faster than they could be noted`
          handed += readEvents(stats)
        }
        // The kernel counts anew when somebody empties it, also in the moment in which no mark of ours lies in it.
        if (handed < takenBefore) return 'another tool has emptied our trace buffer'
        const isOn = (await read('tracing_on')) === '1' && (await read(`${EVENT}/enable`)) === '1'
        const isOurs = (await read(`${EVENT}/filter`)) === filter
        return (isOn && isOurs) || before !== changes
          ? null
          : 'another tool has changed or stopped our tracing'
      } catch (cause) {
        return `its trace buffer is gone (${cause instanceof Error ? cause.message : String(cause)})`
      }
    },
    async watch(devices) {
      filter = filterOf(devices)
      changes += 1
      await set(`${EVENT}/filter`, filter)
        .catch((cause: unknown) => {
          throw trackingFailed('its disks could not be changed', cause)
        })
        .finally(() => {
          changes += 1
        })
    },
    async close() {
      if (closed) return
      closed = true
      closeSync(pipe)
      await removeTraceInstance(tracefs, name)
    },
  }
}

/** Those that processes which are gone have left. Whatever somebody reads, or cannot be removed, stays. */
export async function sweepTraceInstances(tracefs: string): Promise<void> {
  const found = await readdir(instancesOf(tracefs)).catch(() => [])
  for (const name of found)
    if (name.startsWith(OURS)) await rmdir(join(instancesOf(tracefs), name)).catch(() => {})
}

/** A program that is just being started has the files of whoever starts it for a moment. */
const BUSY_TRIES = 20
const BUSY_MILLISECONDS = 50

/** Repeatable. The kernel does not let go of one that somebody reads: `linux/tracked-by-another`. */
export async function removeTraceInstance(tracefs: string, name: string): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await rmdir(join(instancesOf(tracefs), name))
    } catch (cause) {
      if (codeOf(cause) === 'ENOENT') return
      if (codeOf(cause) !== 'EBUSY') throw trackingFailed('an old trace buffer could not be removed', cause)
      if (tries >= BUSY_TRIES)
        throw new Outage({
          code: 'linux/tracked-by-another',
          message: 'Another process tracks this server for the same protection',
          remedy: 'See whether the agent was started twice on this server.',
          cause,
        })
    }
    await wait(BUSY_MILLISECONDS)
  }
}

const codeOf = (error: unknown): unknown =>
  error instanceof Error && 'code' in error ? error.code : undefined
