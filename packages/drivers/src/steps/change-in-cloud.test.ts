// What a step asks of a cloud, and what it makes of the answers. How Azure does it is tested at the driver of Azure.
import { Outage, Refusal } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type {
  AzureDnsAction,
  AzureLoadBalancerAction,
  TrafficManagerAction,
} from '@understudy/domain/recovery-plans/step-action'
import type { SiteId } from '@understudy/domain/sites/site'
import type { CloudServices } from '@understudy/engine/ports/cloud-services'
import type { StepWork } from '@understudy/engine/ports/step-runner'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import { changeInCloud } from './change-in-cloud.ts'
import { clock, ignore, never, testSteps, workFor } from './test-work.ts'

const site = 'azure' as SiteId
const web = 'web' as ItemId
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
const dns: AzureDnsAction = {
  kind: 'azure-dns',
  ...place,
  zone: 'example.com',
  zoneKind: 'public',
  recordName: 'www.Example.com.',
  recordType: 'A',
  ttlSeconds: 60,
  values: [{ kind: 'machine', machine: web }],
}

const asked = { changeTraffic: vi.fn(), changePool: vi.fn(), setRecords: vi.fn() }
beforeEach(() => {
  for (const one of Object.values(asked)) one.mockReset().mockResolvedValue('done')
})
const services = { ...asked, scripts: null } as unknown as CloudServices
const steps = testSteps()
const ref = '/subscriptions/s/resourcegroups/g/providers/microsoft.compute/virtualmachines/web' as MachineRef
const work = (action: StepWork['action'], more: Partial<StepWork> = {}) =>
  workFor(action, {
    cloudOf: (one) => (one === site ? services : null),
    cloudMachineOf: (machine) => (machine === web ? { ref, site, services } : null),
    addressOf: () => ['203.0.113.7', '10.1.1.4', 'http://[2001:db8::1]:8080', '192.0.2.9'],
    ...more,
  })

test('a step is done, and says what is so now', async () => {
  asked.changeTraffic.mockResolvedValue('The endpoint is switched on')
  expect(await steps.run(work(traffic))).toEqual({ note: 'The endpoint is switched on', output: null })
  expect(asked.changeTraffic.mock.calls[0]?.[0]).toEqual({
    resourceGroup: '',
    profile: 'shop',
    endpoint: 'azure',
    change: { kind: 'status', status: 'enabled' },
  })
})

test('the machines of the plan go by where they are now', async () => {
  await steps.run(work(pool))
  expect(asked.changePool.mock.calls[0]?.[0].member).toEqual({ kind: 'adapter', machine: ref })
  await steps.run(work({ ...traffic, change: { kind: 'target', to: { kind: 'machine', machine: web } } }))
  expect(asked.changeTraffic.mock.calls[0]?.[0].change.addresses).toEqual([
    '203.0.113.7',
    '10.1.1.4',
    '2001:db8::1',
    '192.0.2.9',
  ])
  const entry = {
    kind: 'entry',
    name: 'shop',
    address: { kind: 'machine', machine: web },
    network: ' /n ',
  } as const
  await steps.run(work({ ...pool, member: entry }))
  expect(asked.changePool.mock.calls[1]?.[0].member).toEqual({
    kind: 'entry',
    name: 'shop',
    address: '203.0.113.7',
    network: '/n',
  })
})

test.each<[Partial<AzureDnsAction>, object]>([
  [{}, { name: 'www', type: 'A', values: ['203.0.113.7'] }],
  [{ recordType: 'AAAA' }, { type: 'AAAA', values: ['2001:db8::1'] }],
  [{ recordName: 'example.com' }, { name: '@' }],
  [{ recordName: '*.shop.example.com' }, { name: '*.shop' }],
  [
    {
      values: [
        { kind: 'machine', machine: web },
        { kind: 'address', address: '192.0.2.1' },
        { kind: 'address', address: '192.0.2.1' },
      ],
    },
    { values: ['203.0.113.7', '192.0.2.1'] },
  ],
  [
    { recordType: 'CNAME', values: [{ kind: 'address', address: 'shop.example.net' }] },
    { type: 'CNAME', values: ['shop.example.net'] },
  ],
])('a record gets the addresses of its kind, by its name in the zone: %o', async (more, expected) => {
  await steps.run(work({ ...dns, ...more }))
  expect(asked.setRecords.mock.calls[0]?.[0]).toMatchObject({
    zone: 'example.com',
    ttlSeconds: 60,
    ...expected,
  })
})

