// What goes wrong in Azure, and what becomes of it: words that say what to do, and a next attempt that succeeds.
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { bufferReader, testBoot, testRun } from '@understudy/simulator/contracts/platform-harness'
import { expect, test } from 'vitest'
import { azureTarget } from './azure-target.ts'
import type { DoubleCall } from './double/arm-double.ts'
import type { Fault } from './double/double-parts.ts'
import { connectDouble, emulatedSettings, placeServices } from './double/emulated-azure.ts'
import { copyName, isOfRun, partName } from './run-names.ts'
import { OWN_NETWORK } from './site-networks.ts'
import { stageDisk } from './stage-disk.ts'
import { type TestSite, testSite } from './test-site.ts'

const runId = testRun('trouble')
const boot = (network: string = OWN_NETWORK, mode: 'test' | 'failover' = 'test') =>
  testBoot([Buffer.alloc(MiB, 3)], { runId, network, mode, name: 'web' }).spec

const isPut =
  (kind: string) =>
  ({ method, path }: DoubleCall) =>
    method === 'PUT' && path.includes(`/${kind}/`)
/** Fails the first so many of these calls. */
function failing(site: TestSite, which: (call: DoubleCall) => boolean, fault: Fault, times = Infinity): void {
  let left = times
  site.double.fault = (call) => {
    if (!which(call) || left === 0) return null
    left -= 1
    return fault
  }
}
const refusal = (status: number, code: string, message: string, more: object = {}): Fault => ({
  kind: 'answer',
  status,
  code,
  message,
  ...more,
})
const runMachines = (site: TestSite) => site.machines().filter((machine) => isOfRun(machine, runId))

test.each([
  [
    'a right that is missing is named, with where',
    'disks',
    refusal(
      403,
      'AuthorizationFailed',
      "The client 'a' with object id 'b' does not have authorization to perform action 'Microsoft.Compute/disks/write' over scope '/subscriptions/s/resourceGroups/replicas' or the scope is invalid.",
    ),
    {
      name: 'Refusal',
      code: 'azure/right-missing',
      text: 'Microsoft.Compute/disks/write at /subscriptions/s',
    },
  ],
  [
    'a right on what is used is named as well',
    'networkInterfaces',
    refusal(
      403,
      'LinkedAuthorizationFailed',
      "The client has permission to perform action 'Microsoft.Network/networkInterfaces/write' on scope '/a'; however, it does not have permission to perform action(s) 'Microsoft.Network/virtualNetworks/subnets/join/action' on the linked scope(s) '/subscriptions/s/subnets/web' (respectively) or the linked scope(s) are invalid.",
    ),
    {
      name: 'Refusal',
      code: 'azure/right-missing',
      text: 'subnets/join/action at /subscriptions/s/subnets/web',
    },
  ],
  [
    'a quota that is hit at the failover is a refusal with the figures',
    'virtualMachines',
    refusal(
      409,
      'OperationNotAllowed',
      'Operation could not be completed as it results in exceeding approved standardBSFamily Cores quota. Current Limit: 10, Current Usage: 10, Additional Required: 1.',
    ),
    { name: 'Refusal', code: 'azure/quota', text: 'Current Limit: 10' },
  ],
  [
    'throttling that stays is an outage that names the wait',
    'virtualMachines',
    refusal(429, 'TooManyRequests', 'Too many requests', { retryAfterSeconds: 0 }),
    { name: 'Outage', code: 'azure/throttled', text: 'fewer requests' },
  ],
  [
    'a region that has gone is told',
    'disks',
    refusal(
      400,
      'LocationNotAvailableForResourceType',
      "The provided location 'westeurope' is not available for resource type 'Microsoft.Compute/disks'.",
    ),
    { name: 'Refusal', code: 'azure/region-gone', text: 'westeurope' },
  ],
  [
    'something else at work on it is waited for by the next attempt',
    'networkInterfaces',
    refusal(
      409,
      'AnotherOperationInProgress',
      'Another operation on this or dependent resource is in progress.',
    ),
    { name: 'Outage', code: 'azure/busy', text: 'AnotherOperationInProgress' },
  ],
  [
    'an adapter that is said to be in use is tried again',
    'virtualMachines',
    refusal(400, 'NicInUse', 'Network Interface /a is used by existing resource /b.'),
    { name: 'Outage', code: 'azure/in-use', text: '/b' },
  ],
  [
    'a policy of the organisation is told',
    'virtualMachines',
    refusal(403, 'RequestDisallowedByPolicy', "Resource 'web' was disallowed by policy 'only-tagged'."),
    { name: 'Refusal', code: 'azure/forbidden-by-policy', text: 'only-tagged' },
  ],
  [
    'a line that breaks is an outage',
    'disks',
    { kind: 'no-line' } as const,
    { name: 'Outage', code: 'azure/unreachable', text: 'no answer' },
  ],
])('%s', async (_title, kind, fault, { name, code, text }) => {
  const site = await testSite()
  const before = site.things()
  failing(site, isPut(kind), fault)
  const spec = boot()
  const failure = await site.target.boot(spec).catch((error: unknown) => error)
  expect(failure).toMatchObject({
    name,
    code,
    message: expect.stringContaining(text),
    remedy: expect.stringMatching(/\w/),
  })
  // Once it is mended, the same run goes on.
  site.double.fault = () => null
  await site.target.boot(spec)
  expect(runMachines(site)).toHaveLength(1)
  await site.target.destroy(runId, spec.placing.before)
  expect(site.things()).toEqual(before)
})

