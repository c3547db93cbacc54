import { sampleGroup, sampleMachine, samplePlan } from '@understudy/simulator/sample-plans'
import { expect, test } from 'vitest'
import type { ProtectionId } from '../protection/protection.ts'
import { protectionLife } from '../protection/protection.ts'
import type { SiteId } from '../sites/site.ts'
import type { PlanRunKind } from './plan.ts'
import { isRunnable } from './plan-finding.ts'
import { type MemberFacts, validateAgainst } from './validate-against.ts'

const now = Date.parse('2026-01-01T12:00:00Z')
const db = sampleMachine('db')
const web = sampleMachine('web')
const plan = samplePlan([sampleGroup('a', { machines: [db, web] })])

const sound = (name: string, more: Partial<MemberFacts> = {}): MemberFacts => ({
  name,
  state: 'protected',
  newestInstant: now - 5000,
  lagTargetSeconds: 30,
  targetSiteId: 'target' as SiteId,
  adapterKeys: ['net0'],
  mappings: [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: 'lab' }],
  addresses: [],
  ...more,
})

const check = (
  dbFacts: Partial<MemberFacts>,
  webFacts: Partial<MemberFacts> = {},
  kind: PlanRunKind = 'test',
) =>
  validateAgainst(
    plan,
    new Map([
      [db.protectionId, sound('Oracle', dbFacts)],
      [web.protectionId, sound('Shop', webFacts)],
    ]),
    { now, kind },
  )
const codesOf = (...facts: Parameters<typeof check>) =>
  check(...facts).map(({ at, level, code }) => [
    at.kind === 'item' ? at.id : at.kind,
    level,
    code.replace('recovery-plan/', ''),
  ])

test('machines that replicate in time into networks of their own give no findings', () => {
  expect(check({})).toEqual([])
})

test('a group that is only partly in the plan is told once, and one that is whole is not', () => {
  const both = [
    { id: db.protectionId, name: 'Oracle' },
    { id: web.protectionId, name: 'Shop' },
  ]
  const others = ['a', 'b', 'c', 'd'].map((name) => ({ id: name as ProtectionId, name }))
  const whole = { group: { name: 'Erp', members: both } }
  const part = { group: { name: 'Erp', members: [...both, ...others] } }
  expect(check(whole, whole)).toEqual([])
  expect(codesOf(part, part)).toEqual([[db.id, 'warning', 'part-of-group']])
  expect(check(part)[0]?.message).toContain('a, b, c and 1 more would stay behind')
})

test('a state in which nothing can be failed over blocks the plan, every other one does not', () => {
  const blocking = protectionLife.states.filter((state) => !isRunnable(check({ state })))
  expect(blocking).toEqual([
    'failingOver',
    'failedOver',
    'committing',
    'rollingBack',
    'committed',
    'reprotecting',
    'ending',
    'gone',
  ])
})

test.each([
  ['gone', { state: 'gone' as const }, 'blocker', 'not-protected'],
  ['failed over', { state: 'committed' as const }, 'blocker', 'failed-over'],
  ['paused', { state: 'paused' as const }, 'warning', 'not-replicating'],
  ['broken', { state: 'broken' as const }, 'warning', 'not-replicating'],
  ['without a point', { state: 'seeding' as const, newestInstant: null }, 'blocker', 'no-point'],
  ['too old', { newestInstant: now - 31_000 }, 'warning', 'point-too-old'],
  [
    'without a failover network',
    { mappings: [{ adapterKey: 'net0', failoverNetworkId: null, testNetworkId: 'lab' }] },
    'warning',
    'no-network',
  ],
  [
    'without a test network',
    { mappings: [{ adapterKey: 'net0', failoverNetworkId: 'lan', testNetworkId: null }] },
    'warning',
    'no-test-network',
  ],
])('a machine that is %s is told beside itself', (_words, facts, level, code) => {
  expect(codesOf(facts)).toEqual([['db', level, code]])
})

