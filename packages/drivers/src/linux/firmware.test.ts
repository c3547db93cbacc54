import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { judgeHardware } from '@understudy/domain/agents/server-hardware'
import { replicaMark } from '@understudy/domain/failover/replica-mark'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { oemStringsOf, readReplicaMark, readServerHardware } from './firmware.ts'

let sysfs: string
beforeEach(async () => {
  sysfs = await mkdtemp(join(tmpdir(), 'us-sys-'))
})
afterEach(() => rm(sysfs, { recursive: true, force: true }))

async function firmware(texts: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(join(sysfs, 'class/dmi/id'), { recursive: true })
  for (const [name, text] of Object.entries(texts))
    await writeFile(join(sysfs, 'class/dmi/id', name), `${text}\n`)
}

/** As a firmware lays a structure out. */
const structure = (type: number, texts: readonly string[], formatted = Buffer.from([texts.length])): Buffer =>
  Buffer.concat([
    Buffer.from([type, 4 + formatted.length, 0, type]),
    formatted,
    Buffer.from(texts.length === 0 ? '\0\0' : `${texts.join('\0')}\0\0`, 'utf8'),
  ])

const mark = replicaMark('run-7')
const tables = (...oem: readonly string[]): Buffer =>
  Buffer.concat([
    // Zeros within the formatted part end nothing.
    structure(1, ['QEMU', 'Standard PC'], Buffer.alloc(23)),
    structure(32, [], Buffer.alloc(7)),
    structure(11, ['of the vendor', ...oem]),
    structure(127, []),
  ])

const known = {
  sys_vendor: 'Dell Inc.',
  product_name: 'PowerEdge R740',
  product_uuid: '4c4c4544-0042-3510-8054-b4c04f4b3332',
  product_serial: '7H3K2P2',
  board_serial: 'To be filled by O.E.M.',
  chassis_serial: '7H3K2P2',
  chassis_asset_tag: '7783-7084-3265-9085-8269-3286-77',
}

test('a server is known by what its firmware says, none of which goes over the line', async () => {
  await firmware(known)
  const hardware = await readServerHardware(sysfs)
  expect(hardware).toMatchObject({ model: 'Dell Inc. PowerEdge R740' })
  expect(hardware.firmwareId).toMatch(/^[0-9a-f]{32}$/)
  expect(hardware.serials).toHaveLength(1)
  for (const secret of ['7H3K2P2', '7783', '4c4c4544']) expect(JSON.stringify(hardware)).not.toContain(secret)
  await firmware({ product_uuid: known.product_uuid.toUpperCase() })
  expect(await readServerHardware(sysfs)).toEqual(hardware)
  await firmware({
    product_uuid: '9fb5d4a5-1c3a-4dd4-9f0e-7d8b1b1f5a21',
    product_serial: 'none',
    chassis_serial: '',
  })
  expect(judgeHardware(hardware, await readServerHardware(sysfs))).toMatchObject({ same: false })
})

test('firmware that says what thousands of boards say says nothing', async () => {
  await firmware({ product_uuid: '03000200-0400-0500-0006-000700080009', product_serial: 'Default string' })
  expect(await readServerHardware(sysfs)).toMatchObject({ model: null, firmwareId: null, serials: [] })
})

test('a machine that we have made is known by its mark, from the tables or from the single entries', async () => {
  expect(await readReplicaMark(sysfs)).toBeNull()
  const entry = join(sysfs, 'firmware/dmi/entries/11-0')
  await mkdir(entry, { recursive: true })
  await writeFile(join(entry, 'raw'), structure(11, ['other', mark]))
  expect(await readReplicaMark(sysfs)).toBe('run-7')
  await mkdir(join(sysfs, 'firmware/dmi/tables'))
  await writeFile(join(sysfs, 'firmware/dmi/tables/DMI'), tables())
  expect(await readReplicaMark(sysfs)).toBeNull()
  await writeFile(join(sysfs, 'firmware/dmi/tables/DMI'), tables(mark))
  expect(await readReplicaMark(sysfs)).toBe('run-7')
})

test('tables that end in the middle, or are none, are read as far as they go', () => {
  const whole = tables(mark)
  expect(oemStringsOf(whole)).toEqual(['of the vendor', mark])
  for (let bytes = 0; bytes < whole.length; bytes += 1) oemStringsOf(whole.subarray(0, bytes))
  expect(oemStringsOf(Buffer.alloc(64))).toEqual([])
  expect(oemStringsOf(Buffer.alloc(64, 0xff))).toEqual([])
  // What is behind the end of the tables counts for nothing.
  expect(oemStringsOf(Buffer.concat([structure(127, []), structure(11, [mark])]))).toEqual([])
})
