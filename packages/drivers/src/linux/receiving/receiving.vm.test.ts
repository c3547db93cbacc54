// Disks of a rescue system as the kernel has them: what is in use is neither offered nor opened.
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { afterEach, expect, test } from 'vitest'
import { makeTestDisk, must, requireLinuxSource, type TestDisk } from '../test-disk.ts'
import { readReceivableDisks } from './receivable-disks.ts'
import { openReceivingDisk } from './receiving-disk.ts'

let disk: TestDisk
afterEach(() => disk.remove())

test('a disk is blocked and cannot be opened while it is mounted, and takes data and zeros once it is not', async () => {
  await requireLinuxSource()
  disk = await makeTestDisk('ext4', 32 * MiB)
  const { path, mountPoint } = disk
  const look = async () => present((await readReceivableDisks([path]))[0], 'it is there')
  expect(await look()).toMatchObject({ path, bytes: 32 * MiB, blocked: expect.stringContaining(mountPoint) })
  await expect(openReceivingDisk(path, 32 * MiB)).rejects.toMatchObject({ code: 'receiver/disk-in-use' })
  await must('umount', mountPoint)
  try {
    expect(await look()).toMatchObject({ blocked: null })
    const device = await openReceivingDisk(path, 32 * MiB)
    await device.write(0, Buffer.alloc(32 * MiB, 7))
    await device.zero(4 * MiB, 8 * MiB)
    await device.zero(20 * MiB, 4096)
    await device.flush()
    // Nobody else gets it meanwhile.
    await expect(openReceivingDisk(path, 32 * MiB)).rejects.toMatchObject({ code: 'receiver/disk-in-use' })
    const found = await device.read(0, 32 * MiB)
    await device.close()
    const wanted = Buffer.alloc(32 * MiB, 7)
      .fill(0, 4 * MiB, 12 * MiB)
      .fill(0, 20 * MiB, 20 * MiB + 4096)
    expect(found.equals(wanted)).toBe(true)
  } finally {
    await must('mkfs.ext4', '-q', '-F', path)
    await must('mount', path, mountPoint)
  }
})
