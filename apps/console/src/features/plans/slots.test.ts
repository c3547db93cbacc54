import { itemsOf, machinesOf } from '@understudy/contract/plan-editing'
import { expect, test } from 'vitest'
import type { ItemId, Plan, ProtectionId } from './plan-draft.ts'
import { groupId, machineId, names, planOfTwoGroups } from './plan-lab.ts'
import {
  type Carried,
  firstSlot,
  nameOfCarried,
  placeAt,
  putDown,
  type Slot,
  type Step,
  stepSlot,
  wordsOfSlot,
} from './slots.ts'

const plan = planOfTwoGroups
const uuid = (): string => '11111111-rest'
const a: Carried = { kind: 'item', id: machineId('a') }
const probe: Carried = { kind: 'item', id: 'probe' as ItemId }
const newProbe: Carried = { kind: 'new-step', stepKind: 'probe' }
const spare: Carried = { kind: 'new-machine', protectionId: 'p-spare' as ProtectionId }
const web: Carried = { kind: 'group', id: groupId('web') }

const walk = (carried: Carried, steps: readonly Step[]): readonly string[] => {
  let slot = firstSlot(plan, carried, null)
  return steps.map((step) => {
    slot = stepSlot(plan, carried, slot, step)
    return wordsOfSlot(plan, carried, slot)
  })
}
const machineNames = (made: Plan): string =>
  machinesOf(made)
    .map(({ protectionId }) => protectionId)
    .join(' ')

test('the arrow keys take a machine from place to place through the machines of every group, and into a new one below', () => {
  expect(walk(a, ['previous', 'previous', 'previous', 'next', 'next', 'next', 'next'])).toEqual([
    'place 2 of 2 among the machines of Data',
    'place 1 of 2 among the machines of Data',
    'place 1 of 2 among the machines of Data',
    'place 2 of 2 among the machines of Data',
    'place 1 of 2 among the machines of Web',
    'place 2 of 2 among the machines of Web',
    'a new group below the last one',
  ])
})

test('a step goes past the machines, from the list before them to the one after', () => {
  expect(walk(probe, ['previous-list', 'next-list', 'next-list', 'next', 'next'])).toEqual([
    'place 1 of 1 before the machines of Data',
    'place 1 of 1 after the machines of Data',
    'place 1 of 1 before the machines of Web',
    'place 1 of 1 after the machines of Web',
    'a new group below the last one',
  ])
})

test('a group goes among the groups and stays at either end', () => {
  expect(walk(web, ['next', 'previous', 'previous'])).toEqual([
    'place 2 of 2 among the groups',
    'place 1 of 2 among the groups',
    'place 1 of 2 among the groups',
  ])
})

test('from below the last group the way back leads to the last place that takes it', () => {
  expect(stepSlot(plan, spare, { kind: 'new-group' }, 'previous')).toEqual({
    kind: 'in-group',
    groupId: 'web',
    part: 'machines',
    index: 2,
  })
})

test('what is new begins at the end of the group that is worked on, and in an empty plan makes one', () => {
  expect(firstSlot(plan, spare, groupId('data'))).toMatchObject({
    groupId: 'data',
    part: 'machines',
    index: 1,
  })
  expect(firstSlot(plan, newProbe, groupId('gone'))).toMatchObject({
    groupId: 'web',
    part: 'after',
    index: 0,
  })
  expect(firstSlot({ ...plan, groups: [] }, spare, null)).toEqual({ kind: 'new-group' })
})

const inGroup = (group: string, part: 'before' | 'machines' | 'after', index: number): Slot => ({
  kind: 'in-group',
  groupId: groupId(group),
  part,
  index,
})

test.each<[claim: string, carried: Carried, slot: Slot, machines: string]>([
  ['within its group', a, inGroup('web', 'machines', 1), 'p-db p-b p-a'],
  ['into another group', a, inGroup('data', 'machines', 0), 'p-a p-db p-b'],
  ['from the palette', spare, inGroup('web', 'machines', 1), 'p-db p-a p-spare p-b'],
  ['into a new group', a, { kind: 'new-group' }, 'p-db p-b p-a'],
  ['with its whole group', web, { kind: 'between-groups', index: 0 }, 'p-a p-b p-db'],
])('a machine is put down %s', (_, carried, slot, machines) => {
  expect(machineNames(putDown(plan, carried, slot, uuid))).toBe(machines)
})

test.each<[claim: string, carried: Carried, slot: Slot]>([
  ['where it was', a, inGroup('web', 'machines', 0)],
  ['as a group where it was', web, { kind: 'between-groups', index: 1 }],
  ['as a machine among steps', a, inGroup('web', 'before', 0)],
  ['as a step among machines', newProbe, inGroup('web', 'machines', 0)],
  ['as a machine between groups', a, { kind: 'between-groups', index: 0 }],
])('what is put down %s leaves the very same plan', (_, carried, slot) => {
  expect(putDown(plan, carried, slot, uuid)).toBe(plan)
})

test('a new probe looks at a machine of the group that it is put into', () => {
  const made = putDown(plan, newProbe, inGroup('web', 'before', 0), uuid)
  const step = itemsOf(made).find(({ item }) => item.id === 'probe-11111111')?.item
  expect(step).toMatchObject({ action: { check: { target: { kind: 'machine', machine: machineId('a') } } } })
})

test('what is held goes by its name', () => {
  expect([a, probe, web, spare, newProbe].map((carried) => nameOfCarried(plan, names, carried))).toEqual([
    'A',
    'Database answers',
    'Group Web',
    'SPARE',
    'New step: Probe',
  ])
})

const box = (left: number, top: number) => ({ left, top, right: left + 100, bottom: top + 40 })

test.each([
  ['above the middle of a card of its own row', [box(0, 0), box(0, 50)], 10, 60, 1],
  ['below the middle of a card of its own row', [box(0, 0), box(0, 50)], 10, 80, 2],
  ['left of the middle of a card beside others', [box(0, 0), box(110, 0), box(0, 50)], 130, 35, 1],
  ['right of the middle of a card beside others', [box(0, 0), box(110, 0), box(0, 50)], 190, 5, 2],
  ['between two rows', [box(0, 0), box(110, 0), box(0, 50)], 10, 45, 2],
  ['below all of them', [box(0, 0), box(0, 50)], 10, 500, 2],
  ['in an empty list', [], 10, 10, 0],
])('a pointer %s means that place', (_, boxes, x, y, place) => {
  expect(placeAt(boxes, x, y)).toBe(place)
})
