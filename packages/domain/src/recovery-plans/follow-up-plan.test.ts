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
import { followUpPlan } from './follow-up-plan.ts'
import type { RecoveryPlan } from './plan.ts'
import { machinesOf, stepsOf } from './plan-items.ts'
import { orderOf } from './plan-order.ts'
import { type FollowUpKind, followUpKinds } from './plan-run.ts'
import { planActivities } from './schedule-plan.ts'
import { validatePlan } from './validate-plan.ts'

const inOrder: readonly FollowUpKind[] = ['change-point', 'roll-back']
const atOnce = followUpKinds.filter((kind) => !inOrder.includes(kind))

const shop = samplePlan(
  [
    sampleGroup('data', { before: [sampleStep('approve')], machines: [sampleMachine('db')] }),
    sampleGroup('web', {
      machines: [sampleMachine('web-1'), sampleMachine('web-2', { needs: [itemId('web-1')] })],
      after: [sampleStep('announce')],
    }),
  ],
  { parameters: [sampleParameter('domain')] },
)

const needsOfMachines = (plan: RecoveryPlan): Record<string, readonly string[]> =>
  Object.fromEntries(machinesOf(plan).map(({ id, needs }) => [id, needs]))

/** For each machine every machine that is done before it, however far away. */
function machinesBefore(plan: RecoveryPlan): Record<string, readonly string[]> {
  const needs = new Map(orderOf(plan).map((node) => [node.id, node.needs]))
  const isMachine = new Set<string>(machinesOf(plan).map(({ id }) => id))
  return Object.fromEntries(
    machinesOf(plan).map(({ id }) => {
      const reached = new Set(needs.get(id))
      for (const node of reached) for (const need of needs.get(node) ?? []) reached.add(need)
      return [id, [...reached].filter((node) => isMachine.has(node)).sort()]
    }),
  )
}

describe.each(followUpKinds)('the plan of a %s', (kind) => {
  test('has every machine of the plan once, and neither steps nor parameters', () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        const derived = followUpPlan(plan, kind)
        expect(machinesOf(derived).map(({ id, protectionId }) => [id, protectionId])).toEqual(
          machinesOf(plan).map(({ id, protectionId }) => [id, protectionId]),
        )
        expect(stepsOf(derived)).toEqual([])
      }),
    )
    expect(followUpPlan(shop, kind).parameters).toEqual([])
  })
  test('goes on whichever machine fails', () => {
    expect(machinesOf(followUpPlan(shop, kind)).map(({ whenItFails }) => whenItFails)).toEqual([
      'continue',
      'continue',
      'continue',
    ])
  })
  test('keeps the name of the plan, its id and what it aims at', () => {
    const { id, name, priority, targetRtoSeconds } = shop
    expect(followUpPlan(shop, kind)).toMatchObject({ id, name, priority, targetRtoSeconds })
  })
  test('can be run to its end', () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        const derived = followUpPlan(plan, kind)
        const blockers = validatePlan(derived, sampleNames(plan)).filter(({ level }) => level === 'blocker')
        // A plan of steps alone has no machine left to do anything for.
        if (machinesOf(plan).length > 0) expect(blockers).toEqual([])
        planActivities(derived, { kind: 'planned', direction: 'forward' })
      }),
    )
  })
})

describe.each(inOrder)('the plan of a %s', (kind) => {
  test('keeps the groups and what machines need', () => {
    const derived = followUpPlan(shop, kind)
    expect(derived.groups.map(({ id }) => id)).toEqual(['data', 'web'])
    expect(needsOfMachines(derived)).toEqual({ db: [], 'web-1': [], 'web-2': ['web-1'] })
  })
  test('lets a machine that needed a step wait for the machines that the step waited for', () => {
    const plan = samplePlan([
      sampleGroup('data', {
        machines: [sampleMachine('db'), sampleMachine('cache')],
        after: [sampleStep('migrate'), sampleStep('warm-up', { needs: [itemId('cache')] })],
      }),
      sampleGroup('reports', {
        start: 'at-once',
        machines: [sampleMachine('reporter', { needs: [itemId('warm-up')] }), sampleMachine('archive')],
      }),
    ])
    expect(needsOfMachines(followUpPlan(plan, kind))).toMatchObject({
      reporter: ['cache', 'db'],
      archive: [],
    })
  })
  test('lets machines wait for what the steps before them waited for', () => {
    const plan = samplePlan([
      sampleGroup('data', { machines: [sampleMachine('db')] }),
      sampleGroup('reports', {
        start: 'at-once',
        before: [sampleStep('ask-db', { needs: [itemId('db')] })],
        machines: [sampleMachine('reporter')],
      }),
    ])
    expect(needsOfMachines(followUpPlan(plan, kind))).toMatchObject({ reporter: ['db'] })
  })
  test('puts the same machines before each machine as the plan did, and no others', () => {
    fc.assert(
      fc.property(anyPlan, (plan) => {
        expect(machinesBefore(followUpPlan(plan, kind))).toEqual(machinesBefore(plan))
      }),
    )
  })
})

describe.each(atOnce)('the plan of a %s', (kind) => {
  test('does everything at once', () => {
    const derived = followUpPlan(shop, kind)
    expect(derived.groups.map(({ id }) => id)).toEqual([groupId('all')])
    expect(needsOfMachines(derived)).toEqual({ db: [], 'web-1': [], 'web-2': [] })
  })
})
