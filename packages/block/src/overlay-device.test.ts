import { randomBytes } from 'node:crypto'
import { mkdtemp, open, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { KiB, MiB, TiB } from '@understudy/base/bytes'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { BlockDevice, BlockReader } from './device.ts'
import { memoryDevice } from './memory-device.ts'
import { openOverlayDevice } from './overlay-device.ts'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'overlay-'))
})
afterEach(() => rm(directory, { recursive: true }))

const DISK_BYTES = 256 * KiB + 512
let counter = 0
const newPath = (): string => path.join(directory, `overlay-${counter++}`)

async function randomBase(): Promise<{ base: BlockReader; image: Buffer }> {
  const disk = memoryDevice(DISK_BYTES)
  const image = randomBytes(DISK_BYTES)
  image.fill(0, 64 * KiB, 128 * KiB)
  await disk.write(0, image)
  const { bytes, read, map, close } = disk
  return { base: { bytes, read, ...(map === undefined ? {} : { map }), close }, image }
}

const anyStep = fc.oneof(
  fc.record({
    act: fc.constantFrom('write' as const, 'zero' as const),
    offset: fc.nat(DISK_BYTES - 1),
    bytes: fc.integer({ min: 1, max: 40_000 }),
  }),
  fc.record({ act: fc.constantFrom('flush' as const, 'reopen' as const) }),
)

test('behaves like a disk of its own, also after being closed and opened again, and never touches the base', async () => {
  const { base, image } = await randomBase()
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 14 }), async (steps) => {
      const options = { base, baseName: 'point 7', path: newPath() }
      const model = Buffer.from(image)
      let overlay = await openOverlayDevice(options)
      for (const step of steps) {
        if (!('bytes' in step)) {
          await overlay.flush()
          if (step.act === 'flush') continue
          await overlay.close()
          overlay = await openOverlayDevice(options)
        } else {
          const bytes = Math.min(step.bytes, DISK_BYTES - step.offset)
          const data = step.act === 'zero' ? Buffer.alloc(bytes) : randomBytes(bytes)
          data.copy(model, step.offset)
          if (step.act === 'zero') await overlay.zero(step.offset, bytes)
          else await overlay.write(step.offset, data)
        }
      }
      expect((await overlay.read(0, DISK_BYTES)).equals(model)).toBe(true)
      let end = 0
      for await (const extent of overlay.map?.({ offset: 0, bytes: DISK_BYTES }) ?? []) {
        expect(extent.offset).toBe(end)
        end += extent.bytes
        if (extent.kind === 'zero')
          expect(model.subarray(extent.offset, end).every((byte) => byte === 0)).toBe(true)
      }
      expect(end).toBe(DISK_BYTES)
      await overlay.close()
    }),
    { numRuns: 60 },
  )
  expect((await base.read(0, DISK_BYTES)).equals(image)).toBe(true)
})

test('writers of different sectors of one grain at the same time all keep their sectors', async () => {
  const { base, image } = await randomBase()
  // Later reads come back sooner: without a lock, an early writer would put old content over a late one's sector.
  let delayMs = 64
  const read: BlockReader['read'] = async (offset, bytes) => {
    delayMs -= 1
    await new Promise((resolve) => setTimeout(resolve, Math.max(delayMs, 0)))
    return base.read(offset, bytes)
  }
  const overlay = await openOverlayDevice({ base: { ...base, read }, baseName: 'p', path: newPath() })
  const model = Buffer.from(image)
  await Promise.all(
    Array.from({ length: 64 }, (_, sector) => {
      const data = randomBytes(512)
      data.copy(model, sector * 512)
      return overlay.write(sector * 512, data)
    }),
  )
  expect((await overlay.read(0, DISK_BYTES)).equals(model)).toBe(true)
  expect(overlay.changedBytes).toBe(32 * KiB)
  await overlay.close()
})

test('what was flushed survives a kill at any byte of the log; what was not is the base again', async () => {
  const { base, image } = await randomBase()
  const options = { base, baseName: 'p', path: newPath() }
  const overlay = await openOverlayDevice(options)
  const states: { readonly logBytes: number; readonly content: Buffer }[] = [{ logBytes: 64, content: image }]
  for (const offset of [0, 20 * KiB, 100 * KiB, 200 * KiB]) {
    await overlay.write(offset, randomBytes(8 * KiB))
    await overlay.flush()
    states.push({
      logBytes: (await stat(`${options.path}.map`)).size,
      content: await overlay.read(0, DISK_BYTES),
    })
  }
  await overlay.close()
  const log = await readFile(`${options.path}.map`)
  for (let bytes = log.length; bytes >= 64; bytes -= 1) {
    await writeFile(`${options.path}.map`, log)
    await truncate(`${options.path}.map`, bytes)
    const reopened = await openOverlayDevice(options)
    const expected = states.filter((state) => state.logBytes <= bytes).at(-1)
    expect((await reopened.read(0, DISK_BYTES)).equals(expected?.content ?? Buffer.alloc(0))).toBe(true)
    await reopened.close()
  }
})

test('a damaged record ends the log instead of mapping grains that were never written', async () => {
  const { base, image } = await randomBase()
  const options = { base, baseName: 'p', path: newPath() }
  const overlay = await openOverlayDevice(options)
  await overlay.write(0, randomBytes(4 * KiB))
  await overlay.flush()
  await overlay.close()
  const log = await open(`${options.path}.map`, 'r+')
  await log.write(Buffer.from([9]), 0, 1, 64)
  await log.close()
  const reopened = await openOverlayDevice(options)
  expect((await reopened.read(0, DISK_BYTES)).equals(image)).toBe(true)
  await reopened.close()
})

test('is refused over another base, whose bytes it would tear', async () => {
  const { base } = await randomBase()
  const options = { base, baseName: 'point 7', path: newPath() }
  await (await openOverlayDevice(options)).close()
  const other = openOverlayDevice({ ...options, baseName: 'point 8' })
  await expect(other).rejects.toMatchObject({ name: 'Refusal', code: 'block/other-base' })
  const grown = openOverlayDevice({ ...options, base: memoryDevice(DISK_BYTES + 512) })
  await expect(grown).rejects.toMatchObject({ code: 'block/other-base' })
})

test('zeroing a tebibyte and reading from it costs neither space nor time', async () => {
  const base: BlockDevice = memoryDevice(TiB)
  await base.write(MiB, randomBytes(MiB))
  const options = { base, baseName: 'p', path: newPath() }
  const overlay = await openOverlayDevice(options)
  await overlay.zero(0, TiB)
  await overlay.write(TiB / 2, Buffer.alloc(512, 1))
  await overlay.flush()
  await overlay.close()
  const reopened = await openOverlayDevice(options)
  expect(reopened.changedBytes).toBe(TiB)
  expect((await reopened.read(MiB, MiB)).every((byte) => byte === 0)).toBe(true)
  expect((await reopened.read(TiB / 2, 512)).every((byte) => byte === 1)).toBe(true)
  await reopened.close()
  expect((await stat(options.path)).blocks * 512).toBeLessThan(MiB)
})
