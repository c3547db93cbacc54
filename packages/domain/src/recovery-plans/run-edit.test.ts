import {
  anyPlan,
  itemId,
  sampleGroup,
  sampleMachine,
  sampleNames,
  samplePlan,
  sampleStep,
} from '@understudy/simulator/sample-plans'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { editGroup, editItem, moveGroup, moveItem, removeItem } from './change-plan.ts'
import type { PlanGroup, RecoveryPlan } from './plan.ts'
import type { ItemId } from './plan-ids.ts'
import { itemsOf } from './plan-items.ts'
import { mergeRunEdit, mustNotStart, startedFindings, withStartedKept } from './run-edit.ts'

const data = sampleGroup('data', {
  before: [sampleStep('announce'), sampleStep('check')],
  machines: [sampleMachine('db')],
  after: [sampleStep('migrate')],
})
const front = sampleGroup('front', { machines: [sampleMachine('web')], after: [sampleStep('smoke')] })
const plan = samplePlan([data, front])
const names = sampleNames(plan)
const started = new Set(['announce', 'check', 'db'].map(itemId))
const found = (after: RecoveryPlan, which = started) =>
  startedFindings(plan, after, { started: which, names }).map(({ at }) => at)
const at = (id: string) => ({ kind: 'item', id })

const renamed = (base: RecoveryPlan, id: string, name: string): RecoveryPlan =>
  editItem(base, { ...sampleStep(id), name })

describe('what has started', () => {
  test.each([
    { what: 'is not changed', after: renamed(plan, 'check', 'Check twice'), spots: [at('check')] },
    { what: 'is not taken out', after: removeItem(plan, itemId('db')).plan, spots: [at('db')] },
    {
      what: 'is not moved among its steps',
      after: moveItem(plan, itemId('check'), { groupId: data.id, part: 'before', index: 0 }),
      spots: [at('announce'), at('check')],
    },
    {
      what: 'keeps its place among the groups',
      after: moveGroup(plan, front.id, 0),
      spots: [at('announce'), at('check'), at('db')],
    },
    {
      what: 'keeps the way in which its group begins',
      after: editGroup(plan, data.id, { start: 'at-once' }),
      spots: [at('announce'), at('check'), at('db')],
    },
  ])('$what', ({ after, spots }) => {
    expect(found(after)).toEqual(spots)
  })

  test('leaves everything behind it free', () => {
    const after = moveItem(renamed(plan, 'migrate', 'Migrate later'), itemId('migrate'), {
      groupId: front.id,
      part: 'before',
      index: 0,
    })
    expect(found(after)).toEqual([])
  })

  test('keeps a group that stands before it there, although nothing of that has started', () => {
    expect(found(moveGroup(plan, data.id, 1), new Set([itemId('smoke')]))).not.toEqual([])
  })

  test('is as it runs, and where it runs, in any edit once that is put right', () => {
    fc.assert(
      fc.property(anyPlan, anyPlan, fc.infiniteStream(fc.boolean()), (kept, edit, choices) => {
        const some = new Set(
          itemsOf(kept)
            .map(({ item }) => item.id)
            .filter(() => choices.next().value === true),
        )
        const put = withStartedKept(kept, edit, some)
        expect(startedFindings(kept, put, { started: some, names: new Map() })).toEqual([])
        const ids = itemsOf(put).map(({ item }) => item.id)
        expect(new Set(ids).size).toBe(ids.length)
        for (const { item } of itemsOf(edit)) expect(ids).toContain(item.id)
      }),
    )
  })
})

describe('what must not start before an edit is kept', () => {
  const idsOf = (of: RecoveryPlan) => itemsOf(of).map(({ item }) => item.id)

  test('is what could not be edited so if it had started', () => {
    fc.assert(
      fc.property(anyPlan, anyPlan, fc.infiniteStream(fc.boolean()), (before, edit, choices) => {
        const some = new Set(idsOf(before).filter(() => choices.next().value === true))
        const couldNot = (id: ItemId) =>
          startedFindings(before, edit, { started: new Set([id]), names: new Map() }).length > 0
        expect(mustNotStart(before, edit, { started: some })).toEqual(
          idsOf(before).filter((id) => !some.has(id) && couldNot(id)),
        )
      }),
    )
  })

  test('is found of a thousand machines at once', () => {
    const machines = Array.from({ length: 1000 }, (_, index) => sampleMachine(`m${index}`))
    const large = samplePlan([sampleGroup('all', { machines })])
    const begun = performance.now()
    expect(mustNotStart(large, removeItem(large, itemId('m7')).plan, { started: new Set() })).toEqual(['m7'])
    expect(performance.now() - begun).toBeLessThan(500)
  })
})

describe('an edit of a run that was overtaken', () => {
  const with_ = (groups: readonly PlanGroup[]): RecoveryPlan => ({ ...plan, groups })

  test('is joined with what somebody else has changed meanwhile', () => {
    const mine = renamed(plan, 'smoke', 'Smoke test')
    const theirs = with_([data, { ...front, before: [sampleStep('tell')] }])
    const merged = mergeRunEdit({ base: plan, mine, theirs, started, names })
    expect(merged).toMatchObject({ kind: 'merged', givenUp: [] })
    expect(merged.kind === 'merged' && merged.plan.groups[1]).toMatchObject({
      before: [{ id: 'tell' }],
      after: [{ name: 'Smoke test' }],
    })
  })

  test('gives up what has begun meanwhile, says so, and keeps the rest', () => {
    const mine = renamed(renamed(plan, 'migrate', 'Other'), 'smoke', 'Smoke test')
    const begun = new Set([...started, itemId('migrate')])
    const merged = mergeRunEdit({ base: plan, mine, theirs: plan, started: begun, names })
    expect(merged).toMatchObject({ kind: 'merged', givenUp: [{ at: at('migrate') }] })
    expect(merged.kind === 'merged' && merged.plan).toEqual(renamed(plan, 'smoke', 'Smoke test'))
  })

  test('that took out what has begun gets it back at its place', () => {
    const mine = removeItem(plan, itemId('migrate')).plan
    const begun = new Set([...started, itemId('migrate')])
    const merged = mergeRunEdit({ base: plan, mine, theirs: plan, started: begun, names })
    expect(merged.kind === 'merged' && merged.plan).toEqual(plan)
  })

  test('does not settle by itself what two people want otherwise', () => {
    const merged = mergeRunEdit({
      base: plan,
      mine: renamed(plan, 'smoke', 'Mine'),
      theirs: renamed(plan, 'smoke', 'Theirs'),
      started,
      names,
    })
    expect(merged).toMatchObject({ kind: 'conflicts', conflicts: [{ at: at('smoke') }] })
  })
})