test('an adapter that was never mapped counts as unplugged, and a machine without adapters as fine', () => {
  expect(codesOf({ mappings: [] }).map(([, , code]) => code)).toEqual(['no-network', 'no-test-network'])
  expect(codesOf({ mappings: [], adapterKeys: [] })).toEqual([])
})

test('a point that is exactly as old as the target is in time', () => {
  expect(codesOf({ newestInstant: now - 30_000 })).toEqual([])
})

const fixed = (address: string) => ({ addresses: [{ adapterKey: 'net0', address }] })

test('two machines of one address in one network are told with both names, for the failover and for the test', () => {
  const findings = check(fixed('192.0.2.7'), fixed('192.0.2.7'))
  expect(findings.map(({ code, message }) => [code, message])).toEqual([
    [
      'recovery-plan/address-conflict',
      '"Shop" and "Oracle" both have the address 192.0.2.7 and would share a network',
    ],
    [
      'recovery-plan/address-conflict',
      '"Shop" and "Oracle" both have the address 192.0.2.7 and would share a test network',
    ],
  ])
})

test('the same address in other networks, at other sites or unplugged is no conflict', () => {
  const elsewhere = [{ adapterKey: 'net0', failoverNetworkId: 'dmz', testNetworkId: 'lab2' }]
  expect(codesOf(fixed('192.0.2.7'), { ...fixed('192.0.2.7'), mappings: elsewhere })).toEqual([])
  expect(codesOf(fixed('192.0.2.7'), { ...fixed('192.0.2.7'), targetSiteId: 'other' as SiteId })).toEqual([])
  const unplugged = [{ adapterKey: 'net0', failoverNetworkId: null, testNetworkId: null }]
  expect(
    codesOf(fixed('192.0.2.7'), { ...fixed('192.0.2.7'), mappings: unplugged }).map(([, , code]) => code),
  ).toEqual(['no-network', 'no-test-network'])
})

test('a machine whose facts nobody knows is left to validatePlan', () => {
  expect(validateAgainst(plan, new Map(), { now, kind: 'test' })).toEqual([])
})

test('a machine that is up at its target already keeps a failover of the others from nothing', () => {
  const there = ['failingOver', 'failedOver', 'committing', 'committed'] as const
  for (const state of there) {
    expect(codesOf({ state }, {}, 'unplanned')).toEqual([[db.id, 'warning', 'up-already']])
    expect(codesOf({ state }, {}, 'planned')).toEqual([[db.id, 'warning', 'up-already']])
    expect(codesOf({ state }, {}, 'test')).toEqual([[db.id, 'blocker', 'failed-over']])
    expect(codesOf({ state }, {}, 'fail-back')).toEqual([[db.id, 'blocker', 'failed-over']])
  }
  expect(codesOf({ state: 'rollingBack' }, {}, 'unplanned')).toEqual([[db.id, 'blocker', 'failed-over']])
})

test('where all machines are up already there is nothing to fail over', () => {
  expect(codesOf({ state: 'failedOver' }, { state: 'committed' }, 'unplanned')).toEqual([
    [db.id, 'blocker', 'failed-over'],
    [web.id, 'blocker', 'failed-over'],
  ])
  const facts = new Map(
    [db, web].map(({ protectionId }) => [protectionId, sound('up', { state: 'failedOver' })]),
  )
  const broughtUp = [web.protectionId]
  expect(isRunnable(validateAgainst(plan, facts, { now, kind: 'unplanned', broughtUp }))).toBe(true)
})

test('a machine whose target only keeps its replica blocks the plan, and says nothing of networks there', () => {
  const noTarget = {
    message: 'Cloud keeps replicas but cannot run machines yet',
    remedy: 'Use another site.',
  }
  expect(codesOf({ noTarget, mappings: [] })).toEqual([['db', 'blocker', 'no-target']])
})
