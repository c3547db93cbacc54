import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type MachineReadinessFacts,
  machineReadiness,
  planReadiness,
  type Readiness,
  readinessLevels,
} from './readiness.ts'

const day = 86_400
const now = Date.parse('2026-06-01T12:00:00Z')
const tested = (days: number, passed = true) => ({ at: now - days * day * 1000, passed })
const best: MachineReadinessFacts = {
  lastTest: tested(1),
  testEverySeconds: 30 * day,
  changesSinceTest: [],
  findings: [],
  lagSeconds: 5,
  lagTargetSeconds: 30,
  now,
}
const remedy = 'Mend it.'
const warning = { level: 'warning' as const, message: 'Its network has another name', remedy }
const blocker = { level: 'blocker' as const, message: 'The target is out of space', remedy }

const cases: readonly (readonly [string, Partial<MachineReadinessFacts>, string, number])[] = [
  ['tested in time, unchanged, in time', {}, 'proven 100', 0],
  ['never tested', { lastTest: null }, 'unproven 30', 1],
  ['the last test failed', { lastTest: tested(1, false) }, 'doubtful 30', 1],
  ['tested exactly when due', { lastTest: tested(30) }, 'proven 100', 0],
  ['a test half way from due to worthless', { lastTest: tested(60) }, 'unproven 70', 1],
  ['a test that is worthless', { lastTest: tested(90) }, 'unproven 40', 1],
  ['changed since the test', { changesSinceTest: ['4 CPUs instead of 2'] }, 'unproven 90', 1],
  ['a little late', { lagSeconds: 60 }, 'unproven 90', 1],
  ['hopelessly late', { lagSeconds: 90 }, 'doubtful 80', 1],
  ['without a point', { lagSeconds: null }, 'not-ready 80', 1],
  ['two warnings', { findings: [warning, warning] }, 'proven 96', 2],
  ['more warnings than points', { findings: Array<typeof warning>(9).fill(warning) }, 'proven 90', 9],
  ['a blocker', { findings: [blocker, warning] }, 'not-ready 90', 2],
  ['a test that the clock puts into the future', { lastTest: tested(-1) }, 'proven 100', 0],
]

test.each(cases)('a machine: %s', (_words, facts, expected, reasons) => {
  const readiness = machineReadiness({ ...best, ...facts })
  expect(`${readiness.level} ${readiness.score}`).toBe(expected)
  expect(readiness.reasons).toHaveLength(reasons)
})

const messagesOf = ({ reasons }: Readiness) => reasons.map(({ message }) => message)

test('the reasons say what costs points, in words, each with what to do', () => {
  const readiness = machineReadiness({
    ...best,
    lastTest: tested(60),
    changesSinceTest: ['4 CPUs instead of 2'],
    lagSeconds: 60.2,
    findings: [warning],
  })
  expect(readiness.reasons.every(({ remedy }) => remedy.endsWith('.'))).toBe(true)
  expect(messagesOf(readiness)).toEqual([
    'The last test is 60 days old; one was due after 30 days',
    'Changed since the last test: 4 CPUs instead of 2',
    'Its newest point is 60 s old; its policy allows 30 s',
    'Its network has another name',
  ])
})

const anyFacts: fc.Arbitrary<MachineReadinessFacts> = fc.record({
  lastTest: fc.option(
    fc.record({
      at: fc.integer({ min: -200, max: 5 }).map((days) => now + days * day * 1000),
      passed: fc.boolean(),
    }),
  ),
  testEverySeconds: fc.integer({ min: 1, max: 100 * day }),
  changesSinceTest: fc.array(fc.constant('something'), { maxLength: 2 }),
  findings: fc.array(fc.constantFrom(warning, blocker), { maxLength: 6 }),
  lagSeconds: fc.option(fc.nat(500)),
  lagTargetSeconds: fc.integer({ min: 1, max: 300 }),
  now: fc.constant(now),
})

