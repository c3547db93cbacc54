import {
  anyPlan,
  groupId,
  itemId,
  sampleGroup,
  sampleMachine,
  sampleNames,
  sampleParameter,
  samplePlan,
  sampleStep,
} from '@understudy/simulator/sample-plans'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ProtectionId } from '../protection/protection.ts'
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
} from './change-plan.ts'
import { diffPlans } from './diff-plans.ts'
import { mergePlans } from './merge-plans.ts'
import type { RecoveryPlan } from './plan.ts'
import { groupParts, isStep, itemsOf } from './plan-items.ts'

const base = samplePlan(
  [
    sampleGroup('data', {
      before: [sampleStep('approve'), sampleStep('announce'), sampleStep('drain')],
      machines: [sampleMachine('db'), sampleMachine('cache', { needs: [itemId('db')] })],
    }),
    sampleGroup('front', { before: [sampleStep('warn')], machines: [sampleMachine('web')] }),
    sampleGroup('mail', { machines: [sampleMachine('smtp')] }),
  ],
  { parameters: [sampleParameter('zone')] },
)
const slot = (group: string, part: 'before' | 'machines' | 'after', index: number) => ({
  groupId: groupId(group),
  part,
  index,
})
const waiting = (id: string, seconds: number) => sampleStep(id, { action: { kind: 'wait', seconds } })
const using = (parameter: string) =>
  sampleStep('tell', {
    action: {
      kind: 'manual',
      instructions: `Look at {{${parameter}}}`,
      assigneeRole: 'operator',
      timeoutSeconds: 60,
      whenTimedOut: 'fail',
    },
  })

const merged = (mine: RecoveryPlan, theirs: RecoveryPlan, from = base) =>
  mergePlans({
    base: from,
    mine,
    theirs,
    names: new Map([...sampleNames(from), ...sampleNames(mine), ...sampleNames(theirs)]),
  })
const planOf = (result: ReturnType<typeof merged>): RecoveryPlan => {
  if (result.kind === 'conflicts') throw new Error(result.conflicts.map(({ message }) => message).join('; '))
  return result.plan
}
const messagesOf = (result: ReturnType<typeof merged>) =>
  result.kind === 'conflicts' ? result.conflicts.map(({ message }) => message) : []
const drawn = (plan: RecoveryPlan) =>
  plan.groups.map(
    (group) =>
      `${group.id}: ${groupParts.map((part) => group[part].map(({ id }) => id).join(' ')).join(' | ')}`,
  )