test('a machine that Azure has no room for is made of the next size that fits, and nothing of the first is left', async () => {
  const site = await testSite()
  failing(
    site,
    isPut('virtualMachines'),
    {
      kind: 'work-fails',
      code: 'AllocationFailed',
      message: 'Allocation failed. We do not have sufficient capacity.',
    },
    1,
  )
  await site.target.boot(boot())
  const [machine, ...others] = runMachines(site)
  expect(others).toEqual([])
  expect(machine).toMatchObject({
    name: 'web',
    power: 'running',
    properties: { hardwareProfile: { vmSize: 'Standard_B2s' } },
  })
})

test('a machine that is left half made is found, and made anew', async () => {
  const site = await testSite()
  const half = {
    kind: 'work-fails',
    code: 'InternalExecutionError',
    message: 'An internal execution error occurred.',
  } as const
  failing(site, isPut('virtualMachines'), half)
  const spec = boot()
  await expect(site.target.boot(spec)).rejects.toMatchObject({
    name: 'Outage',
    code: 'azure/operation-failed',
    message: expect.stringContaining('An internal execution error'),
  })
  expect(runMachines(site)).toMatchObject([{ properties: { provisioningState: 'Failed' } }])
  site.double.fault = () => null
  await site.target.boot(spec)
  expect(runMachines(site)).toMatchObject([
    { power: 'running', properties: { provisioningState: 'Succeeded' } },
  ])
})

test('a work of Azure that never ends is an outage at the end of patience, and is joined, not doubled', async () => {
  const site = await testSite()
  const impatient = azureTarget({
    ...site.parts,
    arm: connectDouble(site.double, { operationMinutes: 0.002 }),
    waits: { lookMs: 1, minutes: 0.0001, pause: async () => {} },
  })
  failing(site, isPut('disks'), { kind: 'work-endless' })
  const spec = boot()
  const endless = { name: 'Outage', code: 'azure/operation-endless' }
  await expect(impatient.boot(spec)).rejects.toMatchObject(endless)
  await expect(impatient.boot(spec), 'again').rejects.toMatchObject(endless)
  const puts = site.double.calls.filter((call) => call.startsWith('PUT Microsoft.Compute/disks'))
  expect(puts, 'asked for once').toHaveLength(1)
})

