import { itemsOf, type StepKind } from '@understudy/contract/plan-editing'
import { RecoveryPlan } from '@understudy/contract/recovery-plan'
import { expect, test } from 'vitest'
import { keysOf } from '../../lib/keys-of.ts'
import { copyOfStep, newStep, titleOfStepKind, withNewGroup } from './new-items.ts'
import type { ItemId } from './plan-draft.ts'
import { machineId, planOfTwoGroups } from './plan-lab.ts'
import { putDown } from './slots.ts'

const kinds: readonly StepKind[] = keysOf(titleOfStepKind)

test.each(kinds)(
  'a fresh step of the kind %s can be saved before anything of it is filled in',
  (stepKind) => {
    for (const plan of [planOfTwoGroups, { ...planOfTwoGroups, groups: [] }]) {
      const made = putDown(plan, { kind: 'new-step', stepKind }, { kind: 'new-group' }, () => 'aaaaaaaa')
      expect(RecoveryPlan.safeParse(made).error).toBeUndefined()
    }
  },
)

test('a step that waits for somebody or something gives up some time', () => {
  for (const kind of kinds) {
    const { action } = newStep(kind, 'a', machineId('db'))
    if (action.kind !== 'wait') expect(action.timeoutSeconds).toBeGreaterThan(0)
  }
})

test('a new group has a name that no other group has', () => {
  const twice = withNewGroup(withNewGroup(planOfTwoGroups, '1'), '2')
  expect(twice.groups.map(({ name }) => name)).toEqual(['Data', 'Web', 'Group 3', 'Group 4'])
  const [, , third] = twice.groups
  const without = { ...twice, groups: twice.groups.filter((group) => group !== third) }
  expect(new Set(withNewGroup(without, '3').groups.map(({ name }) => name)).size).toBe(4)
})

test('a copied step is the same under an id of its own; a machine is not copied', () => {
  const copy = copyOfStep(planOfTwoGroups, 'probe' as ItemId, 'bbbbbbbb-1')
  const original = itemsOf(planOfTwoGroups).find(({ item }) => item.id === 'probe')?.item
  expect(copy).toEqual({ ...original, id: 'probe-bbbbbbbb', name: 'Database answers (copy)' })
  expect(copyOfStep(planOfTwoGroups, machineId('db'), 'b')).toBeNull()
})

test('a new step that changes where users are sent in Azure is not for tests, whatever else is', () => {
  const inTests = kinds.filter((kind) => newStep(kind, 'a', null).kinds.includes('test'))
  expect(kinds.filter((kind) => !inTests.includes(kind)).toSorted()).toEqual([
    'azure-dns',
    'azure-load-balancer',
    'traffic-manager',
  ])
})