describe('what both meant', () => {
  test('edits of different things, and of different settings of one thing, go together', () => {
    const mine = editItem(editPlan(base, { priority: 9 }), sampleMachine('web', { whenItFails: 'stop' }))
    const theirs = addNeed(editPlan(base, { name: 'Store' }), { item: itemId('web'), need: itemId('db') })
    const plan = planOf(merged(mine, theirs))
    expect(plan).toMatchObject({ name: 'Store', priority: 9 })
    expect(plan.groups[1]?.machines[0]).toMatchObject({ whenItFails: 'stop', needs: ['db'] })
  })

  test('an item that one moved and the other edited is edited at its new place', () => {
    const plan = planOf(
      merged(moveItem(base, itemId('drain'), slot('front', 'after', 0)), editItem(base, waiting('drain', 9))),
    )
    expect(drawn(plan)[1]).toBe('front: warn | web | drain')
    expect(plan.groups[1]?.after[0]?.action).toEqual({ kind: 'wait', seconds: 9 })
  })

  test('what both added stands beside the neighbours that each gave it', () => {
    const mine = addItem(base, waiting('mine', 1), slot('data', 'before', 1))
    const theirs = addItem(base, waiting('theirs', 1), slot('data', 'before', 3))
    expect(drawn(planOf(merged(mine, theirs)))[0]).toBe(
      'data: approve mine announce drain theirs | db cache | ',
    )
  })

  test('one reorders the groups and the other adds one', () => {
    const theirs = addGroup(base, sampleGroup('files', { machines: [sampleMachine('nas')] }), 1)
    expect(drawn(planOf(merged(moveGroup(base, groupId('mail'), 0), theirs)))).toEqual([
      'mail:  | smtp | ',
      'data: approve announce drain | db cache | ',
      'files:  | nas | ',
      'front: warn | web | ',
    ])
  })

  test('one removes a machine, and a dependency on it goes though the other has edited what had it', () => {
    const mine = removeItem(base, itemId('db')).plan
    const theirs = editItem(base, sampleMachine('cache', { needs: [itemId('db')], whenItFails: 'stop' }))
    expect(planOf(merged(mine, theirs)).groups[0]?.machines).toEqual([
      sampleMachine('cache', { whenItFails: 'stop' }),
    ])
  })

  test('one empties a group and removes it while the other edits what was in it', () => {
    const mine = removeGroup(
      moveItem(base, itemId('smtp'), slot('front', 'machines', 1)),
      groupId('mail'),
    ).plan
    const theirs = editItem(base, sampleMachine('smtp', { whenItFails: 'continue' }))
    const plan = planOf(merged(mine, theirs))
    expect(drawn(plan)).toEqual(['data: approve announce drain | db cache | ', 'front: warn | web smtp | '])
    expect(plan.groups[1]?.machines[1]?.whenItFails).toBe('continue')
  })

  test('parameters that each has added are both there', () => {
    const withParameter = (name: string) =>
      editPlan(base, { parameters: [...base.parameters, sampleParameter(name)] })
    expect(
      planOf(merged(withParameter('a'), withParameter('b')))
        .parameters.map(({ name }) => name)
        .toSorted(),
    ).toEqual(['a', 'b', 'zone'])
  })

  test('a fault that was there before does not stand in the way, whoever renames what has it', () => {
    const faulty = addItem(base, waiting('idle', 0), slot('mail', 'after', 0))
    const theirs = editItem(faulty, { ...waiting('idle', 0), name: 'Rest' })
    expect(merged(editPlan(faulty, { priority: 1 }), theirs, faulty).kind).toBe('merged')
  })

  test('machines of a group in two orders are no conflict: they start together', () => {
    const three = addItem(base, sampleMachine('replica'), slot('data', 'machines', 2))
    const mine = moveItem(three, itemId('cache'), slot('data', 'machines', 0))
    const theirs = moveItem(three, itemId('replica'), slot('data', 'machines', 0))
    expect(merged(mine, theirs, three).kind).toBe('merged')
  })
})

const withOther = (parameter: string) =>
  editPlan(base, { parameters: [sampleParameter('zone', { default: parameter })] })

