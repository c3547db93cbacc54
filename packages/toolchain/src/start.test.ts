import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, test } from 'vitest'
import { root } from './environment.mjs'

const run = promisify(execFile)

/** As a fresh clone has it, and nothing that an installation would bring. */
const clone = mkdtempSync(join(tmpdir(), 'us-clone-'))
for (const file of ['package.json', 'packages/toolchain/src', 'apps/server/src/usage.mjs'])
  cpSync(join(root, file), join(clone, file), { recursive: true })
afterAll(() => rmSync(clone, { recursive: true, force: true }))

const start = async (option: string): Promise<string> => {
  const script = join(clone, 'packages/toolchain/src/start.mjs')
  const { stdout } = await run(process.execPath, [script, option], { timeout: 20_000 })
  expect(existsSync(join(clone, 'node_modules'))).toBe(false)
  return stdout
}

test('in a fresh clone the help is there at once: nothing is installed, and no option is left out', async () => {
  const help = await start('--help')
  for (const option of ['--lab', '--host', '--port', '--version', '--help']) expect(help).toContain(option)
  expect(help).toContain('UNDERSTUDY_HOST')
  expect(await start('-h')).toBe(help)
})

test('in a fresh clone the version is there at once', async () => {
  expect(await start('--version')).toMatch(/^\d+\.\d+\.\d+\n$/)
})
