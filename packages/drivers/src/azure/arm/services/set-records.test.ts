// Record sets of public and private zones, through Microsoft's line, at a double that is judged by the published types.
import { beforeEach, expect, test } from 'vitest'
import type { Json } from '../double/double-parts.ts'
import { answers, failureOf, never, type ServiceSite, serviceSite } from './test-services.ts'

let site: ServiceSite
beforeEach(async () => {
  site = await serviceSite()
})

const set = (more: Json = {}) =>
  site.services.setRecords(
    {
      resourceGroup: '',
      zone: 'lab.example',
      zoneKind: 'public',
      name: 'www',
      type: 'A',
      ttlSeconds: 60,
      values: ['203.0.113.7'],
      ...more,
    } as never,
    never,
  )
const inPrivate = { zone: 'lab.internal', zoneKind: 'private' }
const isPut = ({ method }: { readonly method: string }) => method === 'PUT'
const puts = () => site.double.calls.filter((call) => call.startsWith('PUT')).length

test('a record that was not there is made, and replaced by the next one as a whole', async () => {
  expect(await set()).toBe('www.lab.example A is 203.0.113.7 with a time to live of 60 s')
  expect(await set({ values: ['203.0.113.9', '203.0.113.8'], ttlSeconds: 30 })).toContain(
    '203.0.113.9, 203.0.113.8',
  )
  expect(site.recordOf('dnsZones', 'lab.example', 'A/www')?.properties).toEqual({
    TTL: 30,
    ARecords: [{ ipv4Address: '203.0.113.9' }, { ipv4Address: '203.0.113.8' }],
    fqdn: 'www.lab.example.',
  })
  expect([site.double.violations, [...site.double.unjudged]]).toEqual([[], []])
})

test('what is so already is left alone, in whatever order and spelling', async () => {
  await set({ type: 'AAAA', values: ['2001:db8::1', '2001:db8:0:0:0:0:0:2'] })
  const written = puts()
  const again = await set({ type: 'AAAA', values: ['2001:DB8::2', '2001:db8::1'] })
  expect([again, puts()]).toEqual([expect.stringContaining('so it was already'), written])
})

test.each([
  ['A', ['10.1.1.4'], { aRecords: [{ ipv4Address: '10.1.1.4' }] }],
  ['AAAA', ['fd00::4'], { aaaaRecords: [{ ipv6Address: 'fd00::4' }] }],
  ['CNAME', ['shop.example.com'], { cnameRecord: { cname: 'shop.example.com' } }],
])('a private zone takes %s records', async (type, values, content) => {
  expect(await set({ ...inPrivate, type, values })).toContain(`www.lab.internal ${type} is ${values}`)
  expect(site.recordOf('privateDnsZones', 'lab.internal', `${type}/www`)?.properties).toEqual({
    ttl: 60,
    ...content,
    fqdn: 'www.lab.internal.',
  })
  expect([site.double.violations, [...site.double.unjudged]]).toEqual([[], []])
})

test('the zone itself has a record, and notes on a record stay', async () => {
  await set({ name: '@' })
  const record = site.recordOf('dnsZones', 'lab.example', 'A/@')
  Object.assign(record?.properties, { metadata: { owner: 'ada' } })
  expect(await set({ name: '@', values: ['203.0.113.8'] })).toMatch(/^lab\.example A is/)
  expect(site.recordOf('dnsZones', 'lab.example', 'A/@')?.properties).toMatchObject({
    metadata: { owner: 'ada' },
    ARecords: [{ ipv4Address: '203.0.113.8' }],
  })
})

test('somebody who was quicker is not written over unseen', async () => {
  await set()
  const { handle } = site.double
  let meddles = 2
  site.double.handle = async (request) => {
    const record = site.recordOf('dnsZones', 'lab.example', 'A/www')
    if (request.method === 'PUT' && record !== undefined && meddles > 0) {
      meddles -= 1
      Object.assign(record, { etag: `W/"${meddles}"` })
      record.properties.metadata = { owner: `${meddles}` }
    }
    return await handle(request)
  }
  await set({ values: ['203.0.113.8'] })
  expect(site.recordOf('dnsZones', 'lab.example', 'A/www')?.properties).toMatchObject({
    metadata: { owner: '0' },
    ARecords: [{ ipv4Address: '203.0.113.8' }],
  })
  meddles = 1000
  expect(await failureOf(set({ values: ['203.0.113.1'] }))).toMatchObject({
    name: 'Outage',
    code: 'azure/changed-meanwhile',
  })
})

test('an answer that is lost is no failure: what was written is found', async () => {
  site.failing(isPut, { kind: 'lost-answer' }, 1)
  expect(await set()).toContain('is 203.0.113.7')
  expect(site.recordOf('dnsZones', 'lab.example', 'A/www')).toBeDefined()
})

test('an alias and a record that Azure keeps itself are left alone', async () => {
  await set()
  const record = site.recordOf('dnsZones', 'lab.example', 'A/www')
  Object.assign(record?.properties, { ARecords: [], targetResource: { id: '/subscriptions/s/shop' } })
  expect(await failureOf(set())).toMatchObject({ name: 'Refusal', code: 'azure/record-is-alias' })
  await set({ ...inPrivate, values: ['10.1.1.4'] })
  Object.assign(site.recordOf('privateDnsZones', 'lab.internal', 'A/www')?.properties, {
    isAutoRegistered: true,
  })
  expect(await failureOf(set({ ...inPrivate, values: ['10.1.1.5'] }))).toMatchObject({
    code: 'azure/record-registered',
  })
})

test.each([
  [
    { zone: 'gone.example' },
    'azure/no-zone',
    'no public DNS zone gone.example in the resource group replicas',
  ],
  [{ zoneKind: 'private' }, 'azure/no-zone', 'no private DNS zone lab.example'],
])('a zone that is not there is told: %o', async (more, code, text) => {
  const failure = await failureOf(set(more))
  expect([failure.code, failure.message]).toEqual([code, expect.stringContaining(text)])
})

test('beside a CNAME nothing else has its name, and the words say so', async () => {
  await set()
  const failure = await failureOf(set({ type: 'CNAME', values: ['shop.example.com'] }))
  expect(failure).toMatchObject({ name: 'Refusal', code: 'azure/record-conflict' })
  expect(failure.remedy).toContain('beside a CNAME')
})

test('a right that is missing is named', async () => {
  const action = 'Microsoft.Network/dnsZones/A/write'
  site.failing(
    isPut,
    answers(
      403,
      'AuthorizationFailed',
      `does not have authorization to perform action '${action}' over scope '/s'`,
    ),
  )
  expect((await failureOf(set())).remedy).toContain(action)
})
