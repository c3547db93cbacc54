// What is wrong, as this page sees it at once and as the server saw it a moment ago. Pure.
import type { PlanFinding } from '@understudy/contract/recovery-plan'

export type Spot = PlanFinding['at']

export const keyOfSpot = (at: Spot): string =>
  at.kind === 'plan' ? 'plan' : `${at.kind} ${at.kind === 'parameter' ? at.name : at.id}`

const keyOf = ({ at, code, message }: PlanFinding): string => `${keyOfSpot(at)} ${code} ${message}`

type Sides = {
  /** Of the plan as it is now. */
  readonly own: readonly PlanFinding[]
  /** Of the plan that the server was asked about, by our own rules. */
  readonly ownThen: readonly PlanFinding[]
  /** What the server said of that one: our own rules, and what only it can know. */
  readonly servers: readonly PlanFinding[]
}

/** Our own are of this very moment; of the server's only what our rules could not know, or it would stay after it was mended. */
export function joinFindings({ own, ownThen, servers }: Sides): readonly PlanFinding[] {
  const known = new Set([...own, ...ownThen].map(keyOf))
  return [...own, ...servers.filter((finding) => !known.has(keyOf(finding)))]
}

export function findingsBySpot(
  findings: readonly PlanFinding[],
): ReadonlyMap<string, readonly PlanFinding[]> {
  const bySpot = new Map<string, PlanFinding[]>()
  for (const finding of findings) {
    const key = keyOfSpot(finding.at)
    const there = bySpot.get(key)
    if (there) there.push(finding)
    else bySpot.set(key, [finding])
  }
  return bySpot
}

/** `2 blockers, 1 warning`; null: nothing is wrong. */
export function wordsOfFindings(findings: readonly Pick<PlanFinding, 'level'>[]): string | null {
  const blockers = findings.filter(({ level }) => level === 'blocker').length
  const words = [counted(blockers, 'blocker'), counted(findings.length - blockers, 'warning')].filter(Boolean)
  return words.length === 0 ? null : words.join(', ')
}

const counted = (count: number, word: string): string =>
  count === 0 ? '' : `${count} ${word}${count === 1 ? '' : 's'}`
