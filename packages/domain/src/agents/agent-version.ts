// Which versions of agent and control plane work together, and which program an agent may be given in place of its own.
import type { Agent } from './agent.ts'

type Version = readonly [major: number, minor: number, patch: number]

/** `1`, `1.2` or `1.2.3`, whatever follows. Null: it is none. */
function parse(text: string): Version | null {
  const found = /^(\d{1,6})(?:\.(\d{1,6}))?(?:\.(\d{1,6}))?(?![\d.])/.exec(text)
  return found && [Number(found[1]), Number(found[2] ?? 0), Number(found[3] ?? 0)]
}

/** False as well where one of them is no version. */
export function isNewer(one: string, other: string): boolean {
  const [a, b] = [parse(one), parse(other)]
  if (a === null || b === null) return false
  return a[0] !== b[0] ? a[0] > b[0] : a[1] !== b[1] ? a[1] > b[1] : a[2] > b[2]
}

export type Skew = 'near' | 'too-old' | 'too-new'

/** How an agent of that version stands to us: of one minor release more or less it works. What names no version is too old to be known. */
export function judgeSkew(ours: string, theirs: string): Skew {
  const [us, them] = [parse(ours), parse(theirs)]
  if (us === null || them === null) return 'too-old'
  if (us[0] !== them[0]) return them[0] < us[0] ? 'too-old' : 'too-new'
  const releases = them[1] - us[1]
  return Math.abs(releases) <= 1 ? 'near' : releases < 0 ? 'too-old' : 'too-new'
}

export type Upgrade = {
  /** That is offered in place of its own. */
  readonly version: string
  /** Null: it may be asked for. */
  readonly whyNot: string | null
}

const BY_HAND =
  'Run the command of a new invitation on its server: it exchanges the program and keeps the agent.'

/** Null: nothing newer is offered. `offered`: the version for its platform, where there is one. */
export function judgeUpgrade(
  { version, facts, revokedAt }: Pick<Agent, 'version' | 'facts' | 'revokedAt'>,
  offered: (platform: string) => string | null,
): Upgrade | null {
  if (revokedAt !== null) return null
  const { program } = facts
  // One that does not say is of a time when there were programs of Linux only.
  const newest = offered(program?.platform ?? `linux-${facts.architecture}`)
  if (newest === null || !isNewer(newest, version)) return null
  if (program === undefined)
    return { version: newest, whyNot: `This agent is too old to do it by itself. ${BY_HAND}` }
  return { version: newest, whyNot: program.fixedBecause }
}
