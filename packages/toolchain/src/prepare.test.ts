import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { hashTree } from './prepare.mjs'

let base: string
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'understudy-prepare-'))
  await mkdir(join(base, 'console/src'), { recursive: true })
  await writeFile(join(base, 'console/src/main.ts'), 'one')
})
afterEach(() => rm(base, { recursive: true, force: true }))

const hash = () => hashTree(base, ['console', 'not-there'])

test.each<[string, () => Promise<unknown>]>([
  ['a changed file', () => writeFile(join(base, 'console/src/main.ts'), 'two')],
  ['a new file', () => writeFile(join(base, 'console/src/other.ts'), '')],
  ['a renamed file', () => rename(join(base, 'console/src/main.ts'), join(base, 'console/src/start.ts'))],
  ['a file that appears in a missing folder', () => writeFile(join(base, 'not-there'), 'here')],
])('%s makes the product stale', async (_what, change) => {
  const before = hash()
  await change()
  expect(hash()).not.toBe(before)
})

test('what is made or installed does not make the product stale', async () => {
  const before = hash()
  for (const folder of ['dist', 'node_modules', 'generated', '.turbo']) {
    await mkdir(join(base, 'console', folder))
    await writeFile(join(base, 'console', folder, 'file.js'), 'made')
  }
  expect(hash()).toBe(before)
})
