import {
  anyPlan,
  groupId,
  itemId,
  sampleGroup,
  sampleMachine,
  samplePlan,
  sampleStep,
} from '@understudy/simulator/sample-plans'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  addGroup,
  addItem,
  addNeed,
  editGroup,
  editItem,
  editPlan,
  moveGroup,
  moveItem,
  removeGroup,
  removeItem,
  removeNeed,
} from './change-plan.ts'
import type { RecoveryPlan } from './plan.ts'
import { groupParts, isStep, itemsOf, itemsOfPart } from './plan-items.ts'

const shop = samplePlan([
  sampleGroup('data', {
    before: [sampleStep('approve'), sampleStep('announce')],
    machines: [sampleMachine('db'), sampleMachine('cache', { needs: [itemId('db')] })],
    after: [
      sampleStep('probe', {
        needs: [itemId('cache')],
        action: {
          kind: 'probe',
          check: { kind: 'tcp', target: { kind: 'machine', machine: itemId('db') }, port: 5432 },
          until: 'green',
          intervalSeconds: 1,
          timeoutSeconds: 60,
        },
      }),
    ],
  }),
  sampleGroup('front', { machines: [sampleMachine('web', { needs: [itemId('db'), itemId('probe')] })] }),
])

/** `data: approve announce | db cache | probe` */
const drawn = (plan: RecoveryPlan) =>
  plan.groups.map(
    (group) =>
      `${group.id}: ${groupParts.map((part) => group[part].map(({ id }) => id).join(' ')).join(' | ')}`,
  )
const slot = (group: string, part: 'before' | 'machines' | 'after', index: number) => ({
  groupId: groupId(group),
  part,
  index,
})

describe('moving', () => {
  test.each([
    [
      'a step down in its list',
      'approve',
      slot('data', 'before', 1),
      'data: announce approve | db cache | probe',
    ],
    [
      'a step to the other side',
      'approve',
      slot('data', 'after', 0),
      'data: announce | db cache | approve probe',
    ],
    ['past the end', 'approve', slot('data', 'after', 99), 'data: announce | db cache | probe approve'],
    [
      'before the beginning',
      'cache',
      slot('data', 'machines', -1),
      'data: approve announce | cache db | probe',
    ],
    ['to where it was', 'announce', slot('data', 'before', 1), 'data: approve announce | db cache | probe'],
  ])('%s', (_words, id, to, expected) => {
    expect(drawn(moveItem(shop, itemId(id), to))).toEqual([expected, 'front:  | web | '])
  })

  test('a machine into another group keeps what it needs and who needs it', () => {
    const moved = moveItem(shop, itemId('cache'), slot('front', 'machines', 0))
    expect(drawn(moved)).toEqual(['data: approve announce | db | probe', 'front:  | cache web | '])
    expect(itemsOf(moved).flatMap(({ item }) => item.needs)).toEqual(['cache', 'db', 'db', 'probe'])
  })

  test('a group takes everything in it along', () => {
    expect(drawn(moveGroup(shop, groupId('front'), 0))).toEqual([
      'front:  | web | ',
      'data: approve announce | db cache | probe',
    ])
  })

  test.each([
    ['a step among machines', 'approve', 'machines', 'is a step and cannot stand among the machines'],
    ['a machine before the machines', 'db', 'before', 'cannot stand among the steps before the machines'],
  ] as const)('%s is refused', (_words, id, part, message) => {
    expect(() => moveItem(shop, itemId(id), slot('front', part, 0))).toThrow(message)
  })
})

describe('removing', () => {
  test('an item takes the dependencies on it along and says which, and which steps now act on nothing', () => {
    const { plan, removedNeeds, orphanedSteps } = removeItem(shop, itemId('db'))
    expect(drawn(plan)).toEqual(['data: approve announce | cache | probe', 'front:  | web | '])
    expect(removedNeeds).toEqual([
      { item: 'cache', need: 'db' },
      { item: 'web', need: 'db' },
    ])
    expect(orphanedSteps).toEqual(['probe'])
    expect(itemsOf(plan).flatMap(({ item }) => item.needs)).toEqual(['cache', 'probe'])
  })

  test('a group takes everything in it along, and tells only what others lose by it', () => {
    const { plan, removedNeeds, orphanedSteps } = removeGroup(shop, groupId('data'))
    expect(drawn(plan)).toEqual(['front:  | web | '])
    expect(removedNeeds).toEqual([
      { item: 'web', need: 'db' },
      { item: 'web', need: 'probe' },
    ])
    expect(orphanedSteps).toEqual([])
  })
})

