// One thing that was looked at to see whether a machine would boot elsewhere.
import { warning } from '../machines/finding.ts'
import type { Finding } from '../machines/machine.ts'

/**
 * - `blocker`: it would not start, or nobody would reach it.
 * - `warning`: it would start, and something of it would be missing or late.
 * - `unknown`: it could not be looked at; nothing is claimed.
 * - `note`: good to have, and it works without.
 * - `passed`: it was looked at and is as it has to be.
 */
export const bootOutcomes = ['blocker', 'warning', 'unknown', 'note', 'passed'] as const
export type BootOutcome = (typeof bootOutcomes)[number]

export type BootFinding = {
  readonly outcome: BootOutcome
  readonly code: string
  /** What is looked at. */
  readonly title: string
  /** What was found, and why it matters. */
  readonly message: string
  /** Null: nothing is to be done. */
  readonly remedy: string | null
  /** Lines for a shell inside the machine that do it; null: there is nothing to copy. */
  readonly commands: string | null
}

/** The gravest of them; nothing at all was looked at: unknown. Pure. */
export const verdictOf = (findings: readonly Pick<BootFinding, 'outcome'>[]): BootOutcome =>
  bootOutcomes.find((outcome) => findings.some((finding) => finding.outcome === outcome)) ?? 'unknown'

/**
 * What of it belongs among the findings of a target: as warnings, because the machine itself was asked and not the target, and a failover
 * may be wanted all the same. Pure.
 */
export const toPreflight = (findings: readonly BootFinding[]): readonly Finding[] =>
  findings
    .filter(({ outcome }) => outcome === 'blocker' || outcome === 'warning')
    .map(({ outcome, code, message, remedy, commands }) =>
      warning(
        code,
        outcome === 'blocker' ? `It would not start there, or not be reached: ${message}` : message,
        [remedy ?? '', commands === null ? '' : 'The commands are on its page under "Boot preparation".']
          .filter((part) => part !== '')
          .join(' '),
      ),
    )

type Words = Pick<BootFinding, 'code' | 'title' | 'message'>
type Remedy = { readonly remedy: string; readonly commands?: string | null }

export const passed = (words: Words): BootFinding => ({
  outcome: 'passed',
  ...words,
  remedy: null,
  commands: null,
})

export const found = (
  outcome: Exclude<BootOutcome, 'passed'>,
  words: Words,
  { remedy, commands = null }: Remedy,
): BootFinding => ({ outcome, ...words, remedy, commands })