test('a name that somebody takes at the last moment is left to them', async () => {
  const site = await testSite()
  let isTaken = false
  const spec = boot()
  const arm = site.parts.arm
  const machines = {
    ...arm.machines,
    create: async (...args: Parameters<typeof arm.machines.create>) => {
      if (!isTaken) await site.addMachine('web', [MiB])
      isTaken = true
      return await arm.machines.create(...args)
    },
  }
  const { name } = await azureTarget({ ...site.parts, arm: { ...arm, machines } }).boot(spec)
  expect(name).toBe('web-2')
  expect(site.machines().map((machine) => [machine.name, isOfRun(machine, runId)])).toEqual([
    ['web', false],
    ['web-2', true],
  ])
})

test('what has a name of the run and not its tag is never touched', async () => {
  const site = await testSite()
  const name = partName(runId, 'group')
  await site.double.place({ type: 'Microsoft.Network/networkSecurityGroups', name, tags: { owner: 'else' } })
  const spec = boot()
  await expect(site.target.boot(spec)).rejects.toMatchObject({ name: 'Refusal', code: 'azure/name-foreign' })
  await site.target.destroy(runId, spec.placing.before)
  expect(site.double.ofType('Microsoft.Network/networkSecurityGroups').map((group) => group.name)).toContain(
    name,
  )
})

test('a clean-up that somebody stands in the way of says who, and ends when they have gone', async () => {
  const site = await testSite()
  const before = site.things()
  const spec = boot()
  await site.target.boot(spec)
  const network = present(
    site.double.ofType('Microsoft.Network/virtualNetworks').find((one) => isOfRun(one, runId)),
    'it was made',
  )
  const subnet = { id: network.properties.subnets[0].id }
  const properties = { subnet, privateIPAllocationMethod: 'Dynamic' }
  const guest = await site.double.place({
    type: 'Microsoft.Network/networkInterfaces',
    name: 'of-the-operator',
    properties: { ipConfigurations: [{ name: 'first', properties }] },
  })
  await expect(site.target.destroy(runId, spec.placing.before)).rejects.toMatchObject({
    name: 'Outage',
    code: 'azure/in-use',
    message: expect.stringContaining('of-the-operator'),
  })
  site.double.site.resources.delete(guest.id.toLowerCase())
  await site.target.destroy(runId, spec.placing.before)
  expect(site.things()).toEqual(before)
})

test('what has the tag of the run and another name is not taken for a part of it', async () => {
  const site = await testSite()
  const spec = boot()
  await site.target.boot(spec)
  const [machine] = runMachines(site)
  const tags = { ...machine?.tags }
  await site.double.place({ type: 'Microsoft.Network/networkSecurityGroups', name: 'of-the-operator', tags })
  await site.target.destroy(runId, spec.placing.before)
  expect(site.double.ofType('Microsoft.Network/networkSecurityGroups').map(({ name }) => name)).toContain(
    'of-the-operator',
  )
})

test('a disk that a guest has used is never made anew, even when Azure says that it has failed', async () => {
  const site = await testSite()
  const spec = boot()
  const { ref } = await site.target.boot(spec)
  const disk = present(site.double.ofType('Microsoft.Compute/disks')[0], 'it has a disk')
  await site.diskOf(ref, 'disk0' as DiskKey).write(0, Buffer.alloc(512, 9))
  const [machine] = runMachines(site)
  await site.source.powerOff(ref)
  for (const thing of [machine, disk]) if (thing !== undefined) thing.properties.provisioningState = 'Failed'
  await expect(site.target.boot(spec)).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/disk-in-trouble',
  })
  expect(Buffer.from((await disk.content?.read(0, 512)) ?? []), 'what the guest wrote').toEqual(
    Buffer.alloc(512, 9),
  )
})

