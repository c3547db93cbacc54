// The machines of the double are QEMU's: what is copied of one that runs is copied while it is held still.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { afterEach, expect, test } from 'vitest'
import { type QemuRunner, qemuRunner } from './qemu-runner.ts'

let folder: string
let runner: QemuRunner | null = null
afterEach(async () => {
  await runner?.close()
  await rm(folder, { recursive: true, force: true })
})

/** A boot sector that counts in the second sector of its disk for ever: `mov ah,43h`, which writes, and a jump back. */
function countingDisk(): Buffer {
  const code = [
    ...[0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xd0, 0xbc, 0x00, 0x7c, 0xfb], // segments and a stack
    ...[0x66, 0xff, 0x06, 0x00, 0x80], // inc dword [8000h]
    ...[0x31, 0xc0, 0x8e, 0xc0, 0xbb, 0x00, 0x80], // es:bx = 0:8000h
    ...[0xb8, 0x01, 0x03, 0xb9, 0x02, 0x00, 0xba, 0x80, 0x00], // write one sector, cylinder 0, sector 2, first disk
    ...[0xcd, 0x13, 0xeb, 0xe7], // int 13h, again
  ]
  const sector = Buffer.alloc(512)
  Buffer.from(code).copy(sector)
  sector.writeUInt16LE(0xaa55, 510)
  return sector
}

test('a machine writes nothing while it is held, and goes on afterwards, though the copying fails', async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-qr-'))
  const qemu = qemuRunner(folder)
  runner = qemu
  const disk = await qemu.room(MiB)
  await disk.write(0, countingDisk())
  await qemu.start({ name: 'web', disks: [disk] })
  const count = async (): Promise<number> => (await disk.read(512, 4)).readUInt32LE(0)
  const later = async (than: number): Promise<void> => {
    const deadline = Date.now() + 60_000
    while ((await count()) <= than) {
      if (Date.now() > deadline) throw new Error(`it does not write: ${than}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  await later(0)
  const hold = present(qemu.hold, 'it can hold machines')
  await hold('web', async () => {
    const before = await count()
    await new Promise((resolve) => setTimeout(resolve, 1000))
    expect(await count(), 'while it is held').toBe(before)
  })
  await later(await count())
  await expect(
    hold('web', async () => {
      throw new Error('no room for the copy')
    }),
  ).rejects.toThrow('no room')
  await later(await count())
}, 120_000)