const conflicts: readonly (readonly [string, RecoveryPlan, RecoveryPlan, string])[] = [
  [
    'the same setting in two ways',
    editPlan(base, { targetRtoSeconds: 60 }),
    editPlan(base, { targetRtoSeconds: null }),
    'You changed the target RTO to 60 s, somebody else to none',
  ],
  [
    'what a step does, in two ways',
    editItem(base, waiting('drain', 5)),
    editItem(base, waiting('drain', 6)),
    'You changed what step "drain" does to wait: time 5 s, somebody else to wait: time 6 s',
  ],
  [
    'an item moved to two places',
    moveItem(base, itemId('drain'), slot('front', 'after', 0)),
    moveItem(base, itemId('drain'), slot('mail', 'before', 0)),
    'You changed the place of step "drain" to after the machines of "front", somebody else to before the machines of "mail"',
  ],
  [
    'steps in two orders',
    moveItem(base, itemId('drain'), slot('data', 'before', 0)),
    moveItem(base, itemId('approve'), slot('data', 'before', 1)),
    'You and somebody else have put the steps before the machines into different orders',
  ],
  [
    'one step moved to two places of one list',
    moveItem(base, itemId('drain'), slot('front', 'before', 0)),
    moveItem(base, itemId('drain'), slot('front', 'before', 1)),
    'You and somebody else have put the steps before the machines into different orders',
  ],
  [
    'groups in two orders',
    moveGroup(base, groupId('mail'), 0),
    moveGroup(base, groupId('data'), 1),
    'You and somebody else have put the groups into different orders',
  ],
  [
    'removed here, edited there',
    removeItem(base, itemId('drain')).plan,
    editItem(base, waiting('drain', 5)),
    'You removed step "drain", which somebody else has changed',
  ],
  [
    'removed there, moved here',
    moveItem(base, itemId('drain'), slot('mail', 'before', 0)),
    removeItem(base, itemId('drain')).plan,
    'Somebody else removed step "drain", which you have changed',
  ],
  [
    'a group removed here and filled there',
    removeGroup(base, groupId('mail')).plan,
    addItem(base, sampleMachine('imap'), slot('mail', 'machines', 1)),
    'You removed the group "mail", which somebody else has changed',
  ],
  [
    'a group renamed in two ways',
    editGroup(base, groupId('mail'), { name: 'Post' }),
    editGroup(base, groupId('mail'), { name: 'Letters' }),
    'You changed the name of the group "Post" to "Post", somebody else to "Letters"',
  ],
  [
    'a parameter in two ways',
    withOther('a'),
    withOther('b'),
    'You changed the parameter "zone" to text, default "a", asked at the start, somebody else to text, default "b", asked at the start',
  ],
  [
    'two things of one id',
    addItem(base, waiting('new', 1), slot('mail', 'after', 0)),
    addItem(base, waiting('new', 2), slot('mail', 'after', 0)),
    'You and somebody else have both made something of the id "new"',
  ],
  [
    'a need of what the other has removed',
    removeItem(base, itemId('smtp')).plan,
    addNeed(moveGroup(base, groupId('mail'), 0), { item: itemId('web'), need: itemId('smtp') }),
    'Together with what somebody else has changed: "web" waits for "smtp", which is not in the plan',
  ],
  [
    'one machine in two places',
    addItem(
      base,
      sampleMachine('nas1', { protectionId: 'nas' as ProtectionId }),
      slot('front', 'machines', 0),
    ),
    addItem(
      base,
      sampleMachine('nas2', { protectionId: 'nas' as ProtectionId }),
      slot('mail', 'machines', 0),
    ),
    'Together with what somebody else has changed: The machine "nas2" is in the plan twice',
  ],
  [
    'a parameter removed here and used there',
    editPlan(base, { parameters: [] }),
    addItem(base, using('zone'), slot('mail', 'after', 0)),
    'Together with what somebody else has changed: "tell" uses the parameter "zone", which the plan does not have',
  ],
]

test.each(conflicts)('a conflict: %s', (_words, mine, theirs, message) => {
  expect(messagesOf(merged(mine, theirs))).toEqual([message])
})

test('a cycle that only both together make is a conflict', () => {
  const freely = editGroup(editGroup(base, groupId('mail'), { start: 'at-once' }), groupId('front'), {
    start: 'at-once',
  })
  const mine = addNeed(freely, { item: itemId('web'), need: itemId('smtp') })
  const theirs = addNeed(freely, { item: itemId('smtp'), need: itemId('web') })
  expect(messagesOf(merged(mine, theirs, freely))).toEqual([
    'Together with what somebody else has changed: "web" waits for "smtp", which waits for "web"',
  ])
})

test('a conflict is settled by doing as the other has done', () => {
  const mine = editPlan(base, { name: 'Mine', priority: 9 })
  const theirs = editPlan(base, { name: 'Theirs' })
  expect(merged(mine, theirs).kind).toBe('conflicts')
  expect(planOf(merged(editPlan(mine, { name: 'Theirs' }), theirs))).toEqual({ ...theirs, priority: 9 })
})

