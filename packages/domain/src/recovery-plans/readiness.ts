// How far one may rely on a machine or a plan: a score, and in one word what it rests on.
import { type Instant, secondsBetween } from '@understudy/base/instant'
import type { Finding } from '../machines/machine.ts'

/** From worst to best. */
export const readinessLevels = ['not-ready', 'doubtful', 'unproven', 'proven'] as const
export type ReadinessLevel = (typeof readinessLevels)[number]

export type LastTest = { readonly at: Instant; readonly passed: boolean }

/** Points of each part; together they are the score. */
export type ReadinessParts = {
  /** 0 to 60. */
  readonly test: number
  /** 0 to 20. */
  readonly lag: number
  /** 0 to 10. */
  readonly drift: number
  /** 0 to 10. */
  readonly preflight: number
}

export type Readiness = {
  readonly level: ReadinessLevel
  /** 0 to 100. */
  readonly score: number
  readonly parts: ReadinessParts
  /** What costs points; none when nothing does. */
  readonly reasons: readonly ReadinessReason[]
}

/** For a person: what it is, and what to do about it. */
export type ReadinessReason = { readonly message: string; readonly remedy: string }

type TestFacts = {
  /** The last one that came to an end, cleaned up or not; null: none ever. */
  readonly lastTest: LastTest | null
  /** A test is due this long after the last one. More than 0. */
  readonly testEverySeconds: number
  /** What is other than it was in the last test, in words: of a machine its hardware, of a plan the plan itself. */
  readonly changesSinceTest: readonly string[]
  /** Of a preflight just now. */
  readonly findings: readonly Pick<Finding, 'level' | 'message' | 'remedy'>[]
  readonly now: Instant
}

export type MachineReadinessFacts = TestFacts & {
  /** Null: no point yet. */
  readonly lagSeconds: number | null
  readonly lagTargetSeconds: number
}

export type PlanReadinessFacts = TestFacts & {
  readonly machines: readonly { readonly name: string; readonly readiness: Readiness }[]
}

/**
 * The readiness of a machine. The score adds up:
 *
 * - **test, 60**: when the last test passed, all of it until the next one is due, then evenly less down to none when three times as
 *   long has gone by. None when it failed or there was none.
 * - **lag, 20**: all of it up to the target, then evenly less down to none at three times the target. None without a point.
 * - **drift, 10**: when the last test passed and nothing has changed since.
 * - **preflight, 10**: each warning costs 2; a blocker costs all.
 *
 * So without a passed test it is 30 at most. The level is
 *
 * - **not-ready** with a blocker or without a point: a failover now would not work;
 * - **doubtful** when the last test failed, or no point is younger than three times the target;
 * - **proven** when the last test passed and is not overdue, nothing has changed since, and the lag is within its target;
 * - **unproven** otherwise: it should work, and nobody has seen it.
 *
 * Pure.
 */
export function machineReadiness(facts: MachineReadinessFacts): Readiness {
  const { lagSeconds, lagTargetSeconds } = facts
  const lag = lagSeconds === null ? 0 : 20 * fading(lagSeconds, lagTargetSeconds)
  return assess(facts, { lag, hasPoint: lagSeconds !== null, reasons: lagReasons(facts) })
}

/**
 * The readiness of a plan: its own by the same formula, from tests of the whole plan and with the lag of its weakest machine; but never
 * better, in score or level, than its weakest machine. Machines that were tested one by one prove no order between them. Pure.
 */
export function planReadiness(facts: PlanReadinessFacts): Readiness {
  const { machines } = facts
  const lag = Math.min(20, ...machines.map(({ readiness }) => readiness.parts.lag))
  const own = assess(facts, { lag, hasPoint: true, reasons: [] })
  const level = worstOf([own.level, ...machines.map(({ readiness }) => readiness.level)])
  return {
    ...own,
    level,
    score: Math.min(own.score, ...machines.map(({ readiness }) => readiness.score)),
    reasons: [
      ...own.reasons,
      ...machines
        .filter(({ readiness }) => readiness.level !== 'proven')
        .map(({ name, readiness }) => ({
          message: `"${name}" is ${wordsOfLevel[readiness.level]}: ${readiness.reasons.map(({ message }) => message).join('; ')}`,
          remedy: [...new Set(readiness.reasons.map(({ remedy }) => remedy))].join(' '),
        })),
    ],
  }
}

