// Members of back-end pools, through Microsoft's clients, at a double that is judged by the published types.
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { beforeEach, expect, test } from 'vitest'
import type { Json, Resource } from '../double/double-parts.ts'
import { answers, failureOf, never, type ServiceSite, serviceSite } from './test-services.ts'

let site: ServiceSite
let machine: MachineRef
beforeEach(async () => {
  site = await serviceSite()
  machine = await site.addMachine('web', [MiB])
})

const move = (membership: 'in' | 'out', member: Json = { kind: 'adapter', machine }, more: Json = {}) =>
  site.services.changePool(
    {
      resourceGroup: '',
      loadBalancer: 'front',
      pool: member.kind === 'adapter' ? 'web' : 'addresses',
      membership,
      member,
      ...more,
    } as never,
    never,
  )
const network = (): string => site.openSubnet.split('/subnets/')[0] ?? ''
const entry = (name: string, address: string): Json => ({ kind: 'entry', name, address, network: network() })
const adapter = (): Resource =>
  present(
    site.double.ofType('Microsoft.Network/networkInterfaces').find(({ name }) => name === 'web-adapter'),
    'the machine has an adapter',
  )
const poolsOfAdapter = (): readonly string[] =>
  (adapter().properties.ipConfigurations[0].properties.loadBalancerBackendAddressPools ?? []).map(
    ({ id }: Json) => id.split('/').at(-1),
  )
const pool = (name: string): Json =>
  site.double
    .ofType('Microsoft.Network/loadBalancers')[0]
    ?.properties.backendAddressPools.find((one: Json) => one.name === name).properties
const isPut = ({ method, path }: { readonly method: string; readonly path: string }) =>
  method === 'PUT' && /networkInterfaces|backendAddressPools/.test(path)

test('the adapter of a machine goes into a pool and out of it; what else it has stays', async () => {
  Object.assign(adapter(), { tags: { owner: 'ada' } })
  const { tags, properties } = structuredClone(adapter())
  expect(await move('in')).toBe('web is in the pool front/web')
  expect(poolsOfAdapter()).toEqual(['web'])
  expect(await move('in')).toBe('web is in the pool front/web; so it was already')
  expect(await move('out')).toBe('web is not in the pool front/web')
  expect(poolsOfAdapter()).toEqual([])
  expect(await move('out')).toContain('so it was already')
  expect(adapter().tags).toEqual(tags)
  expect(adapter().properties).toMatchObject({
    macAddress: properties.macAddress,
    virtualMachine: properties.virtualMachine,
    ipConfigurations: [
      {
        properties: {
          privateIPAddress: properties.ipConfigurations[0].properties.privateIPAddress,
          subnet: properties.ipConfigurations[0].properties.subnet,
        },
      },
    ],
  })
  expect([site.double.violations, [...site.double.unjudged]]).toEqual([[], []])
})

test('an address goes into a pool beside others, is replaced by its name, and goes out', async () => {
  await move('in', entry('standby', '10.1.1.9'))
  expect(await move('in', entry('shop', '10.1.1.20'))).toBe(
    'shop is in the pool front/addresses as 10.1.1.20',
  )
  expect(await move('in', entry('Shop', '10.1.1.21'))).toContain('10.1.1.21')
  expect(await move('in', entry('shop', '10.1.1.21'))).toContain('so it was already')
  expect(pool('addresses').loadBalancerBackendAddresses).toEqual([
    { name: 'standby', properties: { ipAddress: '10.1.1.9', virtualNetwork: { id: network() } } },
    { name: 'shop', properties: { ipAddress: '10.1.1.21', virtualNetwork: { id: network() } } },
  ])
  expect(await move('out', { kind: 'entry', name: 'shop', network: '' })).toBe(
    'shop is not in the pool front/addresses',
  )
  expect(await move('out', { kind: 'entry', name: 'shop', network: '' })).toContain('so it was already')
  expect(pool('addresses').loadBalancerBackendAddresses).toHaveLength(1)
  expect([site.double.violations, [...site.double.unjudged]]).toEqual([[], []])
})

test('adapters and addresses do not go into one pool', async () => {
  await move('in')
  expect(await failureOf(move('in', entry('shop', '10.1.1.20'), { pool: 'web' }))).toMatchObject({
    name: 'Refusal',
    code: 'azure/pool-of-adapters',
  })
  await move('in', entry('shop', '10.1.1.20'))
  expect(await failureOf(move('in', { kind: 'adapter', machine }, { pool: 'addresses' }))).toMatchObject({
    name: 'Refusal',
    code: 'azure/pool-of-addresses',
  })
})

test('what somebody else has changed on the adapter meanwhile stays', async () => {
  const { handle } = site.double
  let meddles = 1
  site.double.handle = async (request) => {
    if (request.method === 'PUT' && meddles > 0) {
      meddles -= 1
      Object.assign(adapter(), { tags: { owner: 'meddler' }, etag: 'W/"other"' })
    }
    return await handle(request)
  }
  expect(await move('in')).toContain('is in the pool')
  expect([adapter().tags, poolsOfAdapter()]).toEqual([{ owner: 'meddler' }, ['web']])
})

test('what Azure works on is waited for; what fails there or loses its answer is an outage, and the next look tells', async () => {
  site.failing(isPut, { kind: 'work-fails', code: 'InternalServerError', message: 'An error occurred.' }, 1)
  expect(await failureOf(move('in'))).toMatchObject({ name: 'Outage', code: 'azure/operation-failed' })
  expect(await move('in')).toContain('is in the pool')
  site.failing(isPut, { kind: 'lost-answer' }, 1)
  expect(await move('out')).toContain('is not in the pool')
  expect(poolsOfAdapter()).toEqual([])
})

test('somebody else at work on the adapter is waited out by asking again', async () => {
  site.failing(isPut, answers(409, 'AnotherOperationInProgress', 'Another operation is in progress.'), 1)
  expect(await failureOf(move('in'))).toMatchObject({ name: 'Outage', code: 'azure/busy' })
  expect(await move('in')).toContain('is in the pool')
})

test.each([
  [{ pool: 'gone' }, 'azure/no-pool', 'no pool gone of a load balancer front in the resource group replicas'],
  [{ loadBalancer: 'gone' }, 'azure/no-pool', 'no pool web of a load balancer gone'],
  [{ resourceGroup: 'gone' }, 'azure/group-missing', 'resource group'],
])('what is not there is told: %o', async (more, code, text) => {
  const failure = await failureOf(move('in', undefined, more))
  expect([failure.name, failure.code]).toEqual(['Refusal', code])
  expect(failure.message).toContain(text)
})

test('a machine that has gone is told', async () => {
  const gone = machine.replace(/web$/, 'gone') as MachineRef
  expect(await failureOf(move('in', { kind: 'adapter', machine: gone }))).toMatchObject({
    code: 'machine/not-found',
  })
})

test('the right to join the pool is named when it is missing', async () => {
  site.failing(
    isPut,
    answers(
      403,
      'LinkedAuthorizationFailed',
      "The client has permission to perform action 'Microsoft.Network/networkInterfaces/write' on scope '/a'; however, it does not have permission to perform action(s) 'Microsoft.Network/loadBalancers/backendAddressPools/join/action' on the linked scope(s) '/subscriptions/s/pools/web' (respectively) or the linked scope(s) are invalid.",
    ),
  )
  const failure = await failureOf(move('in'))
  expect(failure.code).toBe('azure/right-missing')
  expect(failure.remedy).toContain('backendAddressPools/join/action')
})
