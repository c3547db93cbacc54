import { inflateSync } from 'node:zlib'
import { MiB } from '@understudy/base/bytes'
import type { RunId } from '@understudy/domain/failover/failover'
import { bufferReader } from '@understudy/simulator/contracts/platform-harness'
import { expect, test } from 'vitest'
import { fromSignIn } from './arm-failures.ts'
import { bitmapToPng } from './bitmap-to-png.ts'
import { emulatedSettings } from './double/emulated-azure.ts'
import { eachOrNone } from './each-or-none.ts'
import { contains, firstFree, isUsable, toAddress, toNumber, toRange, usableAddresses } from './ip-ranges.ts'
import { readOperatingSystem } from './operating-system.ts'
import { readResourceId, sameId } from './resource-id.ts'
import { copyName, freeMachineName, isPartName, partName, toMachineName } from './run-names.ts'
import { checkArmSettings, placeOf } from './settings.ts'
import { onePixel } from './test-site.ts'

test('a subnet gives what is left of it after the five addresses that Azure keeps', () => {
  const range = toRange('10.1.2.0/28')
  if (range === null) throw new Error('it is a range')
  expect(usableAddresses(range)).toBe(11)
  expect([3, 4, 14, 15].map((last) => isUsable(range, toNumber(`10.1.2.${last}`) ?? 0))).toEqual([
    false,
    true,
    true,
    false,
  ])
  const first = firstFree(range, new Set([toNumber('10.1.2.4') ?? 0]))
  expect(first === null ? null : toAddress(first)).toBe('10.1.2.5')
  const all = new Set(Array.from({ length: 16 }, (_, index) => range.first + index))
  expect(firstFree(range, all)).toBeNull()
  expect(contains(range, toRange('10.1.2.4') ?? range)).toBe(true)
  expect([toRange('10.1.2.0/33'), toRange('fd00::1'), toRange('10.1.2'), toRange('300.1.1.1')]).toEqual([
    null,
    null,
    null,
    null,
  ])
})

test('names follow from the run alone, are taken by Azure, and do not meet those of another run', () => {
  const run = 'run-1' as RunId
  expect(partName(run, 'disk0')).toBe(partName(run, 'disk0'))
  expect(partName(run, 'disk0')).toMatch(/^understudy-[0-9a-f]{15}-disk0$/)
  expect(isPartName(run, partName(run, 'adapter1'))).toBe(true)
  expect(isPartName('run-2' as RunId, partName(run, 'adapter1'))).toBe(false)
  expect(copyName(run, 0)).not.toBe(copyName('run-2' as RunId, 0))
})

test.each([
  ['web 1 (copy)', 'web-1-copy'],
  ['_web_', 'web'],
  ['…', 'machine'],
  ['x'.repeat(80), 'x'.repeat(64)],
])('a machine called "%s" is called %s in Azure', (wished, name) => {
  expect(toMachineName(wished)).toBe(name)
})

test('a name is taken in whatever letters', () => {
  expect(freeMachineName('Web', ['WEB', 'web-2'])).toBe('web-3')
  expect(freeMachineName('Web', ['app'])).toBe('Web')
})

test('ids are read in any spelling, and what is none is told', () => {
  const id = '/subscriptions/S/resourcegroups/RG/providers/Microsoft.Network/virtualNetworks/lan/subnets/web'
  expect(readResourceId(id)).toEqual({ resourceGroup: 'RG', names: ['lan', 'web'] })
  expect(readResourceId('no-such-machine')).toBeNull()
  expect(sameId(id, id.toUpperCase())).toBe(true)
  expect(sameId(undefined, undefined)).toBe(false)
})

test.each([
  ['a zone and an availability set', { zone: '1', availabilitySetId: '/x' }],
  ['a subscription that is none', { subscriptionId: 'mine' }],
  ['a resource group with a slash', { resourceGroup: 'a/b' }],
  ['an account by its name alone', { storageAccountId: 'account' }],
])('settings are refused: %s', (_what, change) => {
  expect(() => checkArmSettings({ ...emulatedSettings, ...change })).toThrow(/\w/)
  expect(checkArmSettings(emulatedSettings)).toBe(emulatedSettings)
})

test('the place of a run is spelled in one way', () => {
  expect(placeOf({ ...emulatedSettings, resourceGroup: 'Replicas' })).toBe(placeOf(emulatedSettings))
})

