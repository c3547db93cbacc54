import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { KiB, MiB } from '@understudy/base/bytes'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFileDevice, fileFailed, openFileDevice, openFileReader } from './file-device.ts'

let directory = ''
let file = ''
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'file-device-'))
  file = path.join(directory, 'disk.raw')
})
afterEach(() => rm(directory, { recursive: true }))

test('byte for byte the file is the disk, and holes stay holes when they are zeroed', async () => {
  const disk = await createFileDevice(file, 64 * MiB)
  const data = randomBytes(MiB)
  await disk.write(10 * MiB, data)
  await disk.zero(0, 64 * MiB - 512)
  await disk.write(MiB + 512, data.subarray(0, 1024))
  await disk.flush()
  await disk.close()
  await disk.close()
  const expected = Buffer.alloc(64 * MiB)
  data.copy(expected, MiB + 512, 0, 1024)
  expect((await readFile(file)).equals(expected)).toBe(true)
  expect((await stat(file)).blocks * 512).toBeLessThan(3 * MiB)
  const reader = await openFileReader(file)
  expect('write' in reader).toBe(false)
  expect((await reader.read(MiB, 4 * KiB)).equals(expected.subarray(MiB, MiB + 4 * KiB))).toBe(true)
  await reader.close()
})

test('a missing file, one that is there already and one that shrank are told in our words', async () => {
  await expect(openFileDevice(file)).rejects.toMatchObject({ name: 'Refusal', code: 'block/cannot-open' })
  const disk = await createFileDevice(file, MiB)
  await expect(createFileDevice(file, MiB)).rejects.toMatchObject({
    name: 'Refusal',
    code: 'block/cannot-open',
  })
  await truncate(file, 512)
  await expect(disk.read(0, 4096)).rejects.toMatchObject({ name: 'Outage', code: 'block/file-failed' })
  await disk.close()
})

test('the error of a full file system becomes an outage with a code of its own', async () => {
  const full = await writeFile('/dev/full', 'x').catch((error: unknown) => error)
  expect(fileFailed('/data/disk', 'write', full)).toMatchObject({ name: 'Outage', code: 'block/no-space' })
  expect(fileFailed('/data/disk', 'write', new Error('EIO'))).toMatchObject({ code: 'block/file-failed' })
})
