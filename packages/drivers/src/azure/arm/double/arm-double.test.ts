// The double is held to what Microsoft's clients and published types say, so that tests over it mean something.
import { ComputeManagementClient } from '@azure/arm-compute'
import { NetworkManagementClient } from '@azure/arm-network'
import { MiB } from '@understudy/base/bytes'
import { afterEach, expect, test } from 'vitest'
import { armDouble } from './arm-double.ts'
import { type DoubleServer, serveDouble } from './double-line.ts'
import { roomInMemory } from './emulated-azure.ts'
import { complaintsAbout } from './published-types.ts'

const subscriptionId = '00000000-0000-4000-8000-000000000001'
const credential = {
  getToken: async () => ({ token: 'a token', expiresOnTimestamp: Date.now() + 3_600_000 }),
}

const makeDouble = () =>
  armDouble({
    subscriptionId,
    resourceGroup: 'replicas',
    region: 'westeurope',
    room: roomInMemory,
    openBlob: async () => ({
      bytes: MiB,
      read: async (_, bytes) => Buffer.alloc(bytes),
      write: async () => {},
    }),
  })

const ask = (double: ReturnType<typeof makeDouble>, method: string, path: string, body: unknown = null) =>
  double.handle({
    method,
    url: `/subscriptions/${subscriptionId}/resourceGroups/replicas/providers/${path}`,
    headers: { authorization: 'Bearer x' },
    body: body === null ? '' : JSON.stringify(body),
  })

let server: DoubleServer | null = null
afterEach(async () => {
  await server?.close()
  server = null
})

test("Microsoft's clients make and remove a network over TLS with a certificate that is checked", async () => {
  const double = makeDouble()
  server = await serveDouble(double)
  const options = { endpoint: server.address, tlsOptions: { ca: server.certificate } }
  const network = new NetworkManagementClient(credential, subscriptionId, {
    ...options,
    $host: server.address,
  })
  const poll = { updateIntervalInMs: 1 }
  const made = await network.virtualNetworks.beginCreateOrUpdateAndWait(
    'replicas',
    'lan',
    {
      location: 'westeurope',
      addressSpace: { addressPrefixes: ['10.1.0.0/16'] },
      subnets: [{ name: 'web', addressPrefix: '10.1.1.0/24' }],
    },
    poll,
  )
  expect(made.subnets?.[0]?.id).toContain('/virtualNetworks/lan/subnets/web')
  await network.virtualNetworks.beginDeleteAndWait('replicas', 'lan', poll)
  await expect(network.virtualNetworks.get('replicas', 'lan')).rejects.toMatchObject({ statusCode: 404 })

  const compute = new ComputeManagementClient(credential, subscriptionId, options)
  const names: (string | undefined)[] = []
  for await (const { name } of compute.resourceSkus.list()) names.push(name)
  expect(names.length, 'all pages were read').toBeGreaterThan(5)
  expect(double.violations).toEqual([])
})

test('a request that contradicts the published types is refused, and remembered', async () => {
  const double = makeDouble()
  const disk = 'Microsoft.Compute/disks/one?api-version=2025-01-02'
  const wrong = {
    location: 'westeurope',
    tags: {},
    properties: { creationData: { createOption: 'Inport' }, diskState: 'Unattached', colour: 'red' },
  }
  const answer = await ask(double, 'PUT', disk, wrong)
  expect(answer.status).toBe(400)
  expect(double.violations).toHaveLength(3)
  expect(double.violations.join('\n')).toMatch(/Inport/)
  expect(double.violations.join('\n')).toMatch(/diskState is for Azure to say/)
  expect(double.violations.join('\n')).toMatch(/colour is not known/)
})

test('an answer is judged as well: what is required must be in it', () => {
  const answer = { id: '/x', name: 'one', type: 'Microsoft.Compute/disks', properties: {} }
  const about = { type: 'Microsoft.Compute/disks', version: '2025-01-02', direction: 'answer' } as const
  expect(complaintsAbout(about, answer)?.join('\n')).toMatch(/location is missing/)
  expect(
    complaintsAbout({ ...about, version: '1999-01-01' }, answer),
    'unknown versions are not judged',
  ).toBeNull()
})

test('what needs a sign-in, a version, a group and a region says so in the words of Azure', async () => {
  const double = makeDouble()
  const codeOf = (answer: { readonly body: string | Buffer }): string =>
    JSON.parse(String(answer.body)).error.code
  const version = '?api-version=2025-01-02'
  expect(codeOf(await ask(double, 'GET', 'Microsoft.Compute/disks/one'))).toBe('MissingApiVersionParameter')
  expect(codeOf(await ask(double, 'GET', `Microsoft.Compute/disks/one${version}`))).toBe('ResourceNotFound')
  const elsewhere = `/subscriptions/${subscriptionId}/resourceGroups/other/providers/Microsoft.Compute/disks${version}`
  const headers = { authorization: 'Bearer x' }
  expect(codeOf(await double.handle({ method: 'GET', url: elsewhere, headers, body: '' }))).toBe(
    'ResourceGroupNotFound',
  )
  expect(codeOf(await double.handle({ method: 'GET', url: elsewhere, headers: {}, body: '' }))).toBe(
    'AuthenticationFailed',
  )
})

test('a cloud that runs for long does not remember everything for ever, and its time goes on', async () => {
  const double = makeDouble()
  const disk = 'Microsoft.Compute/disks/one?api-version=2025-01-02'
  const wrong = { location: 'westeurope', tags: {}, properties: { creationData: { createOption: 'x' } } }
  let before = ''
  for (let request = 0; request < 2500; request += 1) {
    before = double.site.now()
    await ask(double, 'PUT', disk, wrong)
  }
  expect(double.site.now() > before).toBe(true)
  expect(double.calls.length).toBeLessThanOrEqual(2001)
  expect(double.violations.length).toBeLessThanOrEqual(2001)
})