test('a run that was begun in another subscription is not begun here, and not said to be gone', async () => {
  const site = await testSite()
  const elsewhere = { kind: 'at', place: 'azure:/subscriptions/other/resourcegroups/replicas' } as const
  const spec = { ...boot(), placing: { before: elsewhere, keep: async () => {} } }
  await expect(site.target.boot(spec)).rejects.toMatchObject({ name: 'Outage', code: 'run/host-missing' })
  await expect(site.target.destroy(runId, elsewhere)).rejects.toMatchObject({ code: 'run/host-missing' })
  expect(site.machines()).toEqual([])
})

test('nothing is made before the place is kept', async () => {
  const site = await testSite()
  const before = site.things()
  const spec = {
    ...boot(),
    placing: {
      before: { kind: 'nowhere' } as const,
      keep: async () => {
        throw new Error('the database is away')
      },
    },
  }
  await expect(site.target.boot(spec)).rejects.toThrow('the database is away')
  expect(site.things()).toEqual(before)
})

test('the own network of a test lets nothing in and nothing out, and belongs to one machine', async () => {
  const site = await testSite()
  await site.target.boot(boot())
  const network = present(
    site.double.ofType('Microsoft.Network/virtualNetworks').find((one) => isOfRun(one, runId)),
    'it was made',
  )
  const groupId = network.properties.subnets[0].properties.networkSecurityGroup.id
  const rules = site.double.site.find(groupId)?.properties.securityRules
  expect(rules.map(({ properties }: { properties: object }) => properties)).toMatchObject([
    { direction: 'Inbound', access: 'Deny', protocol: '*', destinationAddressPrefix: '*' },
    { direction: 'Outbound', access: 'Deny', protocol: '*', destinationAddressPrefix: '*' },
  ])
  // Read as any network of the site it counts as isolated.
  const known = await site.target.networks()
  expect(known.find(({ name }) => name === `${network.name}/machine`)?.isolated).toBe(true)
})

test('a fixed and a public address go to the adapter that they are meant for, in a failover and not in a test', async () => {
  const rule = {
    macAddress: '52:54:00:12:34:56',
    mode: 'failover',
    address: '10.1.1.20',
    publicAddress: true,
  } as const
  const site = await testSite({ settings: { ...emulatedSettings, adapters: [rule] } })
  const spec = boot(site.openSubnet, 'failover')
  const { ref } = await site.target.boot(spec)
  const { addresses, note } = await site.target.probe(ref)
  expect(addresses).toEqual([expect.stringMatching(/^203\.0\.113\./), '10.1.1.20'])
  expect(note).toMatch(/\w/)
  const second = testBoot([Buffer.alloc(MiB)], {
    runId: testRun('second'),
    network: site.openSubnet,
    mode: 'failover',
  })
  const taken = (await site.target.preflight(second.spec)).find(({ level }) => level === 'blocker')
  expect(taken).toMatchObject({
    code: 'network/address-taken',
    message: expect.stringContaining('10.1.1.20'),
  })
  const asTest = await site.target.preflight({ ...second.spec, mode: 'test' })
  expect(asTest.filter(({ level }) => level === 'blocker')).toEqual([])
})

