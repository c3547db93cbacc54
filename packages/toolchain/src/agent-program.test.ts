// The built program as a process on a computer that has nothing of this repository.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  buildAgentPrograms,
  checkIntegrity,
  ownPlatform,
  type ProgramManifest,
  programCache,
} from './agent-program.ts'

const LONG = 600_000
let folder: string
let manifest: ProgramManifest
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'understudy-program-'))
  manifest = await build('one')
}, LONG)
afterAll(() => rm(folder, { recursive: true, force: true }))

const build = (name: string): Promise<ProgramManifest> =>
  buildAgentPrograms({ folder: join(folder, name), platforms: [platform()], cacheFolder: programCache })

function platform() {
  const own = ownPlatform()
  if (own === null) throw new Error('No agent is made for the platform of this test')
  return own
}

function built(from: ProgramManifest) {
  const program = from.programs[platform()]
  if (program === undefined) throw new Error('The manifest names it')
  return program
}

/** In an empty folder, with nothing in its environment but a home. */
async function runAlone(args: readonly string[]) {
  const place = await mkdtemp(join(folder, 'alone-'))
  await copyFile(join(folder, 'one', built(manifest).file), join(place, 'program'))
  const child = spawn(join(place, 'program'), [...args], { cwd: '/', env: { HOME: place, PATH: '' } })
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  await rm(place, { recursive: true })
  return { code, output, errors }
}

test(
  'the same sources give the same program, byte for byte',
  async () => {
    expect(built(await build('two'))).toEqual(built(manifest))
  },
  LONG,
)

test(
  'what is of these sources already is not built again, and what was changed since is',
  async () => {
    const { file } = built(manifest)
    const path = join(folder, 'one', file)
    const before = await stat(path)
    await build('one')
    expect((await stat(path)).ino).toBe(before.ino)
    const whole = await readFile(path)
    await writeFile(path, whole.subarray(1))
    expect(built(await build('one'))).toEqual(built(manifest))
    expect((await stat(path)).size).toBe(before.size)
    expect((await readdir(join(folder, 'one'))).sort()).toEqual(['manifest.json', file])
  },
  LONG,
)

test('it says which version it is, and how it is used', async () => {
  expect(await runAlone(['--version'])).toEqual({ code: 0, output: `${manifest.version}\n`, errors: '' })
  const help = await runAlone(['--help'])
  expect(help).toMatchObject({ code: 0, errors: '' })
  expect(help.output).toContain('understudy-agent enrol --server')
})

const unreachable = ['--server', 'https://127.0.0.1:9', '--token', 't', '--fingerprint']
test.each<[string, readonly string[], string]>([
  ['an enrolment without a server', ['enrol'], 'agent/wrong-use'],
  ['an unknown option', ['enrol', '--colour', 'red'], 'agent/wrong-use'],
  ['a fingerprint that is none', ['enrol', ...unreachable, 'sha256:12'], 'agent/bad-fingerprint'],
  ['a server that is not there', ['enrol', ...unreachable, `sha256:${'a'.repeat(64)}`], 'agent/server-away'],
  ['a run without an enrolment', ['run'], 'agent/not-enrolled'],
])('%s ends with what a person has to know', async (_what, args, code) => {
  const end = await runAlone([...args, ...(args[0] === 'enrol' ? ['--identity', 'test'] : [])])
  expect(end.code).not.toBe(0)
  expect(end.errors).toContain(`(${code})`)
  // No trace of where it came from.
  expect(end.errors).not.toMatch(/\bat .*\.[cm]?[jt]s/)
})

test('a package that the lock file does not name is not built in', () => {
  const content = Buffer.from('a node')
  expect(() => checkIntegrity('node', content, 'sha512-other')).toThrow('not what package-lock.json names')
  const own =
    'sha512-jXAYuMD+FUfKwcINvN3wJI7l/uOqXYljU7IvQwsPFzS5OyNWawX22VbNoOeJ8IzNJYtllvoZjH2ruVej0gQ7PA=='
  expect(() => checkIntegrity('node', content, own)).not.toThrow()
})
