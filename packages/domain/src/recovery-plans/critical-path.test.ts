import {
  anyPlan,
  itemId,
  sampleGroup,
  sampleMachine,
  samplePlan,
  sampleStep,
} from '@understudy/simulator/sample-plans'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type ActivityProgress,
  type Duration,
  expectDuration,
  predictPlan,
  type RunProgress,
} from './critical-path.ts'
import type { RecoveryPlan } from './plan.ts'
import type { ItemId } from './plan-ids.ts'
import { itemsOf } from './plan-items.ts'
import { type ActivityState, chooseNext, planActivities } from './schedule-plan.ts'

const planned = { kind: 'planned', direction: 'forward' } as const
const begin = Date.parse('2026-01-01T12:00:00Z')

const durationsOf = (seconds: Record<string, number>, spreadSeconds = 0): ReadonlyMap<ItemId, Duration> =>
  new Map(
    Object.entries(seconds).map(([id, expectedSeconds]) => [itemId(id), { expectedSeconds, spreadSeconds }]),
  )

const shop = samplePlan([
  sampleGroup('data', {
    before: [sampleStep('approve')],
    machines: [sampleMachine('db'), sampleMachine('cache')],
  }),
  sampleGroup('front', { machines: [sampleMachine('web')], after: [sampleStep('switch')] }),
])
const seconds = { approve: 10, db: 60, cache: 20, web: 30, switch: 5 }

const at = (second: number) => begin + second * 1000
const ended = (from: number, to: number, state: ActivityState = 'succeeded'): ActivityProgress => ({
  state,
  startedAt: at(from),
  endedAt: at(to),
})
const predictAt = (
  now: number,
  progress: Record<string, ActivityProgress>,
  plan: RecoveryPlan = shop,
  spread = 0,
) =>
  predictPlan({
    activities: planActivities(plan, planned),
    durations: durationsOf(seconds, spread),
    run: {
      startedAt: begin,
      now: at(now),
      progress: new Map(Object.entries(progress).map(([id, each]) => [itemId(id), each])),
    },
  })

describe('before a run', () => {
  const predict = (plan: RecoveryPlan, spread = 0) =>
    predictPlan({
      activities: planActivities(plan, planned),
      durations: durationsOf(seconds, spread),
      run: null,
    })

  test('the timetable has everything as early as it can be, and what could be later says by how much', () => {
    const { activities, totalSeconds } = predict(shop)
    expect(totalSeconds).toBe(105)
    expect(activities).toEqual([
      { item: 'approve', startSeconds: 0, endSeconds: 10, slackSeconds: 0, critical: true },
      { item: 'db', startSeconds: 10, endSeconds: 70, slackSeconds: 0, critical: true },
      { item: 'cache', startSeconds: 10, endSeconds: 30, slackSeconds: 40, critical: false },
      { item: 'web', startSeconds: 70, endSeconds: 100, slackSeconds: 0, critical: true },
      { item: 'switch', startSeconds: 100, endSeconds: 105, slackSeconds: 0, critical: true },
    ])
  })

  test('the critical path is what decides the end, in order', () => {
    expect(predict(shop).criticalPath).toEqual(['approve', 'db', 'web', 'switch'])
  })

  test('spreads on the critical path add up as independent ones do', () => {
    expect(predict(shop, 3).spreadSeconds).toBeCloseTo(Math.sqrt(4 * 9))
  })

  test('nothing to do takes no time', () => {
    expect(predict(samplePlan([]))).toEqual({
      activities: [],
      criticalPath: [],
      totalSeconds: 0,
      spreadSeconds: 0,
    })
  })
})