describe('any machine', () => {
  test('only a passed test that is not overdue and that nothing has changed since reaches "proven"', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const { level, score, parts } = machineReadiness(facts)
        const age = facts.lastTest === null ? 0 : (now - facts.lastTest.at) / 1000
        if (level === 'proven') {
          expect(facts.lastTest?.passed).toBe(true)
          expect(age).toBeLessThanOrEqual(facts.testEverySeconds)
          expect(facts.changesSinceTest).toEqual([])
          expect(score).toBeGreaterThanOrEqual(90)
        }
        if (facts.lastTest?.passed !== true) expect(score).toBeLessThanOrEqual(30)
        expect(score).toBe(Math.round(parts.test + parts.lag + parts.drift + parts.preflight))
        expect(score).toBeGreaterThanOrEqual(0)
        expect(score).toBeLessThanOrEqual(100)
      }),
    )
  })

  test('nothing that gets worse ever raises score or level', () => {
    const worse: readonly ((facts: MachineReadinessFacts) => MachineReadinessFacts)[] = [
      (facts) => ({ ...facts, now: facts.now + day * 1000 }),
      (facts) => ({ ...facts, lagSeconds: facts.lagSeconds === null ? null : facts.lagSeconds + 10 }),
      (facts) => ({ ...facts, lagSeconds: null }),
      (facts) => ({ ...facts, changesSinceTest: [...facts.changesSinceTest, 'more'] }),
      (facts) => ({ ...facts, findings: [...facts.findings, warning] }),
      (facts) => ({ ...facts, findings: [...facts.findings, blocker] }),
      (facts) => ({ ...facts, lastTest: facts.lastTest && { ...facts.lastTest, passed: false } }),
    ]
    fc.assert(
      fc.property(anyFacts, fc.constantFrom(...worse), (facts, makeWorse) => {
        const [before, after] = [machineReadiness(facts), machineReadiness(makeWorse(facts))]
        expect(after.score).toBeLessThanOrEqual(before.score)
        expect(readinessLevels.indexOf(after.level)).toBeLessThanOrEqual(
          readinessLevels.indexOf(before.level),
        )
      }),
    )
  })
})

describe('a plan', () => {
  const machine = (name: string, facts: Partial<MachineReadinessFacts> = {}) => ({
    name,
    readiness: machineReadiness({ ...best, ...facts }),
  })
  const { lagSeconds: _lag, lagTargetSeconds: _target, ...tests } = best
  const spoken = ({ level, score }: Readiness) => `${level} ${score}`

  test('a tested plan of proven machines is proven', () => {
    expect(planReadiness({ ...tests, machines: [machine('db'), machine('web')] })).toMatchObject({
      level: 'proven',
      score: 100,
      reasons: [],
    })
  })

  test('machines that were tested one by one do not prove a plan that never was', () => {
    const readiness = planReadiness({ ...tests, lastTest: null, machines: [machine('db'), machine('web')] })
    expect(spoken(readiness)).toBe('unproven 30')
    expect(messagesOf(readiness)).toEqual(['It has never been tested'])
  })

  test('it is no better than its weakest machine, which is named with its reason', () => {
    const readiness = planReadiness({
      ...tests,
      machines: [machine('db', { findings: [blocker], lagSeconds: 60 }), machine('web')],
    })
    expect(spoken(readiness)).toBe('not-ready 80')
    expect(messagesOf(readiness)).toEqual([
      '"db" is not ready: Its newest point is 60 s old; its policy allows 30 s; The target is out of space',
    ])
  })

  test('a plan that was changed since its test is unproven, and says what changed', () => {
    const readiness = planReadiness({
      ...tests,
      changesSinceTest: ['step "dns" added'],
      machines: [machine('db')],
    })
    expect(spoken(readiness)).toBe('unproven 90')
    expect(messagesOf(readiness)).toEqual(['Changed since the last test: step "dns" added'])
  })
})
