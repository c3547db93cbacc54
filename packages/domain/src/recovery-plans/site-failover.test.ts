import { sampleGroup, sampleMachine, samplePlan } from '@understudy/simulator/sample-plans'
import { expect, test } from 'vitest'
import type { ProtectionId, ProtectionState } from '../protection/protection.ts'
import type { SiteHealth, SiteId } from '../sites/site.ts'
import type { RecoveryPlan } from './plan.ts'
import type { PlanId } from './plan-ids.ts'
import type { PlanRunId, PlanRunState } from './plan-run.ts'
import {
  inPriority,
  nextOfSite,
  type SitePlan,
  scopeOfSite,
  sharedWithEarlier,
  whyNotBegunNow,
} from './site-failover.ts'

const [harbour, hillside] = ['harbour', 'hillside'] as SiteId[] as [SiteId, SiteId]

const planOf = (name: string, priority: number, ...machines: readonly string[]): RecoveryPlan =>
  samplePlan([sampleGroup('all', { machines: machines.map((id) => sampleMachine(id)) })], {
    id: name as PlanId,
    name,
    priority,
  })

const protection = (name: string, state: ProtectionState = 'protected') => ({
  id: `protection-${name}` as ProtectionId,
  name,
  state,
  sourceSiteId: harbour,
  targetSiteId: hillside,
})

test('the higher priority goes first, and of one priority the order is that of the names', () => {
  const plans = [planOf('b', 5), planOf('low', 1), planOf('a', 5), planOf('high', 9)]
  expect(inPriority(plans).map(({ name }) => name)).toEqual(['high', 'a', 'b', 'low'])
})

test('a plan is told which that begin before it have machines of it', () => {
  const plans = [planOf('one', 5, 'db', 'web'), planOf('two', 5, 'mail'), planOf('three', 5, 'web', 'mail')]
  expect([...sharedWithEarlier(plans)]).toEqual([
    [
      'three',
      [
        { planId: 'one', planName: 'one', machines: ['protection-web'] },
        { planId: 'two', planName: 'two', machines: ['protection-mail'] },
      ],
    ],
  ])
})

test('a plan belongs to a site when one of its machines runs there now, whichever side it came from', () => {
  const plans = [planOf('shop', 5, 'web', 'db'), planOf('mail', 5, 'mail')]
  const protections = [
    protection('web'),
    protection('db', 'failedOver'),
    protection('mail', 'committed'),
    protection('loose'),
    protection('ended', 'gone'),
  ]
  expect(scopeOfSite(harbour, plans, protections)).toMatchObject({
    plans: [{ plan: { name: 'shop' }, here: ['protection-web'], elsewhere: ['protection-db'] }],
    uncovered: [{ name: 'loose' }],
  })
  expect(scopeOfSite(hillside, plans, protections)).toMatchObject({
    plans: [{ plan: { name: 'mail' } }, { plan: { name: 'shop' }, here: ['protection-db'] }],
    uncovered: [],
  })
})

const sitePlan = (id: string, state: SitePlan['state']): SitePlan => ({
  planId: id as PlanId,
  planName: id,
  priority: 5,
  planRunId: id as PlanRunId,
  state,
  why: null,
  atStart: null,
})
const runs = (states: Readonly<Record<string, PlanRunState>>) =>
  new Map(Object.entries(states)) as ReadonlyMap<string, PlanRunState> as ReadonlyMap<PlanRunId, PlanRunState>

test.each([
  { what: 'so many begin as there is room', states: {}, next: { begin: ['c'], start: ['b'], done: false } },
  {
    what: 'one that goes on keeps its place',
    states: { b: 'running' },
    next: { begin: ['c'], start: [], done: false },
  },
  { what: 'a paused one does too', states: { b: 'paused' }, next: { begin: ['c'], start: [], done: false } },
  {
    what: 'one that has stopped by a failure makes room',
    states: { b: 'failed' },
    next: { begin: ['c', 'd'], start: [], done: false },
  },
] as const)('$what', ({ states, next }) => {
  const plans = [
    sitePlan('a', 'refused'),
    sitePlan('b', 'begun'),
    sitePlan('c', 'waiting'),
    sitePlan('d', 'waiting'),
  ]
  expect(nextOfSite({ plans, atOnce: 2 }, runs(states))).toEqual(next)
})

test('it is done when nothing waits and nothing goes on, refused and left out ones included', () => {
  const plans = [sitePlan('a', 'refused'), sitePlan('b', 'begun'), sitePlan('c', 'left-out')]
  expect(nextOfSite({ plans, atOnce: 1 }, runs({ b: 'cancelling' })).done).toBe(false)
  expect(nextOfSite({ plans, atOnce: 1 }, runs({ b: 'cancelled' })).done).toBe(true)
  expect(nextOfSite({ plans, atOnce: 1 }, runs({})).done).toBe(false)
})

test('what has waited is begun only as it was chosen: nothing has moved since, and the site has not come back', () => {
  const plans = [planOf('shop', 5, 'web', 'db')]
  const why = (
    dbNow: ProtectionState,
    { health = 'unreachable', siteHealthy = false }: { health?: SiteHealth; siteHealthy?: boolean } = {},
    webNow: ProtectionState = 'protected',
  ) => {
    const scope = scopeOfSite(harbour, plans, [protection('web', webNow), protection('db', dbNow)])
    const elsewhere = dbThen.map((id) => id as ProtectionId)
    return whyNotBegunNow(
      { planId: 'shop' as PlanId, atStart: { elsewhere, siteHealthy } },
      { health },
      { scope, broughtUp, machines: ['protection-web', 'protection-db'] as ProtectionId[] },
    )
  }
  let dbThen: readonly string[] = []
  let broughtUp: readonly ProtectionId[] = []
  expect(why('protected')).toBeNull()
  expect(why('committed')).toBe('moved')
  expect(why('protected', { health: 'healthy' })).toBe('site-back')
  expect(why('protected', { health: 'healthy', siteHealthy: true })).toBeNull()
  dbThen = ['protection-db']
  expect(why('committed')).toBeNull()
  expect(why('committed', {}, 'committed')).toBe('moved')
  dbThen = []
  broughtUp = ['protection-db' as ProtectionId]
  expect(why('committed')).toBeNull()
  expect(why('committed', {}, 'committed')).toBe('moved')
  broughtUp = ['protection-db', 'protection-web'] as ProtectionId[]
  expect(why('committed', {}, 'failedOver')).toBeNull()
})
