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
import { directions, type PlanStep, planRunKinds, type RecoveryPlan } from './plan.ts'
import type { ItemId } from './plan-ids.ts'
import { isStep, itemsOf, needsOf, type PlacedItem } from './plan-items.ts'
import { isOrderedAfter } from './plan-order.ts'
import { type ActivityState, activityLife, chooseNext, planActivities, runsFor } from './schedule-plan.ts'

const planned = { kind: 'planned', direction: 'forward' } as const
const tested = { kind: 'test', direction: 'forward' } as const

const statesOf = (states: Record<string, ActivityState>): ReadonlyMap<ItemId, ActivityState> =>
  new Map(Object.entries(states).map(([id, state]) => [itemId(id), state]))

const next = (
  plan: RecoveryPlan,
  states: Record<string, ActivityState>,
  purpose: typeof planned | typeof tested = planned,
) => chooseNext(planActivities(plan, purpose), statesOf(states))

const shop = samplePlan([
  sampleGroup('data', {
    before: [sampleStep('approve'), sampleStep('announce')],
    machines: [
      sampleMachine('db'),
      sampleMachine('cache'),
      sampleMachine('replica', { needs: [itemId('db')] }),
    ],
    after: [sampleStep('check')],
  }),
  sampleGroup('front', { machines: [sampleMachine('web')] }),
  sampleGroup('mail', { start: 'at-once', machines: [sampleMachine('smtp')] }),
])

describe('the order of a plan', () => {
  test('before steps go one by one, machines together, a group waits for the former, an at-once group does not', () => {
    expect(next(shop, {}).start).toEqual(['approve', 'smtp'])
    expect(next(shop, { approve: 'succeeded', smtp: 'running' }).start).toEqual(['announce'])
    const begun = { approve: 'succeeded', announce: 'succeeded', smtp: 'succeeded' } as const
    expect(next(shop, begun).start).toEqual(['db', 'cache'])
    expect(next(shop, { ...begun, cache: 'running', db: 'succeeded' }).start).toEqual(['replica'])
    const up = { ...begun, cache: 'succeeded', db: 'succeeded', replica: 'succeeded' } as const
    expect(next(shop, up).start).toEqual(['check'])
    expect(next(shop, { ...up, check: 'succeeded' }).start).toEqual(['web'])
    expect(next(shop, { ...up, check: 'succeeded', web: 'running' })).toEqual({
      start: [],
      asking: [],
      stoppedBy: [],
      finished: false,
    })
    expect(next(shop, { ...up, check: 'succeeded', web: 'skipped' }).finished).toBe(true)
  })

  test('a step that acts on a machine waits for it, though it stands in a group that begins at once', () => {
    const probe = sampleStep('probe', {
      action: {
        kind: 'probe',
        check: { kind: 'tcp', target: { kind: 'machine', machine: itemId('db') }, port: 5432 },
        until: 'green',
        intervalSeconds: 1,
        timeoutSeconds: 60,
      },
    })
    const plan = samplePlan([
      sampleGroup('data', { machines: [sampleMachine('db')] }),
      sampleGroup('checks', { start: 'at-once', before: [probe] }),
    ])
    expect(next(plan, {}).start).toEqual(['db'])
    expect(next(plan, { db: 'succeeded' }).start).toEqual(['probe'])
  })

  test('a step that is left out passes its order on', () => {
    const onlyPlanned = { kinds: ['planned' as const] }
    const plan = samplePlan([
      sampleGroup('data', {
        before: [sampleStep('one'), sampleStep('two', onlyPlanned), sampleStep('three')],
        machines: [sampleMachine('web', { needs: [itemId('two')] })],
      }),
    ])
    expect(next(plan, { one: 'running' }, tested).start).toEqual([])
    expect(next(plan, { one: 'succeeded' }, tested).start).toEqual(['three'])
    expect(next(plan, { one: 'succeeded', three: 'succeeded' }, tested).start).toEqual(['web'])
    expect(next(plan, { one: 'succeeded' }, planned).start).toEqual(['two'])
  })

  test.each(planRunKinds)('a step runs for exactly the kinds and directions it names: %s', (kind) => {
    const step = sampleStep('x', { kinds: [kind], directions: ['reverse'] })
    for (const other of planRunKinds)
      for (const direction of directions)
        expect(runsFor(step, { kind: other, direction })).toBe(other === kind && direction === 'reverse')
  })

  test('a plan without anything to do is finished at once', () => {
    expect(next(samplePlan([sampleGroup('empty')]), {}).finished).toBe(true)
    expect(next(samplePlan([]), {}).finished).toBe(true)
  })
})

describe('what has failed', () => {
  const withFate = (whenItFails: PlanStep['whenItFails']) =>
    samplePlan([
      sampleGroup('data', { machines: [sampleMachine('db', { whenItFails }), sampleMachine('cache')] }),
      sampleGroup('front', { machines: [sampleMachine('web')] }),
      sampleGroup('mail', {
        start: 'at-once',
        before: [sampleStep('wait')],
        machines: [sampleMachine('smtp')],
      }),
    ])
  const failed = { db: 'failed', cache: 'succeeded', wait: 'succeeded' } as const

  test('"stop" starts nothing more, also what did not need it', () => {
    expect(next(withFate('stop'), failed)).toEqual({
      start: [],
      asking: [],
      stoppedBy: ['db'],
      finished: false,
    })
  })

  test('"continue" goes on as if it had succeeded', () => {
    expect(next(withFate('continue'), failed).start).toEqual(['smtp', 'web'])
  })

  test('"ask" holds what needs it and lets the rest go on; tried again or skipped it holds nothing', () => {
    expect(next(withFate('ask'), failed)).toEqual({
      start: ['smtp'],
      asking: ['db'],
      stoppedBy: [],
      finished: false,
    })
    expect(next(withFate('ask'), { ...failed, db: 'running' }).asking).toEqual([])
    expect(next(withFate('ask'), { ...failed, db: 'skipped' }).start).toEqual(['smtp', 'web'])
  })

  test('what has succeeded or was skipped is never done again', () => {
    expect(activityLife.states.filter((state) => activityLife.allows(state, 'running'))).toEqual([
      'pending',
      'failed',
    ])
  })
})