describe('during a run', () => {
  test('what took longer moves everything behind it', () => {
    expect(predictAt(40, { approve: ended(0, 40) }).totalSeconds).toBe(135)
  })

  test('what is still running past its time ends now at the earliest, and the estimate follows the clock', () => {
    const late = {
      approve: ended(0, 10),
      db: { state: 'running', startedAt: at(10), endedAt: null },
    } as const
    const running = { ...late, cache: ended(10, 30) }
    expect(predictAt(40, running).totalSeconds).toBe(105)
    expect(predictAt(100, running).totalSeconds).toBe(135)
  })

  test('what should have started and has not starts now', () => {
    expect(predictAt(25, {}).totalSeconds).toBe(130)
  })

  test('another branch becomes critical when it falls behind', () => {
    const { criticalPath, totalSeconds } = predictAt(90, {
      approve: ended(0, 10),
      db: ended(10, 50),
      cache: { state: 'running', startedAt: at(10), endedAt: null },
    })
    expect(criticalPath).toEqual(['approve', 'cache', 'web', 'switch'])
    expect(totalSeconds).toBe(125)
  })

  test('what has failed and holds the plan up has to be done again; what it does not hold up has not', () => {
    const failed = { approve: ended(0, 10), db: ended(10, 15, 'failed'), cache: ended(10, 30) }
    expect(predictAt(30, failed).totalSeconds).toBe(30 + 60 + 35)
    const shrugged = samplePlan([
      sampleGroup('data', { machines: [sampleMachine('db', { whenItFails: 'continue' })] }),
      sampleGroup('front', { machines: [sampleMachine('web')] }),
    ])
    expect(predictAt(15, { db: ended(10, 15, 'failed') }, shrugged).totalSeconds).toBe(45)
  })

  test('what was skipped without ever starting takes no time', () => {
    const skipped = { state: 'skipped', startedAt: null, endedAt: at(10) } as const
    expect(predictAt(10, { approve: ended(0, 10), db: skipped, cache: skipped }).totalSeconds).toBe(45)
  })

  test('what is over no longer adds to the spread', () => {
    expect(predictAt(10, { approve: ended(0, 10) }, shop, 3).spreadSeconds).toBeCloseTo(Math.sqrt(3 * 9))
    const failed = { approve: ended(0, 10), db: ended(10, 15, 'failed') }
    expect(predictAt(15, failed, shop, 3).spreadSeconds).toBeCloseTo(Math.sqrt(3 * 9))
  })

  test('a clock that was set back makes nothing negative', () => {
    const { activities, totalSeconds } = predictAt(-50, { approve: ended(-60, -55) })
    expect(totalSeconds).toBe(95)
    for (const { startSeconds, slackSeconds } of activities) {
      expect(startSeconds).toBeGreaterThanOrEqual(0)
      expect(slackSeconds).toBeGreaterThanOrEqual(0)
    }
  })
})

/** Does what the engine would, with everything taking exactly as long as expected. Slow, and obviously right. */
function simulate(
  plan: RecoveryPlan,
  durations: ReadonlyMap<ItemId, Duration>,
  until = Number.POSITIVE_INFINITY,
) {
  const activities = planActivities(plan, planned)
  const progress = new Map<ItemId, ActivityProgress>()
  const lengthOf = (item: ItemId) => durations.get(item)?.expectedSeconds ?? 0
  let second = 0
  for (;;) {
    const states = new Map([...progress].map(([item, { state }]) => [item, state]))
    const { start, finished } = chooseNext(activities, states)
    for (const item of start) progress.set(item, { state: 'running', startedAt: at(second), endedAt: null })
    const running = [...progress].filter(([, { state }]) => state === 'running')
    const ends = running.map(
      ([item, { startedAt }]) => ((startedAt ?? begin) - begin) / 1000 + lengthOf(item),
    )
    const next = Math.min(...ends)
    if (finished || next > until) return { progress, second }
    second = next
    for (const [item, each] of running)
      if (((each.startedAt ?? begin) - begin) / 1000 + lengthOf(item) === second)
        progress.set(item, { ...each, state: 'succeeded', endedAt: at(second) })
  }
}

const anyTimed = fc
  .tuple(anyPlan, fc.array(fc.nat(100), { minLength: 50, maxLength: 50 }))
  .map(([plan, lengths]) => ({
    plan,
    durations: new Map(
      itemsOf(plan).map(({ item }, index) => [
        item.id,
        { expectedSeconds: 1 + (lengths[index % lengths.length] ?? 0), spreadSeconds: 1 },
      ]),
    ),
  }))