const anyEdit = fc.record({
  kind: fc.constantFrom('move', 'remove', 'fate', 'need', 'add', 'group', 'name'),
  which: fc.nat(100),
  where: fc.nat(10),
  index: fc.nat(5),
  early: fc.boolean(),
})
type AnyEdit = typeof anyEdit extends fc.Arbitrary<infer Edit> ? Edit : never

function edit(
  plan: RecoveryPlan,
  { kind, which, where, index, early }: AnyEdit,
  author: string,
): RecoveryPlan {
  const items = itemsOf(plan)
  const item = items[which % Math.max(1, items.length)]?.item
  const other = items[where % Math.max(1, items.length)]?.item
  const group = plan.groups[where % Math.max(1, plan.groups.length)]
  if (!item || !other || !group) return plan
  const side = early ? 'before' : 'after'
  switch (kind) {
    case 'move':
      return moveItem(plan, item.id, { groupId: group.id, part: isStep(item) ? side : 'machines', index })
    case 'remove':
      return removeItem(plan, item.id).plan
    case 'fate':
      return editItem(plan, { ...item, whenItFails: early ? 'stop' : 'continue' })
    case 'need':
      return addNeed(plan, { item: item.id, need: other.id })
    case 'add': {
      const id = `${author}-${which}-${where}`
      return items.some((each) => each.item.id === id)
        ? plan
        : addItem(plan, waiting(id, 1), { groupId: group.id, part: side, index })
    }
    case 'group':
      return moveGroup(plan, group.id, index)
    case 'name':
      return editGroup(plan, group.id, { name: `${author} ${which}` })
    default:
      return plan
  }
}
const edited = (plan: RecoveryPlan, edits: readonly AnyEdit[], author: string) =>
  edits.reduce((former, each) => edit(former, each, author), plan)
const anyEdits = fc.array(anyEdit, { maxLength: 6 })

describe('any edits', () => {
  const same = (one: RecoveryPlan, other: RecoveryPlan) => diffPlans(one, other, new Map())

  test('where only one has changed anything the plan is as that one has it, and what both did alike is done once', () => {
    fc.assert(
      fc.property(anyPlan, anyEdits, (plan, edits) => {
        const changed = edited(plan, edits, 'one')
        expect(same(planOf(merged(changed, plan, plan)), changed)).toEqual([])
        expect(same(planOf(merged(plan, changed, plan)), changed)).toEqual([])
        expect(same(planOf(merged(changed, changed, plan)), changed)).toEqual([])
      }),
    )
  })

  test('it is the same conflict for both', () => {
    fc.assert(
      fc.property(anyPlan, anyEdits, anyEdits, (plan, edits, others) => {
        const [mine, theirs] = [edited(plan, edits, 'one'), edited(plan, others, 'two')]
        expect(merged(mine, theirs, plan).kind).toBe(merged(theirs, mine, plan).kind)
      }),
    )
  })

  test('what merges has everything that both have kept or added exactly once, and nothing that one has removed', () => {
    let merges = 0
    fc.assert(
      fc.property(anyPlan, anyEdits, anyEdits, (plan, edits, others) => {
        const [mine, theirs] = [edited(plan, edits, 'one'), edited(plan, others, 'two')]
        const result = merged(mine, theirs, plan)
        if (result.kind === 'conflicts') return
        merges += 1
        const idsOf = (each: RecoveryPlan) => itemsOf(each).map(({ item }) => item.id)
        const former = new Set(idsOf(plan))
        const [own, foreign] = [new Set(idsOf(mine)), new Set(idsOf(theirs))]
        const expected = [...new Set([...own, ...foreign])].filter(
          (id) => !former.has(id) || (own.has(id) && foreign.has(id)),
        )
        expect(idsOf(result.plan).toSorted()).toEqual(expected.toSorted())
        expect(result.plan.groups.map(({ id }) => id).toSorted()).toEqual(
          plan.groups.map(({ id }) => id).toSorted(),
        )
      }),
    )
    expect(merges).toBeGreaterThan(10)
  })
})
