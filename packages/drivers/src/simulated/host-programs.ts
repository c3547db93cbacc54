// Programs on the host of a site that is not there. They are kept as a real host keeps them, and nothing is run: `false` fails, `sleep`
// takes its time, what is not installed on any host is not found, and everything else says what it was given.
import { link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Outage } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { HostProgram, HostProgramState, HostPrograms } from '@understudy/engine/ports/host-programs'
import { THE_PLACE } from './boot-replica.ts'
import type { SimulatedSite } from './simulated-site.ts'

type Begun = {
  readonly endsAt: Instant
  readonly endedBy: 'itself' | 'timeout'
  readonly exitCode: number
  readonly notStarted: string | null
  readonly output: string
}

/** `folder`: only for these. */
export function simulatedHostPrograms(site: SimulatedSite, folder: string): HostPrograms {
  const begunFile = (id: string) => join(folder, `${id}.json`)
  const endedFile = (id: string) => join(folder, `${id}.ended`)
  return {
    place: THE_PLACE,
    async begin(id, program) {
      await site.answer('beginProgram')
      await sweep(folder, site.now())
      await writeOnce(folder, begunFile(id), JSON.stringify(play(program, site.now())))
    },
    async state(id) {
      await site.answer('programState')
      const begun = await readKept(begunFile(id))
      if (begun === null) return { kind: 'unknown' }
      if (!isWhole(begun)) return { kind: 'lost', pid: null }
      const ended = (await readOrNull(endedFile(id))) !== null
      if (ended) return toEnd({ ...begun, exitCode: 143, output: '' }, 'abort')
      return site.now() < begun.endsAt ? { kind: 'running' } : toEnd(begun, begun.endedBy)
    },
    async end(id) {
      await site.answer('endProgram')
      const begun = await readKept(begunFile(id))
      if (begun === null || !isWhole(begun) || site.now() >= begun.endsAt) return
      await writeOnce(folder, endedFile(id), '')
    },
    async forget(id) {
      await site.answer('forgetProgram')
      const begun = await readKept(begunFile(id))
      if (begun === null) return
      const forgotten: Forgotten = { endsAt: begun.endsAt }
      await writeFile(`${begunFile(id)}.forgotten`, JSON.stringify(forgotten))
      await rename(`${begunFile(id)}.forgotten`, begunFile(id))
      await rm(endedFile(id), { force: true })
    },
  }
}

/** In place of what it was. */
type Forgotten = Pick<Begun, 'endsAt'>

const isWhole = (kept: Begun | Forgotten): kept is Begun => 'output' in kept

const SECONDS = 1000
/** As on a real host: longer than anybody asks for it. */
const KEPT_MILLISECONDS = 8 * 24 * 60 * 60 * SECONDS

/** What has ended so long ago that nobody will ask for it, forgotten or not. Others may be at the same. */
async function sweep(folder: string, now: Instant): Promise<void> {
  for (const name of await namesIn(folder)) {
    if (!name.endsWith('.json')) continue
    const path = join(folder, name)
    const kept = await readKept(path)
    if (kept === null || kept.endsAt + KEPT_MILLISECONDS > now) continue
    await rm(join(folder, `${name.slice(0, -'.json'.length)}.ended`), { force: true })
    await rm(path, { force: true })
  }
}

/** What a version before, or a cut of power, has left half is forgotten. */
async function readKept(path: string): Promise<Begun | Forgotten | null> {
  const text = await readOrNull(path)
  if (text === null) return null
  try {
    return JSON.parse(text)
  } catch {
    return { endsAt: 0 }
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}

function play({ command, arguments: given, limitMilliseconds }: HostProgram, now: Instant): Begun {
  const name = command.split('/').at(-1) ?? command
  const milliseconds = name === 'sleep' ? Number(given[0] ?? 0) * SECONDS : 0.2 * SECONDS
  const inTime = milliseconds <= limitMilliseconds
  const missing = name.includes('no-such')
  return {
    endsAt: now + (missing ? 0 : inTime ? milliseconds : limitMilliseconds),
    endedBy: inTime || missing ? 'itself' : 'timeout',
    exitCode: name === 'false' ? 1 : 0,
    notStarted: missing ? 'ENOENT' : null,
    output: missing || name === 'sleep' ? '' : `simulated: ${[name, ...given].join(' ')}\n`,
  }
}

function toEnd(
  { exitCode, notStarted, output }: Begun,
  endedBy: 'itself' | 'timeout' | 'abort',
): HostProgramState {
  const head = Buffer.from(output)
  const wasEnded = endedBy !== 'itself'
  return {
    kind: 'ended',
    exitCode: wasEnded || notStarted !== null ? null : exitCode,
    signal: wasEnded ? 'SIGTERM' : null,
    endedBy,
    notStarted,
    head,
    tail: Buffer.alloc(0),
    bytes: head.length,
  }
}

/** What is there stays as it is: of any number who write at once the first one counts. */
async function writeOnce(folder: string, path: string, text: string): Promise<void> {
  const fresh = `${path}.${crypto.randomUUID()}`
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeFile(fresh, text, { mode: 0o600 })
    await link(fresh, path)
  } catch (cause) {
    if (!hasCode(cause, 'EEXIST')) throw notKept(path, cause)
  } finally {
    await rm(fresh, { force: true })
  }
}

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null
    throw error
  }
}

const hasCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code

const notKept = (path: string, cause: unknown): Outage =>
  new Outage({
    code: 'simulated/state-not-saved',
    message: `The program of the simulated site could not be kept in ${path}`,
    remedy: 'Make room on that file system and check its permissions.',
    cause,
  })
