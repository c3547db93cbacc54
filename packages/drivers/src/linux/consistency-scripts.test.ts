import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { hasPreScripts, runScripts } from './consistency-scripts.ts'

const atEnd: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of atEnd.splice(0)) await end()
})

async function newScripts(scripts: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-scripts-'))
  atEnd.push(() => rm(folder, { recursive: true, force: true }))
  for (const when of ['pre.d', 'post.d']) await mkdir(join(folder, when), { mode: 0o755 })
  for (const [name, text] of Object.entries(scripts)) {
    await writeFile(join(folder, name), `#!/bin/sh\n${text}\n`)
    await chmod(join(folder, name), 0o755)
  }
  return { folder, seconds: 20 }
}

test('where there is no folder there is nothing to run', async () => {
  const scripts = { folder: join(tmpdir(), 'understudy-no-such-folder'), seconds: 20 }
  expect(await hasPreScripts(scripts)).toBe(false)
  expect(await runScripts(scripts, 'post.d')).toBeNull()
})

test('scripts that end well leave nothing to say', async () => {
  const scripts = await newScripts({ 'pre.d/10-a': 'echo fine' })
  expect(await hasPreScripts(scripts)).toBe(true)
  expect(await runScripts(scripts, 'pre.d')).toBeNull()
})

test('after the first that fails no other one of pre.d is run, and every one of post.d is', async () => {
  const text = { a: 'echo busy; exit 3', b: 'echo worse; exit 4' }
  const scripts = await newScripts({
    ...{ 'pre.d/10-a': text.a, 'pre.d/20-b': text.b },
    ...{ 'post.d/10-a': text.a, 'post.d/20-b': text.b },
  })
  expect(await runScripts(scripts, 'pre.d')).toMatch(/10-a ended with 3: busy$/)
  expect(await runScripts(scripts, 'post.d')).toMatch(/10-a ended with 3: busy; .*20-b ended with 4: worse$/)
})

test.each(['', 'pre.d', 'pre.d/10-a'])(
  'what others may change is not run, and it is said: "%s"',
  async (open) => {
    const scripts = await newScripts({ 'pre.d/10-a': 'exit 0' })
    for (const mode of [0o777, 0o775]) {
      await chmod(join(scripts.folder, open), mode)
      expect(await runScripts(scripts, 'pre.d')).toMatch(/was not run: others than its owner may change it$/)
    }
  },
)
