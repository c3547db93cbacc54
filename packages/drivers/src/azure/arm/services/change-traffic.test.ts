// A setting of an endpoint of Traffic Manager, through Microsoft's line, at a double that is judged by the published types.
import { beforeEach, expect, test } from 'vitest'
import type { Json } from '../double/double-parts.ts'
import { answers, failureOf, never, type ServiceSite, serviceSite } from './test-services.ts'

let site: ServiceSite
beforeEach(async () => {
  site = await serviceSite()
})

const change = (what: Json, more: Json = {}) =>
  site.services.changeTraffic(
    { resourceGroup: '', profile: 'shop', endpoint: 'azure', change: what, ...more } as never,
    never,
  )
const endpoint = (name: string): Json =>
  site.double
    .ofType('Microsoft.Network/trafficmanagerprofiles')[0]
    ?.properties.endpoints.find((one: Json) => one.name === name).properties
const isPatch = ({ method }: { readonly method: string }) => method === 'PATCH'

test('an endpoint is switched off and on; everything else of it and of the others stays', async () => {
  const before = structuredClone(endpoint('azure'))
  const other = structuredClone(endpoint('first-site'))
  expect(await change({ kind: 'status', status: 'disabled' })).toBe(
    'The endpoint azure of shop is switched off; its state is Disabled; clients remember the old answer for up to 60 s',
  )
  expect(endpoint('azure')).toEqual({
    ...before,
    endpointStatus: 'Disabled',
    endpointMonitorStatus: 'Disabled',
  })
  expect(endpoint('first-site')).toEqual(other)
  expect(await change({ kind: 'status', status: 'enabled' })).toContain(
    'is switched on; its state is CheckingEndpoint',
  )
  // Once more, as after a crash.
  expect(await change({ kind: 'status', status: 'enabled' })).toContain('is switched on')
  expect([site.double.violations, [...site.double.unjudged]]).toEqual([[], []])
})

test('weight, priority and target are set; what does not count in the profile is told', async () => {
  expect(await change({ kind: 'priority', priority: 9 })).not.toContain('does not count')
  expect(await change({ kind: 'weight', weight: 200 })).toContain(
    'at weight 200; the profile routes by Priority, where this does not count',
  )
  expect(await change({ kind: 'target', addresses: ['10.1.1.4', 'fe80::1', '203.0.113.7'] })).toContain(
    'is sent to 203.0.113.7',
  )
  expect(endpoint('azure')).toMatchObject({ priority: 9, weight: 200, target: '203.0.113.7' })
  expect(site.double.violations).toEqual([])
})

test('an address that only a network reaches is no target', async () => {
  const failure = await failureOf(change({ kind: 'target', addresses: ['10.1.1.4', 'fd00::1'] }))
  expect(failure).toMatchObject({ name: 'Refusal', code: 'azure/address-not-public' })
  expect(endpoint('azure').target).toBe('203.0.113.80')
})

test('an endpoint of a resource of Azure has no target', async () => {
  const [profile] = site.double.ofType('Microsoft.Network/trafficmanagerprofiles')
  profile?.properties.endpoints.push({
    name: 'front',
    type: 'Microsoft.Network/trafficManagerProfiles/azureEndpoints',
    properties: { endpointStatus: 'Enabled', priority: 3, weight: 1 },
  })
  const more = { endpoint: 'front' }
  expect(await failureOf(change({ kind: 'target', addresses: ['203.0.113.7'] }, more))).toMatchObject({
    code: 'azure/target-of-azure',
  })
  expect(await change({ kind: 'status', status: 'disabled' }, more)).toContain(
    'front of shop is switched off',
  )
})

test.each([
  [{ profile: 'gone' }, 'azure/no-profile', 'no Traffic Manager profile gone in the resource group replicas'],
  [{ endpoint: 'gone' }, 'azure/no-endpoint', 'has no endpoint gone; it has first-site, azure'],
  [{ resourceGroup: 'gone' }, 'azure/group-missing', 'resource group'],
])('what is not there is told: %o', async (more, code, text) => {
  const failure = await failureOf(change({ kind: 'status', status: 'disabled' }, more))
  expect(failure).toMatchObject({ name: 'Refusal', code, remedy: expect.stringMatching(/\w/) })
  expect(failure.message).toContain(text)
})

test('a priority that another endpoint has is refused in the words of Azure', async () => {
  const failure = await failureOf(change({ kind: 'priority', priority: 1 }))
  expect(failure).toMatchObject({ name: 'Refusal', code: 'azure/refused' })
  expect(failure.message).toContain('cannot have the same priority 1')
})

test('a right that is missing is named', async () => {
  const action = 'Microsoft.Network/trafficManagerProfiles/externalEndpoints/write'
  site.failing(
    isPatch,
    answers(
      403,
      'AuthorizationFailed',
      `The client 'a' with object id 'b' does not have authorization to perform action '${action}' over scope '/subscriptions/s/x' or the scope is invalid.`,
    ),
  )
  const failure = await failureOf(change({ kind: 'status', status: 'disabled' }))
  expect(failure).toMatchObject({ name: 'Refusal', code: 'azure/right-missing' })
  expect(failure.remedy).toContain(action)
})

test('throttling is waited out by the line, and an outage when it stays', async () => {
  const busy = answers(429, 'TooManyRequests', 'Too many requests', { retryAfterSeconds: 0 })
  site.failing(isPatch, busy, 2)
  expect(await change({ kind: 'status', status: 'disabled' })).toContain('switched off')
  site.failing(isPatch, busy)
  expect(await failureOf(change({ kind: 'status', status: 'enabled' }))).toMatchObject({
    name: 'Outage',
    code: 'azure/throttled',
  })
})

test('a change of which the answer is lost is made again', async () => {
  site.failing(isPatch, { kind: 'lost-answer' }, 1)
  expect(await change({ kind: 'status', status: 'disabled' })).toContain('switched off')
  expect(site.double.calls.filter((call) => call.startsWith('PATCH'))).toHaveLength(2)
})

test('what Azure took and did not do is no success', async () => {
  const { handle } = site.double
  site.double.handle = async (request) => {
    const answer = await handle(request)
    if (request.method !== 'PATCH') return answer
    return { ...answer, body: String(answer.body).replace('"Disabled"', '"Enabled"') }
  }
  const failure = await failureOf(change({ kind: 'status', status: 'disabled' }))
  expect(failure).toMatchObject({ name: 'Outage', code: 'azure/not-as-asked' })
})
