// The whole way over TLS: the sign-in at the directory, Microsoft's clients, and what the connection test says.
import { rootCertificates } from 'node:tls'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { MachineSpec } from '@understudy/engine/ports/target-platform'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { azureTarget } from './azure-target.ts'
import { checkArm } from './check-arm.ts'
import { believing, connectArm } from './connect-arm.ts'
import { type DoubleServer, serveDouble } from './double/double-line.ts'
import { emulatedSettings } from './double/emulated-azure.ts'
import { missingRights } from './missing-rights.ts'
import { blobAddress, openAzureTarget } from './open-azure-target.ts'
import { OWN_NETWORK } from './site-networks.ts'
import { type TestSite, testSite } from './test-site.ts'

const application = {
  tenantId: '00000000-0000-4000-8000-00000000000a',
  clientId: '00000000-0000-4000-8000-00000000000b',
  secret: 'right',
}

let site: TestSite
let server: DoubleServer
beforeAll(async () => {
  site = await testSite()
  server = await serveDouble(site.double, application)
})
afterAll(async () => {
  await server?.close()
})

const connect = async (
  secret: string,
  settings = emulatedSettings,
  other: Partial<typeof application> = {},
) => {
  const cloud = {
    resourceManager: server.address,
    directory: server.address,
    certificate: server.certificate,
  }
  return (await connectArm(settings, { kind: 'secret', ...application, secret, ...other }, cloud)).arm
}

test('a site with the right secret is connected, and told what it finds', async () => {
  const arm = await connect('right')
  expect(await checkArm(arm, emulatedSettings)).toEqual({
    summary:
      '8 machine sizes in westeurope, 2 subnets, 1 of them isolated, the storage account in the same region',
  })
  expect((await azureTarget({ ...site.parts, arm }).networks()).map(({ name }) => name)).toEqual([
    'Own network',
    'lan/web',
    'lan/test',
  ])
})

test('a site is opened with its container beside it, and nothing is asked before it is needed', async () => {
  const asked = site.double.calls.length
  const cloud = {
    resourceManager: server.address,
    directory: server.address,
    certificate: server.certificate,
  }
  const container = {
    endpoint: 'https://account.blob.core.windows.net/',
    container: 'replicas',
    signIn: { kind: 'signature', token: 'sv=1' },
  } as const
  const signIn = { kind: 'secret', ...application } as const
  const clock = { now: () => 0 }
  const opened = await openAzureTarget({ container, settings: emulatedSettings, signIn, clock, cloud })
  expect(site.double.calls).toHaveLength(asked)
  expect((await opened.check()).summary).toContain('machine sizes')
  expect(await opened.target.places()).toEqual([
    'azure:/subscriptions/00000000-0000-4000-8000-000000000001/resourcegroups/replicas',
  ])
  expect(blobAddress(container, 'runs/a/disk0.vhd')).toBe(
    'https://account.blob.core.windows.net/replicas/runs/a/disk0.vhd',
  )
})

test('a certificate is believed beside those of the system, not in their place', () => {
  expect(believing({ certificate: 'PEM' })).toEqual({ tlsOptions: { ca: [...rootCertificates, 'PEM'] } })
  expect([believing({}), believing(null)]).toEqual([{}, {}])
})

test('a wrong secret, subscription, group and region are told apart', async () => {
  const check = async (change: Partial<typeof emulatedSettings>, secret = 'right') => {
    const settings = { ...emulatedSettings, ...change }
    return await checkArm(await connect(secret, settings), settings).catch((error: unknown) => error)
  }
  const refused = (code: string) => ({ name: 'Refusal', code, remedy: expect.stringMatching(/\w/) })
  expect(await check({}, 'wrong')).toMatchObject(refused('azure/sign-in-refused'))
  const other = '00000000-0000-4000-8000-0000000000ff'
  const signIn = async (change: Partial<typeof application>) =>
    await checkArm(await connect('right', emulatedSettings, change), emulatedSettings).catch(
      (error: unknown) => error,
    )
  expect(await signIn({ clientId: other })).toMatchObject({
    ...refused('azure/sign-in-refused'),
    message: expect.stringContaining('no such application'),
  })
  expect(await signIn({ tenantId: other })).toMatchObject({
    name: 'Outage',
    code: 'azure/tenant-silent',
    message: expect.stringContaining('no such tenant'),
  })
  expect(await check({ subscriptionId: other })).toMatchObject(refused('azure/subscription-missing'))
  expect(await check({ resourceGroup: 'gone' })).toMatchObject(refused('azure/group-missing'))
})

