// A site in Azure that runs replicas, as an operator registers it: storage against the emulator, Resource Manager against the double.
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { RunId } from '@understudy/domain/failover/failover'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type DoubleServer, serveDouble } from './arm/double/double-line.ts'
import { emulatedSettings } from './arm/double/emulated-azure.ts'
import { type TestSite, testSite } from './arm/test-site.ts'
import { EMULATOR_ACCOUNT, EMULATOR_KEY } from './emulator/start-azurite.ts'
import { type Emulator, startEmulator } from './emulator/start-emulator.ts'
import { openAzurePlatform } from './platform.ts'

const application = {
  tenantId: '00000000-0000-4000-8000-00000000000a',
  clientId: '00000000-0000-4000-8000-00000000000b',
  secret: 'right',
}
const right = { accountKey: EMULATOR_KEY, clientSecret: 'right' }

let emulator: Emulator
let site: TestSite
let server: DoubleServer
let now = Date.parse('2026-01-01T12:00:00Z')
let everything: TestSite['double']['permissions']
beforeAll(async () => {
  emulator = await startEmulator()
  await emulator.makeContainer('replicas')
  site = await testSite()
  everything = { ...site.double.permissions }
  server = await serveDouble(site.double, application)
})
afterEach(() => {
  emulator.proxy.fault = null
  Object.assign(site.double.permissions, everything)
})
afterAll(async () => {
  await server.close()
  await emulator.stop()
})

const { subscriptionId, resourceGroup, region } = emulatedSettings
const open = ({
  isTrial = true,
  secrets = right as Record<string, string>,
  compute = {},
  more = {},
} = {}) => {
  const settings = {
    account: EMULATOR_ACCOUNT,
    container: 'replicas',
    endpoint: `http://127.0.0.1:${emulator.proxy.port}/${EMULATOR_ACCOUNT}`,
    compute: {
      subscriptionId,
      resourceGroup,
      region,
      signIn: { kind: 'secret', tenantId: application.tenantId, clientId: application.clientId },
      cloud: {
        resourceManager: server.address,
        directory: server.address,
        certificate: server.certificate,
      },
      ...compute,
    },
    ...more,
  }
  return openAzurePlatform({ settings }, secrets, { clock: { now: () => now }, isTrial })
}

test('a site that says where replicas run can run them, and its networks are those of Azure', async () => {
  const platform = await open()
  expect(platform.withoutTarget).toBeUndefined()
  expect((await platform.target?.networks())?.map(({ name }) => name)).toEqual([
    'Own network',
    'lan/web',
    'lan/test',
  ])
  expect((await platform.checkConnection()).summary).toMatch(
    /container replicas answers.*; resource group replicas: 8 machine sizes in westeurope.*everything that running machines needs is allowed$/,
  )
  await platform.target?.destroy('no-run' as RunId, { kind: 'anywhere' })
})

test('a right that is missing at Resource Manager is named, beside what the storage lacks', async () => {
  site.double.permissions.group = [{ actions: ['*'], notActions: ['Microsoft.Compute/disks/delete'] }]
  await expect((await open()).checkConnection()).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/right-missing',
    message: expect.stringContaining('Microsoft.Compute/disks/delete'),
  })
  emulator.proxy.fault = ({ method }) =>
    method === 'DELETE' ? { kind: 'answer', status: 403, name: 'AuthorizationPermissionMismatch' } : null
  await expect((await open()).checkConnection()).rejects.toMatchObject({
    name: 'Refusal',
    message: expect.stringMatching(/may not .*delete blobs.*And: .*Microsoft\.Compute\/disks\/delete/),
    remedy: expect.stringContaining('Contributor'),
  })
})