test('what the settings name and Azure has not, is said before anything is shut down', async () => {
  const inGroup = `/subscriptions/${emulatedSettings.subscriptionId}/resourceGroups/${emulatedSettings.resourceGroup}/providers`
  const pool = `${inGroup}/Microsoft.Network/loadBalancers/front/backendAddressPools`
  const withNames = (securityGroup: string, poolName: string, set: string) =>
    testSite({
      settings: {
        ...emulatedSettings,
        availabilitySetId: `${inGroup}/Microsoft.Compute/availabilitySets/${set}`,
        adapters: [
          {
            macAddress: '52:54:00:12:34:56',
            mode: 'failover',
            securityGroupId: `${inGroup}/Microsoft.Network/networkSecurityGroups/${securityGroup}`,
            backendPoolIds: [`${pool}/${poolName}`],
          },
        ],
      },
    })
  const found = async (site: TestSite, mode: 'test' | 'failover') => {
    await placeServices(site.double)
    const { id } = await site.double.place({ type: 'Microsoft.Compute/availabilitySets', name: 'web-set' })
    expect(id).toContain('web-set')
    await site.double.place({ type: 'Microsoft.Network/networkSecurityGroups', name: 'web-group' })
    const findings = await site.target.preflight(boot(site.openSubnet, mode))
    return findings.filter(({ level }) => level === 'blocker').map(({ code }) => code)
  }
  expect(await found(await withNames('web-group', 'web', 'web-set'), 'failover')).toEqual([])
  const wrong = await withNames('nope', 'nope', 'nope')
  expect(await found(wrong, 'failover')).toEqual([
    'azure/availability-set-missing',
    'azure/security-group-missing',
    'azure/back-end-pool-missing',
  ])
  // What is for failovers alone keeps no test from running.
  expect(await found(wrong, 'test')).toEqual(['azure/availability-set-missing'])
  // Where nobody may look, nothing is claimed.
  const blind = await withNames('web-group', 'web', 'nope')
  failing(blind, ({ path }) => path.includes('/availabilitySets/'), refusal(403, 'AuthorizationFailed', 'no'))
  expect(await found(blind, 'failover')).toEqual([])
})

test('a stopped run costs no processor: it is let go, and started again by the next boot', async () => {
  const site = await testSite()
  const spec = boot()
  await site.target.boot(spec)
  await site.target.stop(runId)
  expect(runMachines(site)[0]?.power).toBe('deallocated')
  await site.target.boot(spec)
  expect(runMachines(site)[0]?.power).toBe('running')
})

test('a machine whose disks Azure still fills is not committed, and not said to be whole', async () => {
  const site = await testSite()
  await site.target.boot(boot())
  const disk = present(site.double.ofType('Microsoft.Compute/disks')[0], 'it has a disk')
  disk.properties.completionPercent = 40
  const refused = { name: 'Refusal', code: 'run/not-hydrated' }
  await expect(site.target.adopt(runId)).rejects.toMatchObject(refused)
  await expect(site.target.hydrate(runId, () => {})).rejects.toMatchObject(refused)
  disk.properties.completionPercent = 100
  await site.target.hydrate(runId, () => {})
  await site.target.adopt(runId)
  expect(runMachines(site)[0]?.tags).toMatchObject({ 'understudy-adopted': 'yes' })
  expect(site.double.violations).toEqual([])
})

test('throttling that passes is waited out, as long as Azure asks for', async () => {
  const site = await testSite()
  failing(site, isPut('disks'), refusal(429, 'TooManyRequests', 'Too many', { retryAfterSeconds: 1 }), 1)
  const begun = performance.now()
  await site.target.boot(boot())
  expect(performance.now() - begun).toBeGreaterThanOrEqual(950)
})

test('a copy that somebody takes away while it is made is an outage, and made again', async () => {
  const site = await testSite()
  const { spec, readers } = testBoot([Buffer.alloc(MiB, 3)], { runId, network: OWN_NETWORK, name: 'web' })
  const reader = present(readers[0], 'one')
  const read = reader.read
  reader.read = async (offset, bytes) => {
    site.account.blobs.delete(copyName(runId, 0))
    return await read.call(reader, offset, bytes)
  }
  await expect(site.target.boot(spec)).rejects.toMatchObject({ name: 'Outage', code: 'azure/copy-gone' })
  reader.read = read
  await site.target.boot(spec)
})

test('sizes are asked for once for many preflights, and again later', async () => {
  let now = 0
  const site = await testSite({ clock: { now: () => now } })
  const asked = (): number => site.double.calls.filter((call) => call.endsWith('/skus')).length
  await site.target.preflight(boot())
  const once = asked()
  await site.target.preflight(boot())
  expect(asked()).toBe(once)
  now += 10 * 60_000
  await site.target.preflight(boot())
  expect(asked()).toBe(2 * once)
})