describe('any plan', () => {
  test('takes exactly as long as predicted when everything takes as long as expected, and starts when predicted', () => {
    fc.assert(
      fc.property(anyTimed, ({ plan, durations }) => {
        const prediction = predictPlan({ activities: planActivities(plan, planned), durations, run: null })
        const { progress, second } = simulate(plan, durations)
        expect(prediction.totalSeconds).toBe(second)
        for (const { item, startSeconds, endSeconds } of prediction.activities)
          expect(progress.get(item)).toEqual({
            state: 'succeeded',
            startedAt: at(startSeconds),
            endedAt: at(endSeconds),
          })
      }),
    )
  })

  test('a run that goes as expected keeps its prediction at every moment', () => {
    fc.assert(
      fc.property(anyTimed, fc.nat(300), ({ plan, durations }, moment) => {
        const activities = planActivities(plan, planned)
        const { totalSeconds } = predictPlan({ activities, durations, run: null })
        const now = Math.min(moment, totalSeconds)
        const { progress } = simulate(plan, durations, now)
        const run: RunProgress = { startedAt: begin, now: at(now), progress }
        expect(predictPlan({ activities, durations, run }).totalSeconds).toBe(totalSeconds)
      }),
    )
  })

  test('the parts of the critical path follow each other without a gap and add up to the total, without slack', () => {
    fc.assert(
      fc.property(anyTimed, ({ plan, durations }) => {
        const activities = planActivities(plan, planned)
        const {
          criticalPath,
          totalSeconds,
          activities: rows,
        } = predictPlan({ activities, durations, run: null })
        const lengths = criticalPath.map((item) => durations.get(item)?.expectedSeconds ?? 0)
        expect(lengths.reduce((sum, each) => sum + each, 0)).toBe(totalSeconds)
        for (const { item, slackSeconds, critical } of rows) {
          expect(critical).toBe(criticalPath.includes(item))
          if (critical) expect(slackSeconds).toBe(0)
          expect(slackSeconds).toBeGreaterThanOrEqual(0)
        }
      }),
    )
  })

  test('what takes longer by its slack does not move the end, by a second more it does', () => {
    fc.assert(
      fc.property(anyTimed, fc.nat(49), ({ plan, durations }, index) => {
        const activities = planActivities(plan, planned)
        const { totalSeconds, activities: rows } = predictPlan({ activities, durations, run: null })
        const row = rows[index % Math.max(1, rows.length)]
        if (!row) return
        const totalWith = (more: number) => {
          const longer = new Map(durations)
          const own = durations.get(row.item)?.expectedSeconds ?? 0
          longer.set(row.item, { expectedSeconds: own + more, spreadSeconds: 0 })
          return predictPlan({ activities, durations: longer, run: null }).totalSeconds
        }
        expect(totalWith(row.slackSeconds)).toBe(totalSeconds)
        expect(totalWith(row.slackSeconds + 1)).toBe(totalSeconds + 1)
      }),
    )
  })
})

describe('expectDuration', () => {
  const assumed = { expectedSeconds: 120, spreadSeconds: 60 }

  test.each([
    ['never run before: the assumption', [], { expectedSeconds: 120, spreadSeconds: 60 }],
    ['once: that, and nobody knows how much it varies', [40], { expectedSeconds: 40, spreadSeconds: 60 }],
    [
      'one slow time out of three does not move it',
      [40, 40, 400],
      { expectedSeconds: 40, spreadSeconds: 254.6 },
    ],
    ['two: between them', [40, 50], { expectedSeconds: 45, spreadSeconds: 7.1 }],
    [
      'only the newest ten count',
      [9000, ...Array<number>(10).fill(30)],
      { expectedSeconds: 30, spreadSeconds: 0 },
    ],
  ])('%s', (_words, samples, expected) => {
    const duration = expectDuration(samples, assumed)
    expect(duration.expectedSeconds).toBe(expected.expectedSeconds)
    expect(duration.spreadSeconds).toBeCloseTo(expected.spreadSeconds, 1)
  })
})

test('a plan of 200 machines is estimated often enough to follow a run', () => {
  const plan = samplePlan(
    Array.from({ length: 5 }, (_, index) =>
      sampleGroup(`g${index}`, {
        machines: Array.from({ length: 40 }, (__, position) => sampleMachine(`m${index}-${position}`)),
      }),
    ),
  )
  const activities = planActivities(plan, planned)
  const durations = new Map(
    itemsOf(plan).map(({ item }) => [item.id, { expectedSeconds: 30, spreadSeconds: 5 }]),
  )
  const from = performance.now()
  for (let round = 0; round < 50; round += 1) predictPlan({ activities, durations, run: null })
  expect((performance.now() - from) / 50).toBeLessThan(20)
})