test('an account in another region is refused before anything is replicated, and one that nobody may look at is told', async () => {
  const { storageRegion } = site.double
  try {
    site.double.storageRegion = 'northeurope'
    await expect((await open()).checkConnection()).rejects.toMatchObject({
      name: 'Refusal',
      code: 'azure/storage-elsewhere',
      message: expect.stringContaining('is in northeurope, and machines shall run in westeurope'),
    })
    site.double.storageIsThere = false
    await expect((await open()).checkConnection()).rejects.toMatchObject({
      name: 'Refusal',
      code: 'azure/storage-account-missing',
      message: expect.stringContaining('There is no storage account'),
      remedy: expect.stringContaining('resource id'),
    })
    site.double.storageIsThere = true
    site.double.storageRegion = null
    expect((await (await open()).checkConnection()).summary).toContain(
      'the region of the storage account not checked',
    )
  } finally {
    site.double.storageRegion = storageRegion
    site.double.storageIsThere = true
  }
})

test('a wrong secret and one that is missing are refused in words of the part that they belong to', async () => {
  await expect(
    (await open({ secrets: { ...right, clientSecret: 'old' } })).checkConnection(),
  ).rejects.toMatchObject({ name: 'Refusal', code: 'azure/sign-in-refused' })
  await expect(open({ secrets: { accountKey: EMULATOR_KEY } })).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/no-sign-in',
    remedy: expect.stringContaining('Certificates & secrets'),
  })
})

test('a site in use whose secret has gone keeps its replicas, and says why nothing can run', async () => {
  const platform = await open({ isTrial: false, secrets: { accountKey: EMULATOR_KEY } })
  expect(platform.target).toBeUndefined()
  expect(platform.withoutTarget).toContain('No secret of the application')
  expect(await platform.replicas.list()).toEqual([])
  await expect(platform.checkConnection()).rejects.toMatchObject({ code: 'azure/no-sign-in' })
})

test('rights are asked for once an hour, and at once again after a refusal', async () => {
  const platform = await open({ isTrial: false })
  await platform.checkConnection()
  const asked = site.double.calls.length
  expect((await platform.checkConnection()).summary).toMatch(/container replicas answers$/)
  expect(site.double.calls).toHaveLength(asked)
  now += 3_600_000
  site.double.permissions.subscription = []
  for (const _ of [1, 2])
    await expect(platform.checkConnection()).rejects.toMatchObject({ code: 'azure/right-missing' })
  Object.assign(site.double.permissions, everything)
  expect((await platform.checkConnection()).summary).toContain('machine sizes')
})

test('the sign-in to Resource Manager goes through the proxy of the site too, where the certificate of a stand-in is not believed', async () => {
  const seen: (string | undefined)[] = []
  const proxy = createServer((from, to) => {
    const onwards = request(from.url ?? '', { method: from.method, headers: from.headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(to)
    })
    from.pipe(onwards)
  })
  proxy.on('connect', ({ url = '' }, socket: Socket) => {
    seen.push(url)
    const onwards = connect(Number(url.split(':')[1]), '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(onwards).pipe(socket)
    })
    for (const end of [onwards, socket]) end.on('error', () => {})
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const { port } = proxy.address() as AddressInfo
  const cloud = { resourceManager: server.address, directory: server.address }
  const platform = await open({ compute: { cloud }, more: { proxyUrl: `http://127.0.0.1:${port}` } })
  await expect(platform.checkConnection()).rejects.toMatchObject({ name: 'Outage' })
  expect(new Set(seen)).toEqual(new Set([new URL(server.address).host]))
  proxy.closeAllConnections()
  proxy.close()
})

test('a stand-in that cannot be reached is an outage: what keeps the replicas is asked all the same', async () => {
  const away = { resourceManager: 'https://127.0.0.1:1', directory: 'https://127.0.0.1:1' }
  const platform = await open({ isTrial: false, compute: { cloud: away } })
  await expect(platform.checkConnection()).rejects.toMatchObject({ name: 'Outage' })
  expect(await platform.replicas.list()).toEqual([])
}, 120_000)
