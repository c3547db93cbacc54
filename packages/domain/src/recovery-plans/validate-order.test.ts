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
import { expect, test } from 'vitest'
import { directions, type PlanGroup, planRunKinds, type RecoveryPlan } from './plan.ts'
import { itemsOf } from './plan-items.ts'
import { planActivities } from './schedule-plan.ts'
import type { StepAction } from './step-action.ts'
import { validateOrder } from './validate-order.ts'

const faultsOf = (plan: RecoveryPlan) =>
  validateOrder(plan, sampleNames(plan)).map(({ at, code, message }) => [
    at.kind === 'item' ? at.id : at.kind,
    code.replace('recovery-plan/', ''),
    message,
  ])

const needs = (...ids: readonly string[]) => ({ needs: ids.map(itemId) })

const probeOf = (machine: string): StepAction => ({
  kind: 'probe',
  check: { kind: 'tcp', target: { kind: 'machine', machine: itemId(machine) }, port: 22 },
  until: 'green',
  intervalSeconds: 1,
  timeoutSeconds: 60,
})

const cases: readonly (readonly [string, readonly PlanGroup[], readonly (readonly string[])[]])[] = [
  [
    'a plan in order has none, with needs across groups and a machine that a later step acts on',
    [
      sampleGroup('a', {
        machines: [sampleMachine('db')],
        after: [sampleStep('probe', { action: probeOf('db') })],
      }),
      sampleGroup('b', { machines: [sampleMachine('web', needs('db', 'probe'))] }),
    ],
    [],
  ],
  [
    'a cycle names the way round, from what stands first',
    [
      sampleGroup('a', {
        machines: [
          sampleMachine('web', needs('cache')),
          sampleMachine('db', needs('web')),
          sampleMachine('cache', needs('db')),
        ],
      }),
    ],
    [['web', 'cycle', '"web" waits for "cache", which waits for "db", which waits for "web"']],
  ],
  [
    'what needs itself is told so',
    [sampleGroup('a', { machines: [sampleMachine('db', needs('db'))] })],
    [['db', 'cycle', '"db" waits for itself']],
  ],
  [
    'what needs something that is not there',
    [sampleGroup('a', { machines: [sampleMachine('web', needs('gone'))] })],
    [['web', 'unknown-need', '"web" waits for "gone", which is not in the plan']],
  ],
  [
    'the first group cannot wait for the second',
    [
      sampleGroup('a', { machines: [sampleMachine('db', needs('web'))] }),
      sampleGroup('b', { machines: [sampleMachine('web')] }),
    ],
    [['db', 'against-order', '"db" waits for "web", which by the order of the plan comes after it']],
  ],
  [
    'but it can wait for a group that begins at once',
    [
      sampleGroup('a', { machines: [sampleMachine('db', needs('web'))] }),
      sampleGroup('b', { start: 'at-once', machines: [sampleMachine('web')] }),
    ],
    [],
  ],
  [
    'a step before the machines cannot wait for one of them, and none of them for a step after',
    [
      sampleGroup('a', {
        before: [sampleStep('prepare', needs('db'))],
        machines: [sampleMachine('db', needs('check'))],
        after: [sampleStep('check')],
      }),
    ],
    [
      ['prepare', 'against-order', '"prepare" waits for "db", which by the order of the plan comes after it'],
      ['db', 'against-order', '"db" waits for "check", which by the order of the plan comes after it'],
    ],
  ],
  [
    'of two steps the first cannot wait for the second',
    [sampleGroup('a', { after: [sampleStep('one', needs('two')), sampleStep('two')] })],
    [['one', 'against-order', '"one" waits for "two", which by the order of the plan comes after it']],
  ],
  [
    'a step cannot act on a machine before it is up',
    [
      sampleGroup('a', {
        before: [sampleStep('probe', { action: probeOf('db') })],
        machines: [sampleMachine('db')],
      }),
    ],
    [['probe', 'against-order', '"probe" waits for "db", which by the order of the plan comes after it']],
  ],
  [
    'a step acts on a machine of the plan, not on a step and not on a stranger',
    [
      sampleGroup('a', {
        before: [sampleStep('first')],
        after: [sampleStep('x', { action: probeOf('first') }), sampleStep('y', { action: probeOf('gone') })],
      }),
    ],
    [
      ['x', 'unknown-machine', '"x" acts on "first", which is no machine of the plan'],
      ['y', 'unknown-machine', '"y" acts on "gone", which is no machine of the plan'],
    ],
  ],
  [
    'a cycle that the order of steps helps to make is found though no single need is against it',
    [
      sampleGroup('a', {
        before: [sampleStep('first', needs('x'))],
        machines: [sampleMachine('db')],
      }),
      sampleGroup('b', { start: 'at-once', machines: [sampleMachine('x', needs('db'))] }),
    ],
    [['first', 'cycle', '"first" waits for "x", which waits for "db", which waits for "first"']],
  ],
]

test.each(cases)('faults of order: %s', (_words, groups, expected) => {
  expect(faultsOf(samplePlan(groups))).toEqual(expected)
})

test('any needs, sensible or not: nothing is found exactly when the plan can be brought into an order', () => {
  const anyPairs = fc.array(fc.tuple(fc.nat(100), fc.nat(100)), { maxLength: 6 })
  fc.assert(
    fc.property(anyPlan, anyPairs, (calm, pairs) => {
      const ids = itemsOf(calm).map(({ item }) => item.id)
      const wish = (id: string) =>
        pairs.flatMap(([one, other]) =>
          ids[one % ids.length] === id ? [ids[other % ids.length] ?? itemId('x')] : [],
        )
      const plan: RecoveryPlan = {
        ...calm,
        groups: calm.groups.map((group) => ({
          ...group,
          before: group.before.map((step) => ({ ...step, needs: [...step.needs, ...wish(step.id)] })),
          machines: group.machines.map((machine) => ({
            ...machine,
            needs: [...machine.needs, ...wish(machine.id)],
          })),
        })),
      }
      const isTaken = planRunKinds.every((kind) =>
        directions.every((direction) => {
          try {
            planActivities(plan, { kind, direction })
            return true
          } catch {
            return false
          }
        }),
      )
      expect(validateOrder(plan, sampleNames(plan)).length === 0).toBe(isTaken)
    }),
  )
})