describe('nothing is asked of Azure', () => {
  const cases: [string, StepWork['action'], Partial<StepWork>, string][] = [
    ['without a site with a sign-in', { ...traffic, site: 'other' as SiteId }, {}, 'step/no-cloud'],
    ['for a machine that runs elsewhere', pool, { cloudMachineOf: () => null }, 'step/not-in-cloud'],
    [
      'for a machine at another site',
      pool,
      { cloudMachineOf: () => ({ ref, site: 'other' as SiteId, services }) },
      'step/not-in-cloud',
    ],
    [
      'without an address of the kind of the record',
      dns,
      { addressOf: () => ['fd00::1'] },
      'step/no-address',
    ],
    [
      'to put a name into a pool',
      {
        ...pool,
        member: { kind: 'entry', name: 'a', address: { kind: 'address', address: 'web' }, network: '' },
      },
      {},
      'step/no-address',
    ],
    ['in another zone', { ...dns, recordName: 'www.example.net' }, {}, 'step/outside-zone'],
    ['about another path', { ...traffic, profile: 'shop/../other' }, {}, 'step/bad-azure-name'],
    ['about another path by a group', { ...dns, resourceGroup: '..' }, {}, 'step/bad-azure-name'],
    ['about another query', { ...pool, pool: 'web?x' }, {}, 'step/bad-azure-name'],
    ['about a record with a path in it', { ...dns, recordName: '../x.example.com' }, {}, 'step/outside-zone'],
  ]
  test.each(cases)('%s', async (_what, action, more, code) => {
    expect(await steps.fails(work(action, more))).toMatchObject({ code, remedy: expect.stringMatching(/\w/) })
    for (const one of Object.values(asked)) expect(one).not.toHaveBeenCalled()
  })
})

const outage = new Outage({
  code: 'azure/throttled',
  message: 'Azure asks for fewer requests',
  remedy: 'Wait.',
})

test('while Azure is busy it is asked again; a refusal is final and keeps its words', async () => {
  asked.changeTraffic.mockRejectedValueOnce(outage).mockResolvedValue('done')
  const told: string[] = []
  const report = (line: string): void => void told.push(line)
  expect(await changeInCloud(traffic, work(traffic), { clock, report, signal: never })).toMatchObject({
    note: 'done',
  })
  expect(told).toEqual(['asks Azure', 'Azure asks for fewer requests', 'asks Azure'])
  const refusal = new Refusal({ code: 'azure/right-missing', message: 'may not', remedy: 'Give it a role.' })
  asked.changeTraffic.mockReset().mockRejectedValue(refusal)
  expect(await steps.fails(work(traffic))).toMatchObject({
    code: 'azure/right-missing',
    remedy: 'Give it a role.',
  })
  expect(asked.changeTraffic).toHaveBeenCalledTimes(1)
})

test('what stays away until the time is up has failed, with what it waited for', async () => {
  asked.changeTraffic.mockRejectedValue(outage)
  const failure = await steps.fails(work(traffic, { deadline: Date.now() + 50 }))
  expect(failure).toMatchObject({ code: 'step/timeout' })
  expect(failure.message).toContain('Azure asks for fewer requests')
})

test('what hangs is left when the time is up, and at once when people stop it', async () => {
  asked.changeTraffic.mockImplementation(
    (_change, signal: AbortSignal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  )
  expect(await steps.fails(work(traffic, { deadline: Date.now() + 50 }))).toMatchObject({
    code: 'step/timeout',
  })
  const people = new AbortController()
  const stopped = steps.run(work(traffic), people.signal, ignore)
  await vi.waitFor(() => expect(asked.changeTraffic).toHaveBeenCalledTimes(2))
  people.abort()
  await expect(stopped).rejects.toMatchObject({ name: 'AbortError' })
})