describe('adding and editing', () => {
  test('items and groups go where they are dropped', () => {
    const more = addGroup(shop, sampleGroup('mail', { machines: [sampleMachine('smtp')] }), 1)
    expect(drawn(addItem(more, sampleStep('check'), slot('mail', 'after', 0)))[1]).toBe(
      'mail:  | smtp | check',
    )
  })

  test('an id that is there already is refused, be it inside a group that is added', () => {
    expect(() => addItem(shop, sampleStep('db'), slot('front', 'before', 0))).toThrow(
      '"db" is in the plan already',
    )
    expect(() => addGroup(shop, sampleGroup('x', { machines: [sampleMachine('db')] }), 0)).toThrow(
      '"db" is in',
    )
    expect(() => addGroup(shop, sampleGroup('x', { machines: [sampleMachine('x')] }), 0)).toThrow('"x" is in')
  })

  test('an edited item stays at its place, and no step becomes a machine', () => {
    const edited = editItem(shop, sampleStep('announce', { name: 'Tell everybody' }))
    expect(drawn(edited)).toEqual(drawn(shop))
    expect(itemsOf(edited).find(({ item }) => item.id === 'announce')?.item).toMatchObject({
      name: 'Tell everybody',
    })
    expect(
      editItem(shop, sampleMachine('web', { whenItFails: 'stop' })).groups[1]?.machines[0]?.whenItFails,
    ).toBe('stop')
    expect(() => editItem(shop, sampleMachine('announce'))).toThrow('cannot stand among the steps')
    expect(() => editItem(shop, sampleStep('web'))).toThrow('cannot stand among the machines')
  })

  test('the name of a plan or a group changes alone', () => {
    expect(editPlan(shop, { name: 'Store' })).toEqual({ ...shop, name: 'Store' })
    const edited = editGroup(shop, groupId('front'), { name: 'Front', start: 'at-once' })
    expect(edited.groups[1]).toEqual({ ...shop.groups[1], name: 'Front', start: 'at-once' })
    expect(edited.groups[0]).toBe(shop.groups[0])
  })

  test('a dependency is added once and removed again', () => {
    const need = { item: itemId('cache'), need: itemId('approve') }
    const added = addNeed(addNeed(shop, need), need)
    expect(added.groups[0]?.machines[1]?.needs).toEqual(['db', 'approve'])
    expect(removeNeed(added, need)).toEqual(shop)
  })
})

test.each([
  ['a group', () => moveGroup(shop, groupId('x'), 0)],
  ['a group to edit', () => editGroup(shop, groupId('x'), { name: 'x' })],
  ['a group to remove', () => removeGroup(shop, groupId('x'))],
  ['a place', () => moveItem(shop, itemId('db'), slot('x', 'machines', 0))],
  ['an item', () => moveItem(shop, itemId('x'), slot('data', 'machines', 0))],
  ['an item to edit', () => editItem(shop, sampleStep('x'))],
  ['an item to remove', () => removeItem(shop, itemId('x'))],
  ['an item to wait for', () => addNeed(shop, { item: itemId('db'), need: itemId('x') })],
])('%s that somebody else has removed is refused in words', (_words, edit) => {
  expect(edit).toThrow('any more')
})

describe('any plan', () => {
  const anyDrop = fc.record({
    item: fc.nat(100),
    group: fc.nat(10),
    part: fc.constantFrom('before' as const, 'after' as const),
    index: fc.nat(6),
  })

  test('moves lose nothing, double nothing, edit nothing, and leave the former plan as it was', () => {
    fc.assert(
      fc.property(anyPlan, fc.array(anyDrop, { maxLength: 5 }), (plan, drops) => {
        const before = structuredClone(plan)
        const sorted = (each: RecoveryPlan) =>
          itemsOf(each)
            .map(({ item }) => item)
            .toSorted((one, other) => (one.id < other.id ? -1 : 1))
        let moved = plan
        for (const drop of drops) {
          const items = itemsOf(moved)
          const item = items[drop.item % Math.max(1, items.length)]?.item
          const group = moved.groups[drop.group % moved.groups.length]
          if (!item || !group) continue
          const part = isStep(item) ? drop.part : 'machines'
          moved = moveItem(moved, item.id, { groupId: group.id, part, index: drop.index })
          const others = itemsOfPart(group, part).filter(({ id }) => id !== item.id)
          const now = itemsOf(moved).find((each) => each.item.id === item.id)
          expect(now).toMatchObject({ groupId: group.id, part, index: Math.min(drop.index, others.length) })
        }
        expect(sorted(moved)).toEqual(sorted(plan))
        expect(plan).toEqual(before)
      }),
    )
  })

  test('after any removal nothing waits for what has gone, and all else waits as before', () => {
    fc.assert(
      fc.property(anyPlan, fc.nat(100), (plan, index) => {
        const items = itemsOf(plan)
        const gone = items[index % Math.max(1, items.length)]?.item.id
        if (gone === undefined) return
        const { plan: smaller, removedNeeds } = removeItem(plan, gone)
        expect(itemsOf(smaller)).toHaveLength(items.length - 1)
        const needs = (each: RecoveryPlan) =>
          itemsOf(each).flatMap(({ item }) => item.needs.map((need) => ({ item: item.id, need })))
        expect(needs(smaller)).toEqual(needs(plan).filter(({ item, need }) => item !== gone && need !== gone))
        expect(removedNeeds).toEqual(needs(plan).filter(({ item, need }) => item !== gone && need === gone))
      }),
    )
  })
})
