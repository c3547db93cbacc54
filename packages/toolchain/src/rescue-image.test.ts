import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { root } from './environment.mjs'

const programs = join(root, 'apps/agent/rescue/usr/local/lib/understudy')
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'us-rescue-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const settingOf = (name: string): string =>
  spawnSync('/bin/sh', ['-c', `. ${programs}/settings; value_of ${name}`], {
    env: {
      PATH: process.env.PATH ?? '',
      folder,
      cmdline: join(folder, 'cmdline'),
      built: join(folder, 'built'),
    },
    encoding: 'utf8',
  }).stdout

test('what is typed in counts before the command line of the kernel, and that before what the image was built with', () => {
  writeFileSync(join(folder, 'cmdline'), 'boot=understudy quiet\n')
  expect(settingOf('server')).toBe('\n')
  writeFileSync(join(folder, 'built'), 'server=https://built:1\ntoken=t=1\n')
  expect(settingOf('server')).toBe('https://built:1\n')
  expect(settingOf('token')).toBe('t=1\n')
  writeFileSync(join(folder, 'cmdline'), 'quiet understudy.server=https://line:2 understudy.serverless=x\n')
  expect(settingOf('server')).toBe('https://line:2\n')
  writeFileSync(join(folder, 'server'), 'https://typed:3\n')
  expect(settingOf('server')).toBe('https://typed:3\n')
  expect(settingOf('token')).toBe('t=1\n')
})

test.each([
  ['sh', 'receive'],
  ['bash', 'console'],
])('%s understands %s', (shell, program) => {
  expect(spawnSync(shell, ['-n', join(programs, program)], { encoding: 'utf8' })).toMatchObject({
    status: 0,
    stderr: '',
  })
})
