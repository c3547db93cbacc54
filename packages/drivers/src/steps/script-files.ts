// What a keeper and whoever waits for it tell each other.
import { join } from 'node:path'
import type { ProcessIdentity } from './process-identity.ts'

export type KeeperOrder = {
  readonly command: string
  readonly arguments: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly workFolder: string
  readonly limitMilliseconds: number
}

/** Who keeps the program. Whoever wrote it first does, and nobody else ever. */
export type Claim = { readonly keeper: ProcessIdentity }

export type ScriptEnd = {
  /** Null: a signal has ended it, or it never began. */
  readonly exitCode: number | null
  readonly signal: string | null
  readonly endedBy: 'itself' | 'timeout' | 'abort'
  /** Why it never began: the code of the system's error. */
  readonly notStarted: string | null
  /** Of both streams, kept or not. */
  readonly bytes: number
}

export const scriptFiles = (folder: string) => ({
  claim: join(folder, 'claim.json'),
  /** The leader of the program's group. */
  script: join(folder, 'script.json'),
  end: join(folder, 'end.json'),
  head: join(folder, 'output-head'),
  tail: join(folder, 'output-tail'),
  /** As it is told: without secrets. Once it is there, what was printed is removed. */
  keptEnd: join(folder, 'end-kept.json'),
  context: join(folder, 'context.json'),
  keeperErrors: join(folder, 'keeper-errors'),
  /** Where the program runs: empty, and its own. */
  work: join(folder, 'work'),
})
