// File systems made by their own program, in files; what is free in them by the word of another one.
import { mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KiB, MiB } from '@understudy/base/bytes'
import { afterEach, expect, test } from 'vitest'
import { readUsedBlocks } from './ext-block-map.ts'
import { must } from './test-disk.ts'

const atEnd: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of atEnd.splice(0).reverse()) await end()
})

async function newFileSystem(bytes: number, ...options: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-ext-'))
  atEnd.push(() => rm(folder, { recursive: true, force: true }))
  const content = join(folder, 'content')
  await mkdir(content)
  for (const name of ['a', 'b']) await writeFile(join(content, name), Buffer.alloc(300 * KiB, name))
  const image = join(folder, 'image')
  await must('mkfs.ext4', '-q', ...options, '-d', content, image, `${bytes / KiB}k`)
  return image
}

async function readUsed(
  image: string,
): Promise<{ bytes: number | null; used: Set<number>; blockBytes: number }> {
  const blockBytes = Number(/^Block size:\s+(\d+)$/m.exec(await must('dumpe2fs', '-h', image))?.[1])
  const file = await open(image)
  const used = new Set<number>()
  const bytes = await readUsedBlocks(
    async (offset, length) => {
      const data = Buffer.alloc(length)
      await file.read(data, 0, length, offset)
      return data
    },
    ({ offset, bytes: some }) => {
      for (let at = offset; at < offset + some; at += blockBytes) used.add(at / blockBytes)
    },
  )
  await file.close()
  return { bytes, used, blockBytes }
}

/** By dumpe2fs: `Free blocks: 5-7, 9`, of every group. */
function* freeBlocks(dump: string): Generator<number> {
  for (const [, list = ''] of dump.matchAll(/^ {2}Free blocks: (\d.*)$/gm))
    for (const run of list.split(', ')) {
      const [from = 0, to = from] = run.split('-').map(Number)
      for (let block = from; block <= to; block += 1) yield block
    }
}

test.each<[string, number, string[]]>([
  ['with blocks of 4 KiB', 24 * MiB, ['-b', '4096']],
  ['with small blocks and many groups', 48 * MiB, ['-b', '1024']],
  ['of the oldest kind', 24 * MiB, ['-b', '1024', '-O', '^64bit,^flex_bg,^metadata_csum,^uninit_bg']],
])('a file system %s is in use exactly where its own program says', async (_, size, options) => {
  const image = await newFileSystem(size, ...options)
  const { bytes, used, blockBytes } = await readUsed(image)
  expect(bytes).toBe(size)
  const free = new Set(freeBlocks(await must('dumpe2fs', image)))
  expect(free.size).toBeGreaterThan(1000)
  const wrong = Array.from({ length: size / blockBytes }, (__, block) => block).filter(
    (block) => used.has(block) === free.has(block),
  )
  expect(wrong).toEqual([])
})

test('one that is laid out in another way is left alone', async () => {
  const image = await newFileSystem(64 * MiB, '-O', 'bigalloc')
  const { bytes, used } = await readUsed(image)
  expect(bytes).toBeNull()
  expect(used.size).toBe(0)
})