test('every right that is missing is named, with where', async () => {
  const everything = { ...site.double.permissions }
  site.double.permissions.group = [
    {
      actions: ['Microsoft.Compute/*', 'Microsoft.Network/*'],
      notActions: ['Microsoft.Compute/disks/delete'],
    },
    { actions: ['*/read'], notActions: [] },
  ]
  site.double.permissions.subscription = [{ actions: ['Microsoft.Network/*/read'], notActions: [] }]
  const failure = await checkArm(await connect('right'), emulatedSettings).catch((error: unknown) => error)
  Object.assign(site.double.permissions, everything)
  expect(failure).toMatchObject({
    code: 'azure/right-missing',
    message:
      'The identity of the site lacks rights in Azure: Microsoft.Compute/disks/delete in resource group replicas, Microsoft.Compute/skus/read in the subscription, Microsoft.Compute/locations/usages/read in the subscription',
    facts: {
      missingRights: [
        {
          right: 'Microsoft.Compute/disks/delete',
          scope: 'resource group replicas',
          purpose: 'to make disks of copies, and to remove them',
        },
        {
          right: 'Microsoft.Compute/skus/read',
          scope: 'the subscription',
          purpose: 'to choose the size of a machine',
        },
        {
          right: 'Microsoft.Compute/locations/usages/read',
          scope: 'the subscription',
          purpose: 'to look at the quotas',
        },
      ],
    },
  })
})

test('a region, a zone and an availability set that are not there are refused, and sizes that are not offered are named', async () => {
  const refused = async (change: Partial<typeof emulatedSettings>) => {
    const settings = { ...emulatedSettings, ...change }
    return await checkArm(await connect('right', settings), settings).catch((error: unknown) => error)
  }
  expect(await refused({ region: 'mars' })).toMatchObject({ name: 'Refusal', code: 'azure/region-gone' })
  expect(await refused({ zone: '9' })).toMatchObject({
    name: 'Refusal',
    code: 'azure/zone-missing',
    remedy: expect.stringContaining('zone 1 or 2'),
  })
  expect(await refused({ zone: '2' })).toMatchObject({
    summary: expect.not.stringContaining('does not offer'),
  })
  const availabilitySetId = `/subscriptions/${emulatedSettings.subscriptionId}/resourceGroups/replicas/providers/Microsoft.Compute/availabilitySets/nope`
  expect(await refused({ availabilitySetId })).toMatchObject({
    name: 'Refusal',
    code: 'azure/availability-set-missing',
  })
  expect(await refused({ preferredSizes: ['Standard_Nope', 'standard_b1s'] })).toMatchObject({
    summary: expect.stringContaining('westeurope does not offer Standard_Nope'),
  })
})

test('scripts of plans need more than replicas do: where it is missing the test says so, and passes', async () => {
  const { group } = site.double.permissions
  site.double.permissions.group = [
    { actions: ['*'], notActions: ['Microsoft.Compute/virtualMachines/runCommands/write'] },
  ]
  const { summary } = await checkArm(await connect('right'), emulatedSettings)
  site.double.permissions.group = group
  expect(summary).toContain(
    'plans cannot run scripts in machines: Microsoft.Compute/virtualMachines/runCommands/write in resource group replicas is missing',
  )
})

test('a network of another resource group that may not be joined is named, and refused where it is chosen', async () => {
  const { elsewhere } = site.double.permissions
  site.double.permissions.elsewhere = [{ actions: ['*/read'], notActions: [] }]
  const arm = await connect('right')
  const { summary } = await checkArm(arm, emulatedSettings)
  let now = 0
  const target = azureTarget({ ...site.parts, arm, clock: { now: () => now } })
  const spec = (networkId: string): MachineSpec => ({
    name: 'web',
    mode: 'failover',
    hardware: {
      cpus: 1,
      memoryBytes: 2 ** 30,
      firmware: 'bios',
      disks: [
        {
          key: 'disk0' as DiskKey,
          label: 'vda',
          bytes: 2 ** 30,
          format: 'raw',
          bus: 'virtio',
          boot: true,
        },
      ],
      adapters: [{ key: 'net0', macAddress: '52:54:00:00:00:01', networkId: null, model: 'virtio' }],
    },
    networks: new Map([['net0', networkId]]),
    trackingId: null,
  })
  const codes = async (networkId: string) =>
    (await target.preflight(spec(networkId))).map(({ level, code }) => `${level} ${code}`)
  const found = [await codes(site.openSubnet), await codes(OWN_NETWORK)]
  site.double.permissions.elsewhere = elsewhere
  expect(summary).toContain(
    'machines cannot be connected everywhere: Microsoft.Network/virtualNetworks/subnets/join/action in network lan of resource group networks is missing',
  )
  expect(found).toEqual([['blocker network/not-joinable'], []])
  // What was asked a moment ago is not asked again.
  now += 60_000
  expect(await codes(site.openSubnet)).toEqual([])
  // And a right that is taken away is missed as soon as everything else that a preflight reads.
  site.double.permissions.elsewhere = [{ actions: ['*/read'], notActions: [] }]
  now += 16_000
  expect(await codes(site.openSubnet)).toEqual(['blocker network/not-joinable'])
  site.double.permissions.elsewhere = elsewhere
})

test('what one role takes out another one may give', () => {
  const action = ['Microsoft.Compute/disks/write']
  const reader = { actions: ['*/read'] }
  const without = { actions: ['*'], notActions: ['microsoft.compute/disks/*'] }
  expect(missingRights(action, [reader])).toEqual(action)
  expect(missingRights(action, [without])).toEqual(action)
  expect(missingRights(action, [without, { actions: ['Microsoft.Compute/disks/write'] }])).toEqual([])
  expect(missingRights(action, [{ actions: ['Microsoft.Compute/disks/wri'] }])).toEqual(action)
})