test('many preflights at once ask about the site once, and soon again', async () => {
  let now = 0
  const site = await testSite({ clock: { now: () => now } })
  const callsOf = async (times: number): Promise<number> => {
    const before = site.double.calls.length
    await Promise.all(
      Array.from({ length: times }, async () => [
        await site.target.networks(),
        await site.target.preflight(boot()),
      ]),
    )
    return site.double.calls.length - before
  }
  const one = await callsOf(1)
  expect(one).toBeGreaterThan(0)
  now += 20 * 60_000
  expect(await callsOf(50)).toBe(one)
  expect(await callsOf(50)).toBe(0)
  now += 60_000
  expect(await callsOf(1)).toBeGreaterThan(0)
})

test('a service of the guest that is known is the evidence, not the agent', async () => {
  const asked: (readonly string[])[] = []
  const site = await testSite({
    askService: async ({ addresses }) => {
      asked.push(addresses)
      return { addresses: ['http://10.255.0.4'], answered: true, note: '200 from the page' }
    },
  })
  const { ref } = await site.target.boot(boot())
  expect(await site.target.probe(ref)).toEqual({
    addresses: ['http://10.255.0.4'],
    answered: true,
    note: '200 from the page',
  })
  expect(asked).toEqual([['10.255.0.4']])
})

test('writing into a machine that is there is refused, with what to do instead', async () => {
  const site = await testSite()
  const ref = await site.addMachine('web', [MiB])
  const options = { runId, fingerprints: [], overwriteModified: true, onProgress: () => {} }
  await expect(site.target.restoreInto(ref, [], options)).rejects.toMatchObject({
    name: 'Refusal',
    code: 'azure/cannot-restore-into',
  })
})

test('a copy that was broken off goes on near where it was, and a quicker way is taken where there is one', async () => {
  const site = await testSite()
  const { storage } = site.parts
  const bytes = 600 * MiB
  // Almost all of it is known to be empty.
  const reader = {
    ...bufferReader(Buffer.alloc(0)),
    bytes,
    reads: [] as number[],
    breaksAt: 500 * MiB,
    async read(offset: number, length: number) {
      reader.reads.push(offset)
      if (offset >= reader.breaksAt) throw new Error('the line broke')
      return Buffer.alloc(length, 1 + ((offset / MiB) % 200))
    },
    async *map({ offset, bytes: length }: { readonly offset: number; readonly bytes: number }) {
      for (let at = offset; at < offset + length; at += 100 * MiB - (at % (100 * MiB))) {
        const end = Math.min(offset + length, at + 100 * MiB - (at % (100 * MiB)))
        const data = at % (100 * MiB) === 0 ? 4096 : 0
        if (data > 0) yield { offset: at, bytes: data, kind: 'data' as const }
        yield { offset: at + data, bytes: end - at - data, kind: 'zero' as const }
      }
    },
  }
  const disk = { key: 'disk0' as DiskKey, bytes, boot: true, reader }
  await expect(stageDisk({ storage, runId, disk, index: 0 }, undefined)).rejects.toThrow('the line broke')
  reader.reads = []
  reader.breaksAt = Infinity
  const name = await stageDisk({ storage, runId, disk, index: 0 }, undefined)
  expect(name).toBe(copyName(runId, 0))
  expect(Math.min(...reader.reads), 'what was noted is not sent again').toBeGreaterThanOrEqual(256 * MiB)
  reader.reads = []
  await stageDisk({ storage, runId, disk, index: 0 }, undefined)
  expect(reader.reads, 'a copy with its footer is whole').toEqual([])
  const copyWithin = async () => true
  await stageDisk({ storage, runId, disk, index: 1, copyWithin }, undefined)
  expect(reader.reads, 'nothing was sent').toEqual([])
})