const table = (entries: readonly { readonly type: number; readonly sector: number }[]): Buffer => {
  const disk = Buffer.alloc(2 * MiB)
  for (const [index, { type, sector }] of entries.entries()) {
    disk[446 + index * 16 + 4] = type
    disk.writeUInt32LE(sector, 446 + index * 16 + 8)
  }
  disk.writeUInt16LE(0xaa55, 510)
  return disk
}

test('a boot disk of Windows is known by its file system or by its reserved partition', async () => {
  const ntfs = table([{ type: 7, sector: 2048 }])
  ntfs.write('NTFS    ', 2048 * 512 + 3, 'latin1')
  expect(await readOperatingSystem(bufferReader(ntfs))).toBe('Windows')
  const gpt = table([{ type: 0xee, sector: 1 }])
  gpt.write('EFI PART', 512, 'latin1')
  expect(await readOperatingSystem(bufferReader(gpt))).toBe('Linux')
  // "E3C9E316-0B5C-4DB8-817D-F92DF00215AE", as the specification of UEFI writes it down.
  Buffer.from('16e3c9e35c0bb84d817df92df00215ae', 'hex').copy(gpt, 1024 + 128)
  expect(await readOperatingSystem(bufferReader(gpt))).toBe('Windows')
  expect(await readOperatingSystem(bufferReader(table([{ type: 0x83, sector: 2048 }])))).toBe('Linux')
  expect(await readOperatingSystem(bufferReader(Buffer.alloc(MiB)))).toBe('Linux')
})

test("Azure's picture of a screen becomes a PNG of the same colours, and what is no picture is none", () => {
  const png = bitmapToPng(onePixel())
  expect(png?.toString('latin1', 1, 4)).toBe('PNG')
  const data = png?.indexOf('IDAT') ?? 0
  const length = png?.readUInt32BE(data - 4) ?? 0
  expect(inflateSync(png?.subarray(data + 4, data + 4 + length) ?? Buffer.alloc(0))).toEqual(
    Buffer.from([0, 0, 255, 0]),
  )
  expect(bitmapToPng(Buffer.from('<html>'))).toBeNull()
  expect(bitmapToPng(onePixel().subarray(0, 56))).toBeNull()
})

test.each([
  ['AADSTS7000215: Invalid client secret provided.', 'Refusal', /secret of the application is wrong/],
  ['AADSTS7000222: The provided client secret keys are expired.', 'Refusal', /expired/],
  ["AADSTS90002: Tenant 'x' not found.", 'Refusal', /no such tenant/],
  ["AADSTS900023: Specified tenant identifier 'x' is neither valid.", 'Refusal', /no such tenant/],
  ["AADSTS700016: Application with identifier 'x' was not found.", 'Refusal', /no such application/],
  ['AADSTS700024: Client assertion is not within its valid time range.', 'Refusal', /clock/],
  ['AADSTS700027: Client assertion failed signature validation.', 'Refusal', /certificate/],
  ['AADSTS7000112: Application is disabled.', 'Refusal', /is disabled/],
  ['AADSTS7000229: The client application is missing service principal.', 'Refusal', /another directory/],
  ['AADSTS53003: Access has been blocked by Conditional Access policies.', 'Refusal', /conditional access/],
  ['AADSTS500011: The resource principal was not found in the tenant.', 'Refusal', /Resource Manager/],
  ['AADSTS70002: Error validating credentials. AADSTS7000215: Invalid.', 'Refusal', /secret .* is wrong/],
  ['AADSTS90033: A transient error has occurred.', 'Outage', /has trouble/],
  ['AADSTS50126: whatever', 'Refusal', /AADSTS50126/],
  ['openid_config_error: Could not retrieve endpoints.', 'Outage', /no such tenant, or nobody answers/],
  ['ManagedIdentityCredential authentication failed', 'Outage', /No token/],
])('a sign-in that fails says why: %s', (detail, name, message) => {
  expect(fromSignIn(detail, null)).toMatchObject({ name, message: expect.stringMatching(message) })
})

test('of pieces that are of use only together the first failure stops the others, and is told when all have ended', async () => {
  const ended: number[] = []
  const work = async (item: number, _: number, signal: AbortSignal): Promise<number> => {
    if (item === 1) throw new Error('the first failure')
    await new Promise((resolve) => signal.addEventListener('abort', resolve))
    ended.push(item)
    throw new Error('stopped')
  }
  await expect(eachOrNone([0, 1, 2, 3], 3, undefined, work)).rejects.toThrow('the first failure')
  expect(ended.toSorted(), 'what had begun has ended, the rest has not begun').toEqual([0, 2])
  expect(await eachOrNone([3, 1, 2], 2, undefined, async (item) => item * 2)).toEqual([6, 2, 4])
})
