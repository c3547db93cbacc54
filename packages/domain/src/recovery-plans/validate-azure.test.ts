import {
  itemId,
  sampleGroup,
  sampleMachine,
  sampleParameter,
  samplePlan,
  sampleStep,
} from '@understudy/simulator/sample-plans'
import { expect, test } from 'vitest'
import type { SiteId } from '../sites/site.ts'
import { referencesOf } from './action-texts.ts'
import { diffPlans } from './diff-plans.ts'
import { substituteAction } from './parameters.ts'
import type { PlanStep } from './plan.ts'
import type {
  AzureDnsAction,
  AzureLoadBalancerAction,
  AzureRunCommandAction,
  StepAction,
  TrafficManagerAction,
} from './step-action.ts'
import { machinesOfAction, mapSite, siteOfAction } from './step-action.ts'
import { type SiteFacts, sitesOf, validateSites } from './validate-sites.ts'
import { validateStep } from './validate-step.ts'

const site = 'site-1' as SiteId
const web = itemId('web')
const toWeb = { kind: 'machine', machine: web } as const
const address = (text: string) => ({ kind: 'address', address: text }) as const
const place = { site, resourceGroup: '', timeoutSeconds: 60 }
const traffic: TrafficManagerAction = {
  kind: 'traffic-manager',
  ...place,
  profile: 'shop',
  endpoint: 'azure',
  change: { kind: 'status', status: 'enabled' },
}
const pool: AzureLoadBalancerAction = {
  kind: 'azure-load-balancer',
  ...place,
  loadBalancer: 'front',
  pool: 'web',
  membership: 'in',
  member: { kind: 'adapter', machine: web },
}
const network = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/lan'
const entry = { kind: 'entry', name: 'shop', address: toWeb, network } as const
const dns: AzureDnsAction = {
  kind: 'azure-dns',
  ...place,
  zone: 'example.com',
  zoneKind: 'public',
  recordName: 'www.example.com',
  recordType: 'A',
  ttlSeconds: 60,
  values: [toWeb, address('192.0.2.1')],
}
const command: AzureRunCommandAction = {
  kind: 'azure-run-command',
  machine: web,
  script: 'systemctl restart shop',
  variables: { KEY: '{{key}}' },
  timeoutSeconds: 60,
}

const parameters = [
  sampleParameter('key', { type: 'secret' }),
  sampleParameter('zone'),
  sampleParameter('set', { default: 'shop', asked: false }),
]
const faultsOf = (action: StepAction, more: Partial<PlanStep> = {}) =>
  validateStep(sampleStep('x', { action, kinds: ['unplanned'], ...more }), parameters).map(
    ({ level, code }) => `${level} ${code.replace('recovery-plan/', '')}`,
  )

test.each<[StepAction]>([
  [traffic],
  [{ ...traffic, change: { kind: 'weight', weight: 1000 } }],
  [{ ...traffic, change: { kind: 'target', to: toWeb } }],
  [{ ...traffic, profile: '{{set}}', resourceGroup: 'Gruppe_(ä).1' }],
  [pool],
  [{ ...pool, member: entry }],
  [{ ...pool, membership: 'out', member: { ...entry, address: address(''), network: '' } }],
  [dns],
  [{ ...dns, recordName: '*.shop.example.com', zoneKind: 'private' }],
  [{ ...dns, recordType: 'CNAME', values: [address('shop.example.net')] }],
  [command],
])('nothing is wrong with %o', (action) => {
  expect(faultsOf(action)).toEqual([])
})

test.each<[StepAction, string]>([
  [{ ...traffic, site: null }, 'blocker no-site'],
  [{ ...traffic, endpoint: ' ' }, 'blocker no-azure-resource'],
  [{ ...traffic, profile: '/subscriptions/s/shop' }, 'blocker bad-azure-name'],
  [{ ...traffic, resourceGroup: '..' }, 'blocker bad-azure-name'],
  [{ ...traffic, change: { kind: 'weight', weight: 0 } }, 'blocker bad-traffic-figure'],
  [{ ...traffic, change: { kind: 'priority', priority: 1001 } }, 'blocker bad-traffic-figure'],
  [{ ...traffic, change: { kind: 'target', to: address('') } }, 'blocker no-address'],
  [{ ...traffic, timeoutSeconds: 0 }, 'blocker no-timeout'],
  [{ ...pool, member: { kind: 'adapter', machine: null } }, 'blocker no-machine'],
  [{ ...pool, member: { ...entry, network: 'lan' } }, 'blocker no-network-id'],
  [{ ...pool, member: { ...entry, name: '' } }, 'blocker no-azure-resource'],
  [{ ...dns, recordName: 'www.example.net' }, 'blocker outside-zone'],
  [{ ...dns, recordName: '' }, 'blocker no-record'],
  [{ ...dns, ttlSeconds: 0 }, 'blocker bad-ttl'],
  [{ ...dns, values: [] }, 'blocker no-address'],
  [{ ...dns, values: [address('2001:db8::1')] }, 'blocker bad-record-value'],
  [{ ...dns, recordType: 'CNAME', values: [toWeb] }, 'blocker bad-record-value'],
  [
    { ...dns, recordType: 'CNAME', values: [address('a.example'), address('b.example')] },
    'blocker many-names',
  ],
  [{ ...command, machine: null }, 'blocker no-machine'],
  [{ ...command, script: ' ' }, 'blocker no-script'],
  [{ ...command, variables: { 'a-b': 'x' } }, 'blocker bad-variable'],
  [{ ...command, script: 'echo {{zone}}' }, 'warning parameter-in-script'],
  [{ ...dns, values: [address('{{key}}')] }, 'blocker secret-shown'],
  [{ ...traffic, profile: '{{gone}}' }, 'blocker unknown-parameter'],
  [{ ...traffic, profile: '{{zone}}' }, 'blocker place-parameter'],
  [{ ...pool, resourceGroup: '{{zone}}' }, 'blocker place-parameter'],
  [{ ...dns, zone: '{{zone}}', recordName: 'www.{{ zone }}' }, 'blocker place-parameter'],
])('%o: %s', (action, fault) => {
  expect(faultsOf(action)).toEqual([fault])
})