export const wordsOfLevel: Record<ReadinessLevel, string> = {
  'not-ready': 'not ready',
  doubtful: 'doubtful',
  unproven: 'unproven',
  proven: 'proven',
}

type LagVerdict = {
  readonly lag: number
  readonly hasPoint: boolean
  readonly reasons: readonly ReadinessReason[]
}

function assess(facts: TestFacts, { lag, hasPoint, reasons }: LagVerdict): Readiness {
  const { lastTest, testEverySeconds, changesSinceTest, findings, now } = facts
  const passed = lastTest?.passed === true
  // A clock that was set back makes no test older than it is, nor younger than new.
  const age = lastTest === null ? 0 : Math.max(0, secondsBetween(lastTest.at, now))
  const blocked = findings.some(({ level }) => level === 'blocker')
  const parts: ReadinessParts = {
    test: passed ? 60 * fading(age, testEverySeconds) : 0,
    lag,
    drift: passed && changesSinceTest.length === 0 ? 10 : 0,
    preflight: blocked ? 0 : Math.max(0, 10 - 2 * findings.length),
  }
  return {
    level: levelOf({
      works: hasPoint && !blocked,
      failed: lastTest?.passed === false,
      hopelessLag: lag === 0,
      seen: passed && age <= testEverySeconds && changesSinceTest.length === 0 && lag === 20,
    }),
    score: Math.round(parts.test + parts.lag + parts.drift + parts.preflight),
    parts,
    reasons: [
      ...testReasons(facts, age),
      ...reasons,
      ...findings.map(({ message, remedy }) => ({ message, remedy })),
    ],
  }
}

/** 1 up to the limit, 0 from three times the limit on, evenly between. */
const fading = (value: number, limit: number): number =>
  value <= limit ? 1 : Math.max(0, 1 - (value - limit) / (2 * limit))

const levelOf = (facts: {
  readonly works: boolean
  readonly failed: boolean
  readonly hopelessLag: boolean
  readonly seen: boolean
}): ReadinessLevel => {
  if (!facts.works) return 'not-ready'
  if (facts.failed || facts.hopelessLag) return 'doubtful'
  return facts.seen ? 'proven' : 'unproven'
}

const worstOf = (levels: readonly ReadinessLevel[]): ReadinessLevel =>
  readinessLevels.find((level) => levels.includes(level)) ?? 'not-ready'

const TEST_IT = 'Run a test: it touches neither the machines nor their replicas.'

function testReasons(
  { lastTest, testEverySeconds, changesSinceTest }: TestFacts,
  age: number,
): readonly ReadinessReason[] {
  if (lastTest === null) return [{ message: 'It has never been tested', remedy: TEST_IT }]
  if (!lastTest.passed)
    return [
      { message: 'The last test failed', remedy: 'Look at what failed in it, mend that, and test again.' },
    ]
  return [
    ...(age > testEverySeconds
      ? [
          {
            message: `The last test is ${inDays(age)} old; one was due after ${inDays(testEverySeconds)}`,
            remedy: 'Run a test, or let a schedule run one.',
          },
        ]
      : []),
    ...changesSinceTest.map((change) => ({
      message: `Changed since the last test: ${change}`,
      remedy: 'Test again: what was proven then was something else.',
    })),
  ]
}

const inDays = (seconds: number): string => {
  const days = Math.floor(seconds / 86_400)
  if (days === 0) return `${Math.floor(seconds / 3600)} h`
  return days === 1 ? '1 day' : `${days} days`
}

function lagReasons({ lagSeconds, lagTargetSeconds }: MachineReadinessFacts): readonly ReadinessReason[] {
  if (lagSeconds === null)
    return [{ message: 'It has no recovery point yet', remedy: 'Wait for the end of its first copy.' }]
  if (lagSeconds <= lagTargetSeconds) return []
  return [
    {
      message: `Its newest point is ${Math.round(lagSeconds)} s old; its policy allows ${lagTargetSeconds} s`,
      remedy: 'Look at its protection for what holds it up.',
    },
  ]
}
