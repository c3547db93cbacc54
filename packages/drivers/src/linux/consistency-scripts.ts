// Programs of the administrator that bring applications to rest before an instant, and let them go on after it.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isAbort, toFailureReport } from '@understudy/base/errors'
import { runCommand } from './run-command.ts'

export type ScriptsFolder = {
  /** Holds `pre.d` and `post.d`. */
  readonly folder: string
  /** For each of them. */
  readonly seconds: number
}

const NOTE_CHARACTERS = 300

export const hasPreScripts = async (scripts: ScriptsFolder): Promise<boolean> =>
  (await executablesIn(scripts, 'pre.d')).length > 0

/**
 * All in order of their names. Null: every one ended with 0. Else what went wrong, for a person; the first failure of `pre.d` is the last
 * one tried, while every one of `post.d` is run.
 */
export async function runScripts(
  scripts: ScriptsFolder,
  when: 'pre.d' | 'post.d',
  signal?: AbortSignal,
): Promise<string | null> {
  const failures: string[] = []
  for (const { path, fault } of await executablesIn(scripts, when)) {
    const failure = fault ?? (await runOne(path, scripts.seconds, signal))
    if (failure === null) continue
    failures.push(failure)
    if (when === 'pre.d') break
  }
  return failures.length === 0 ? null : failures.join('; ')
}

async function runOne(path: string, seconds: number, signal?: AbortSignal): Promise<string | null> {
  try {
    const { code, output } = await runCommand(path, [], { seconds, signal })
    if (code === 0) return null
    const said = output.trim().slice(0, NOTE_CHARACTERS)
    const end = code === null ? `was ended after ${seconds} s` : `ended with ${code}`
    return `${path} ${end}${said === '' ? '' : `: ${said}`}`
  } catch (error) {
    if (isAbort(error)) throw error
    return `${path}: ${toFailureReport(error).message}`
  }
}

type Script = {
  readonly path: string
  /** Why it is not run. */
  readonly fault: string | null
}

async function executablesIn(
  { folder }: ScriptsFolder,
  when: 'pre.d' | 'post.d',
): Promise<readonly Script[]> {
  const place = join(folder, when)
  const names = await readdir(place).catch(() => [])
  // Usually there is no such folder at all.
  if (names.length === 0) return []
  const open = (await faultOf(folder)) ?? (await faultOf(place))
  const found: Script[] = []
  for (const name of names.sort()) {
    const path = join(place, name)
    const facts = await stat(path).catch(() => null)
    if (!facts?.isFile() || (facts.mode & 0o111) === 0) continue
    found.push({ path, fault: open ?? (await faultOf(path)) })
  }
  return found
}

/** What is run as root is nobody else's to change. Null: it is not. */
async function faultOf(path: string): Promise<string | null> {
  const { uid, mode } = await stat(path)
  if (uid !== 0 && uid !== process.geteuid?.()) return `${path} was not run: it does not belong to root`
  if ((mode & 0o022) !== 0) return `${path} was not run: others than its owner may change it`
  return null
}