test('a step that would send users elsewhere in a test is told; a script in the machine of the test is not', () => {
  const inTests = (action: StepAction) => faultsOf(action, { kinds: ['test', 'unplanned'] })
  for (const action of [traffic, pool, dns]) expect(inTests(action)).toEqual(['warning changes-in-tests'])
  expect(inTests(command)).toEqual([])
})

test('the text of a script takes no parameter, so nothing that one holds becomes a command', () => {
  const values = new Map([
    ['key', '$(reboot)'],
    ['zone', '; reboot'],
  ])
  const script = 'echo {{zone}} "$KEY"'
  expect(substituteAction({ ...command, script }, values)).toEqual({
    ...command,
    script,
    variables: { KEY: '$(reboot)' },
  })
  expect(referencesOf({ ...command, script })).toEqual([{ name: 'key', use: 'private' }])
})

test('machines and sites that a step names are known, and another site can be put in', () => {
  expect(machinesOfAction(traffic)).toEqual([])
  for (const action of [
    { ...traffic, change: { kind: 'target', to: toWeb } as const },
    pool,
    { ...pool, member: entry },
    dns,
    command,
  ])
    expect(machinesOfAction(action)).toEqual([web])
  const other = 'site-2' as SiteId
  for (const action of [traffic, pool, dns]) {
    expect(siteOfAction(action)).toBe(site)
    expect(mapSite(action, () => other)).toEqual({ ...action, site: other })
  }
  expect(mapSite({ ...dns, site: null }, () => other)).toEqual({ ...dns, site: null })
  expect(siteOfAction(command)).toBeNull()
})

const planWith = (action: StepAction) =>
  samplePlan([sampleGroup('a', { machines: [sampleMachine('web')], after: [sampleStep('run', { action })] })])

test.each<[SiteFacts['hasCloud'] | null, string | null]>([
  ['yes', null],
  ['no', 'blocker recovery-plan/no-cloud-at-site'],
  ['unclear', 'warning recovery-plan/site-silent'],
  [null, 'blocker recovery-plan/unknown-site'],
])('the site whose sign-in is used has one, has none, is away, or is not there: %s', (hasCloud, found) => {
  const facts = new Map(
    hasCloud === null ? [] : [[site, { name: 'Azure', runsPrograms: 'no' as const, hasCloud }]],
  )
  const plan = planWith(dns)
  expect(sitesOf(plan)).toEqual([site])
  const findings = validateSites(plan, facts).map(({ level, code }) => `${level} ${code}`)
  expect(findings).toEqual(found === null ? [] : [found])
})

test('what differs between two versions is told by names', () => {
  const names = new Map([
    [site, 'Azure West'],
    ['site-2' as SiteId, 'Azure North'],
    ['protection-web', 'Web server'],
  ]) as never
  const words = (before: StepAction, after: StepAction) =>
    diffPlans(planWith(before), planWith(after), names).map((difference) => difference.words)
  expect(words(dns, { ...dns, site: 'site-2' as SiteId, values: [toWeb] })).toEqual([
    'site of step "run" from "Azure West" to "Azure North"',
    'values of step "run" from machine "Web server", "192.0.2.1" to machine "Web server"',
  ])
  expect(words(pool, { ...pool, member: { kind: 'adapter', machine: null } })).toEqual([
    'member machine of step "run" from "Web server" to none',
  ])
  expect(words(command, { ...command, variables: { KEY_two: 'x' } })).toEqual([
    'variables KEY of step "run" from "{{key}}" to none',
    'variables KEY_two of step "run" from none to "x"',
  ])
})
