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

export const hasPreScripts = async ({ folder }: ScriptsFolder): Promise<boolean> =>
  (await executablesIn(join(folder, 'pre.d'))).length > 0

/**
 * All in order of their names. Null: every one ended with 0. Else what went wrong, for a person; the first failure of `pre.d` is the last
 * one tried, while every one of `post.d` is run.
 */
export async function runScripts(
  { folder, seconds }: ScriptsFolder,
  when: 'pre.d' | 'post.d',
  signal?: AbortSignal,
): Promise<string | null> {
  const failures: string[] = []
  for (const path of await executablesIn(join(folder, when))) {
    const failure = await runOne(path, seconds, signal)
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
    const end = code === null ? `did not end within ${seconds} s` : `ended with ${code}`
    return `${path} ${end}${said === '' ? '' : `: ${said}`}`
  } catch (error) {
    if (isAbort(error)) throw error
    return `${path}: ${toFailureReport(error).message}`
  }
}

async function executablesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch(() => [])
  const found: string[] = []
  for (const name of names.sort()) {
    const path = join(folder, name)
    const facts = await stat(path).catch(() => null)
    if (facts?.isFile() && (facts.mode & 0o111) !== 0) found.push(path)
  }
  return found
}
