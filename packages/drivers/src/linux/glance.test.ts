import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { glance } from './glance.ts'

test('a disk that comes, grows or is swapped is seen, and so is an adapter; what comes and goes with containers is not', async () => {
  const sysfs = await mkdtemp(join(tmpdir(), 'us-sys-'))
  const set = async (path: string, text: string): Promise<void> => {
    await mkdir(join(sysfs, path, '..'), { recursive: true })
    await writeFile(join(sysfs, path), text)
  }
  let before = await glance(sysfs)
  const changes = async (path: string, text: string): Promise<boolean> => {
    await set(path, text)
    const now = await glance(sysfs)
    const changed = now !== before
    before = now
    return changed
  }
  expect(await changes('block/sda/size', '2048')).toBe(true)
  expect(await changes('block/sda/size', '2048')).toBe(false)
  expect(await changes('block/sda/size', '4096')).toBe(true)
  expect(await changes('block/sda/diskseq', '7')).toBe(true)
  expect(await changes('block/sda/diskseq', '8')).toBe(true)
  expect(await changes('block/sda/stat', '1 2 3')).toBe(false)
  expect(await changes('class/net/eth1/address', '52:54:00:00:00:01')).toBe(true)
  expect(await changes('class/net/veth12/address', '52:54:00:00:00:02')).toBe(false)
  expect(await changes('block/zram0/size', '1')).toBe(false)
  await rm(sysfs, { recursive: true })
})
