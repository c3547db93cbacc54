// What a step is to change is looked at before a run, through Microsoft's line, at a double that is judged by the published types.
import type { CloudThing } from '@understudy/engine/ports/cloud-services'
import { beforeEach, expect, test, vi } from 'vitest'
import { answers, type ServiceSite, serviceSite } from './test-services.ts'

let site: ServiceSite
beforeEach(async () => {
  site = await serviceSite()
})

const group = { resourceGroup: '' }
const things = {
  traffic: { kind: 'traffic', ...group, profile: 'shop', endpoint: 'azure' },
  pool: { kind: 'pool', ...group, loadBalancer: 'front', pool: 'web', ofAdapters: true },
  entries: { kind: 'pool', ...group, loadBalancer: 'front', pool: 'addresses', ofAdapters: false },
  zone: { kind: 'records', ...group, zone: 'lab.example', zoneKind: 'public', type: 'A' },
  inside: { kind: 'records', ...group, zone: 'lab.internal', zoneKind: 'private', type: 'AAAA' },
  script: { kind: 'script', ...group },
} satisfies Record<string, CloudThing>

test('what is there and may be changed costs no word', async () => {
  for (const thing of Object.values(things)) expect(await site.services.check(thing)).toEqual([])
  expect([site.double.violations, [...site.double.unjudged]]).toEqual([[], []])
})

test.each<[string, CloudThing]>([
  ['Traffic Manager profile nobody', { ...things.traffic, profile: 'nobody' }],
  ['endpoint elsewhere', { ...things.traffic, endpoint: 'elsewhere' }],
  ['pool none of a load balancer front', { ...things.pool, pool: 'none' }],
  ['public DNS zone other.example', { ...things.zone, zone: 'other.example' }],
  ['private DNS zone lab.example', { ...things.zone, zoneKind: 'private' }],
])('a %s that is not there is told', async (what, thing) => {
  const [finding, ...others] = await site.services.check(thing)
  expect(finding).toMatchObject({ level: 'warning', code: 'step/target-missing' })
  expect(finding?.message).toContain(what)
  expect(others).toEqual([])
})

test.each<[keyof typeof things, string]>([
  ['traffic', 'Microsoft.Network/trafficManagerProfiles/externalEndpoints/write'],
  ['pool', 'Microsoft.Network/loadBalancers/backendAddressPools/join/action'],
  ['entries', 'Microsoft.Network/loadBalancers/backendAddressPools/write'],
  ['zone', 'Microsoft.Network/dnsZones/A/write'],
  ['inside', 'Microsoft.Network/privateDnsZones/AAAA/write'],
  ['script', 'Microsoft.Compute/virtualMachines/runCommands/write'],
])('the right that is missing for %s is named', async (kind, right) => {
  site.double.permissions.group = [{ actions: ['*/read'], notActions: [] }]
  const [finding] = await site.services.check(things[kind])
  expect(finding).toMatchObject({ level: 'warning', code: 'step/right-missing' })
  expect(finding?.message).toContain(right)
  expect(finding?.message).not.toContain('/read')
  site.double.permissions.group = [{ actions: ['*'], notActions: [] }]
  // Lists of plans ask every few seconds, Azure is asked once in a minute.
  const asked = site.double.calls.length
  expect(await site.services.check(things[kind])).toHaveLength(1)
  expect(site.double.calls.length).toBe(asked)
  site.time.now += 61_000
  expect(await site.services.check(things[kind])).toEqual([])
})

test('a sign-in that may not even look is told so', async () => {
  site.failing(
    ({ path }) => path.includes('/dnsZones/'),
    answers(
      403,
      'AuthorizationFailed',
      "does not have authorization to perform action 'Microsoft.Network/dnsZones/read'",
    ),
  )
  expect(await site.services.check(things.zone)).toMatchObject([
    { level: 'warning', code: 'azure/right-missing', message: expect.stringContaining('dnsZones/read') },
  ])
})

test('a service that does not answer is an outage, and no abort of whoever asked', async () => {
  // Its limit is over.
  const limit = vi.spyOn(AbortSignal, 'timeout').mockReturnValue(AbortSignal.abort())
  const asked = site.services.check(things.zone)
  await expect(asked).rejects.toMatchObject({ name: 'Outage', code: 'azure/no-answer' })
  limit.mockRestore()
})
