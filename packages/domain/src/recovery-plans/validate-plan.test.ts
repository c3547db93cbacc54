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
import { expect, test } from 'vitest'
import type { ProtectionId } from '../protection/protection.ts'
import type { RecoveryPlan } from './plan.ts'
import { isRunnable, type PlanSpot } from './plan-finding.ts'
import { validatePlan } from './validate-plan.ts'

const machine = sampleMachine('db')
const group = sampleGroup('data', { machines: [machine] })
const wholePlan: PlanSpot = { kind: 'plan' }

const faultsOf = (plan: RecoveryPlan, names = sampleNames(plan)) =>
  validatePlan(plan, names).map(({ at, level, code }) => [at, level, code.replace('recovery-plan/', '')])

test('a plan without faults has no findings', () => {
  expect(validatePlan(samplePlan([group]), sampleNames(samplePlan([group])))).toEqual([])
  fc.assert(
    fc.property(anyPlan, (plan) => {
      const findings = validatePlan(plan, sampleNames(plan))
      const empty = plan.groups.every(
        (each) => each.before.length + each.machines.length + each.after.length === 0,
      )
      expect(isRunnable(findings)).toBe(!empty)
    }),
  )
})

test.each([
  ['no name', { name: ' ' }, 'no-name'],
  ['a priority of 0', { priority: 0 }, 'priority-range'],
  ['a priority of 2.5', { priority: 2.5 }, 'priority-range'],
  ['a target of 0 s', { targetRtoSeconds: 0 }, 'target-range'],
] as const)('a plan with %s is refused', (_words, more, code) => {
  expect(faultsOf(samplePlan([group], more))).toEqual([[wholePlan, 'blocker', code]])
})

test('a plan without a target is fine', () => {
  expect(faultsOf(samplePlan([group], { targetRtoSeconds: null }))).toEqual([])
})

test('an empty plan is refused; an empty group beside a full one is only a warning', () => {
  expect(faultsOf(samplePlan([]))).toEqual([[wholePlan, 'blocker', 'empty']])
  expect(faultsOf(samplePlan([group, sampleGroup('later', { name: '' })]))).toEqual([
    [{ kind: 'group', id: 'later' }, 'warning', 'no-name'],
    [{ kind: 'group', id: 'later' }, 'warning', 'empty-group'],
  ])
})

test('an id that is there twice is told at the second one, be it of a group, a machine or a step', () => {
  const plan = samplePlan([
    sampleGroup('a', { machines: [sampleMachine('x')] }),
    sampleGroup('a', { before: [sampleStep('x')] }),
    sampleGroup('b', { before: [sampleStep('b')] }),
  ])
  expect(faultsOf(plan)).toEqual([
    [{ kind: 'group', id: groupId('a') }, 'blocker', 'duplicate-id'],
    [{ kind: 'item', id: itemId('x') }, 'blocker', 'duplicate-id'],
    [{ kind: 'item', id: itemId('b') }, 'blocker', 'duplicate-id'],
  ])
})

test('an id that could be taken for something else is refused', () => {
  expect(faultsOf(samplePlan([sampleGroup('a', { before: [sampleStep('gate a end')] })]))).toContainEqual([
    { kind: 'item', id: itemId('gate a end') },
    'blocker',
    'bad-id',
  ])
})

test('a machine that is in the plan twice is told by its name, at the second place', () => {
  const again = sampleMachine('again', { protectionId: machine.protectionId })
  const plan = samplePlan([group, sampleGroup('more', { machines: [again] })])
  const names = new Map([[machine.protectionId, 'Oracle']])
  expect(faultsOf(plan, names)).toEqual([[{ kind: 'item', id: again.id }, 'blocker', 'machine-twice']])
  expect(validatePlan(plan, names)[0]?.message).toBe('The machine "Oracle" is in the plan twice')
})

test('a machine that nobody protects is told', () => {
  const plan = samplePlan([
    sampleGroup('a', { machines: [sampleMachine('x', { protectionId: 'no' as ProtectionId })] }),
  ])
  expect(faultsOf(plan, new Map())).toEqual([[{ kind: 'item', id: 'x' }, 'blocker', 'unknown-protection']])
})

const parameterCases = [
  ['a name that no text can use', sampleParameter('1st'), 'parameter-name'],
  ['a secret in the plan', sampleParameter('key', { type: 'secret', default: 'hunter2' }), 'secret-in-plan'],
  ['a choice of nothing', sampleParameter('x', { type: 'choice' }), 'no-choices'],
  [
    'a default that is not among the choices',
    sampleParameter('x', { type: 'choice', choices: ['a'], default: 'b' }),
    'default-type',
  ],
  [
    'a number whose default is a text',
    sampleParameter('x', { type: 'number', default: '5' }),
    'default-type',
  ],
  [
    'a boolean whose default is a text',
    sampleParameter('x', { type: 'boolean', default: 'no' }),
    'default-type',
  ],
  ['a text whose default is a number', sampleParameter('x', { default: 5 }), 'default-type'],
  ['one that nobody gives a value', sampleParameter('x', { asked: false }), 'parameter-never-set'],
] as const

test.each(parameterCases)('a parameter is refused beside itself: %s', (_words, parameter, code) => {
  const plan = samplePlan([group], { parameters: [parameter] })
  expect(faultsOf(plan)).toEqual([[{ kind: 'parameter', name: parameter.name }, 'blocker', code]])
  expect(JSON.stringify(validatePlan(plan, sampleNames(plan)))).not.toContain('hunter2')
})

test('two parameters of one name are refused; a secret that is kept apart needs no default', () => {
  const key = sampleParameter('key', { type: 'secret', asked: false })
  expect(faultsOf(samplePlan([group], { parameters: [key, key] }))).toEqual([
    [{ kind: 'parameter', name: 'key' }, 'blocker', 'parameter-twice'],
  ])
})

test('the faults of steps, parameters and order are all told at once', () => {
  const plan = samplePlan(
    [
      sampleGroup('a', {
        before: [sampleStep('one', { action: { kind: 'wait', seconds: 0 }, needs: [itemId('gone')] })],
      }),
    ],
    { parameters: [sampleParameter('1st')] },
  )
  expect(faultsOf(plan).map(([, , code]) => code)).toEqual(['parameter-name', 'no-wait', 'unknown-need'])
})

test('a plan of 200 machines with a need each is judged in a fraction of a second', () => {
  const plan = samplePlan(
    Array.from({ length: 5 }, (_, index) =>
      sampleGroup(`g${index}`, {
        machines: Array.from({ length: 40 }, (__, position) =>
          sampleMachine(`m${index}-${position}`, {
            needs: position === 0 ? [] : [itemId(`m${index}-${position - 1}`)],
          }),
        ),
      }),
    ),
  )
  const from = performance.now()
  expect(faultsOf(plan)).toEqual([])
  expect(performance.now() - from).toBeLessThan(250)
})