test.each([
  [
    'waits for each other',
    samplePlan([sampleGroup('g', { machines: [sampleMachine('a', { needs: [itemId('a')] })] })]),
  ],
  [
    'have the same id',
    samplePlan([sampleGroup('g', { machines: [sampleMachine('a'), sampleMachine('a')] })]),
  ],
  [
    'is not in it',
    samplePlan([sampleGroup('g', { machines: [sampleMachine('a', { needs: [itemId('b')] })] })]),
  ],
])('a plan in which something %s is refused, not run for ever', (_words, plan) => {
  expect(() => planActivities(plan, planned)).toThrow('cannot be run')
})

const anyPurpose = fc.record({
  kind: fc.constantFrom(...planRunKinds),
  direction: fc.constantFrom(...directions),
})

/** The slow and obvious rule: everything that must be done before, through what is left out too. */
function mustBeBefore(plan: RecoveryPlan, item: PlacedItem): ReadonlySet<ItemId> {
  const places = itemsOf(plan)
  const found = new Set<ItemId>()
  const look = (at: PlacedItem): void => {
    for (const other of places)
      if (
        !found.has(other.item.id) &&
        (needsOf(at.item).includes(other.item.id) || isOrderedAfter(plan, at, other))
      ) {
        found.add(other.item.id)
        look(other)
      }
  }
  look(item)
  return found
}

describe('any plan', () => {
  test('everything that is for this run starts exactly once, nothing else does, and nothing before what it needs', () => {
    fc.assert(
      fc.property(anyPlan, anyPurpose, fc.infiniteStream(fc.nat(1000)), (plan, purpose, chance) => {
        const activities = planActivities(plan, purpose)
        const states = new Map<ItemId, ActivityState>()
        const places = itemsOf(plan)
        const wanted = places.filter(({ item }) => !isStep(item) || runsFor(item, purpose))
        const wantedIds = new Set(wanted.map(({ item }) => item.id))
        for (let round = 0; round <= 2 * wanted.length + 1; round += 1) {
          const { start, finished } = chooseNext(activities, states)
          for (const id of start) {
            expect(states.has(id)).toBe(false)
            expect(wantedIds.has(id)).toBe(true)
            const place = wanted.find(({ item }) => item.id === id)
            if (place)
              for (const need of mustBeBefore(plan, place))
                if (wantedIds.has(need)) expect(states.get(need)).toBe('succeeded')
            states.set(id, 'running')
          }
          const running = [...states].filter(([, state]) => state === 'running').map(([id]) => id)
          expect(finished).toBe(states.size === wanted.length && running.length === 0)
          if (finished) return
          // Something always runs, or nothing could ever end the run.
          const ended = running[(chance.next().value ?? 0) % running.length]
          if (ended === undefined) throw new Error('Nothing runs and nothing may start')
          states.set(ended, 'succeeded')
        }
        throw new Error('It did not end')
      }),
    )
  })

  test('what may start is exactly what has everything before it done: nothing waits without need', () => {
    fc.assert(
      fc.property(anyPlan, anyPurpose, fc.infiniteStream(fc.boolean()), (plan, purpose, coins) => {
        const states = new Map<ItemId, ActivityState>()
        const places = itemsOf(plan).filter(({ item }) => !isStep(item) || runsFor(item, purpose))
        const here = new Set(places.map(({ item }) => item.id))
        const isFree = (place: PlacedItem) =>
          [...mustBeBefore(plan, place)].every((need) => !here.has(need) || states.get(need) === 'succeeded')
        for (const { id } of places.map(({ item }) => item)) {
          const place = places.find(({ item }) => item.id === id)
          if (place && isFree(place) && coins.next().value) states.set(id, 'succeeded')
        }
        const expected = places.filter((place) => !states.has(place.item.id) && isFree(place))
        expect(new Set(chooseNext(planActivities(plan, purpose), states).start)).toEqual(
          new Set(expected.map(({ item }) => item.id)),
        )
      }),
    )
  })
})

test('the order between 200 machines in two groups costs edges in proportion to the machines, not to their pairs', () => {
  const machines = (group: string) =>
    Array.from({ length: 100 }, (_, index) => sampleMachine(`${group}-${index}`))
  const plan = samplePlan(['a', 'b'].map((id) => sampleGroup(id, { machines: machines(id) })))
  const activities = planActivities(plan, planned)
  expect(activities.reduce((edges, { needs }) => edges + needs.length, 0)).toBeLessThan(3 * 200)
  const states = new Map(machines('a').map(({ id }) => [id, 'succeeded' as const]))
  expect(chooseNext(activities, states).start).toHaveLength(100)
})
