import { mkdtemp, rm, stat, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { present } from '@understudy/base/invariant'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { GRAIN_BYTES } from './generated-content.ts'
import { openWrittenGrains, type WrittenGrains } from './written-grains.ts'

let folder: string
let file: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-written-'))
  file = join(folder, 'deep', 'disk0.written')
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

const data = (value: number): Buffer => Buffer.alloc(GRAIN_BYTES, value)
const marks = { afterWrites: 3, mutation: 7 }

async function shownAt(grains: WrittenGrains, grain: number): Promise<number | 'zeros' | 'none'> {
  const found = grains.index().get(grain)
  if (!found) return 'none'
  if (found.fileOffset === null) return 'zeros'
  const content = await grains.read(found.fileOffset)
  expect(content.every((byte) => byte === content[0])).toBe(true)
  return present(content[0], 'a grain has bytes')
}

test('what was written is there after it is opened again, the later write first', async () => {
  const grains = await openWrittenGrains(file)
  await grains.append([
    { grain: 5, content: data(1), ...marks },
    { grain: 9, content: null, ...marks },
  ])
  await grains.append([{ grain: 5, content: data(2), afterWrites: 4, mutation: 8 }])
  const again = await openWrittenGrains(file)
  expect(await shownAt(again, 5)).toBe(2)
  expect(await shownAt(again, 9)).toBe('zeros')
  expect(await shownAt(again, 1)).toBe('none')
  expect(again.index().get(5)).toMatchObject({ afterWrites: 4, mutation: 8 })
})

test('a file of many records is read whole', async () => {
  const grains = await openWrittenGrains(file)
  const many = Array.from({ length: 600 }, (_, grain) => grain)
  await grains.append(
    many.map((grain) => ({ grain, content: grain % 3 === 0 ? null : data(grain % 251), ...marks })),
  )
  const again = await openWrittenGrains(file)
  for (const grain of many) expect(await shownAt(again, grain)).toBe(grain % 3 === 0 ? 'zeros' : grain % 251)
})

test('an index that somebody holds stays as it was, and so does what it points to', async () => {
  const grains = await openWrittenGrains(file)
  await grains.append([{ grain: 1, content: data(1), ...marks }])
  const held = grains.index()
  await grains.append([{ grain: 1, content: data(2), ...marks }])
  grains.cut(1)
  const offset = present(held.get(1)?.fileOffset, 'it was there')
  expect((await grains.read(offset))[0]).toBe(1)
  expect(await shownAt(grains, 1)).toBe('none')
})

test('a record that was cut off is dropped, and the next one goes in its place', async () => {
  const grains = await openWrittenGrains(file)
  await grains.append([{ grain: 1, content: data(1), ...marks }])
  await grains.append([{ grain: 2, content: data(2), ...marks }])
  await truncate(file, (await stat(file)).size - 100)
  const again = await openWrittenGrains(file)
  expect(await shownAt(again, 1)).toBe(1)
  expect(await shownAt(again, 2)).toBe('none')
  await again.append([{ grain: 3, content: data(3), ...marks }])
  const third = await openWrittenGrains(file)
  expect([await shownAt(third, 1), await shownAt(third, 2), await shownAt(third, 3)]).toEqual([1, 'none', 3])
})

test('a file that is mostly overwritten shrinks when it is opened', async () => {
  const grains = await openWrittenGrains(file)
  for (let round = 0; round < 30; round += 1)
    await grains.append(Array.from({ length: 20 }, (_, grain) => ({ grain, content: data(round), ...marks })))
  const before = (await stat(file)).size
  const again = await openWrittenGrains(file)
  expect((await stat(file)).size).toBeLessThan(before / 10)
  for (let grain = 0; grain < 20; grain += 1) expect(await shownAt(again, grain)).toBe(29)
  const third = await openWrittenGrains(file)
  for (let grain = 0; grain < 20; grain += 1) expect(await shownAt(third, grain)).toBe(29)
})
