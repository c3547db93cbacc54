// A service beside a systemd of the test's own, which writes down what it is asked.
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { exitCodeOf } from './exit-code-of.ts'
import { install } from './install.ts'
import { SERVICE, type ServicePlace } from './service-place.ts'
import { type Identity, openStateFolder, type StateFolder } from './state-folder.ts'
import { uninstall } from './uninstall.ts'

const fingerprint = `sha256:${'a'.repeat(64)}`
const identity: Identity = {
  server: 'https://192.0.2.1:4610',
  fingerprint,
  certificate: 'pem',
  proxy: null,
  name: 'db-1',
  serverIdentity: 'identity',
  identityText: null,
  privateKey: 'pem',
  agentId: 'agent-1',
  siteName: 'Harbour',
  roles: ['protected-server'],
  programKey: null,
}

let root: string
let asked: string[]
let said: string[]
let enrolments: number
/** What the service does when it is started. */
let onStart: 'connects' | 'ends' | 'does not connect' | 'says nothing' | 'cannot be started'
let clock: number
let place: ServicePlace
const state = (): string => join(root, 'var/lib/understudy-agent')
const program = (): string => join(root, 'usr/local/bin/understudy-agent')
const unit = (): string => join(root, 'etc/systemd/system', SERVICE)

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'us-install-'))
  asked = []
  said = []
  enrolments = 0
  onStart = 'connects'
  clock = 1_000_000
  await mkdir(join(root, 'run/systemd/system'), { recursive: true })
  await mkdir(join(root, 'tracefs/instances'), { recursive: true })
  await writeFile(join(root, 'fetched'), 'the program')
  place = {
    root,
    tracefs: join(root, 'tracefs'),
    program: join(root, 'fetched'),
    userId: 0,
    supervised: false,
    systemctl,
    now: () => clock,
    pause: async (milliseconds) => {
      clock += milliseconds
    },
  }
})
afterEach(() => rm(root, { recursive: true, force: true }))

const ok = { code: 0, output: '' }
async function systemctl(...words: readonly string[]) {
  if (words[0] === 'is-active') return { code: 3, output: onStart === 'ends' ? 'failed\n' : 'active\n' }
  asked.push(words.join(' '))
  if (words[0] !== 'restart') return ok
  if (onStart === 'cannot be started') return { code: 1, output: 'Unit is masked.' }
  if (onStart === 'says nothing') return ok
  const connected = onStart === 'connects'
  const folder = await openStateFolder(state())
  await folder.saveStanding({
    pid: process.pid,
    version: '1',
    connected,
    since: clock,
    note: connected ? null : 'The agent db-1 was revoked.',
    backlog: 0,
  })
  return ok
}

const enrol = async (folder: StateFolder): Promise<Identity> => {
  enrolments += 1
  await folder.saveIdentity(identity)
  return identity
}
const installHere = (change: Partial<Parameters<typeof install>[0]> = {}): Promise<void> =>
  install({ place, enrol, fingerprint, say: (line) => void said.push(line), ...change })
const uninstallHere = (keepState = false): Promise<void> =>
  uninstall({ place, keepState, say: (line) => void said.push(line) })

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777
async function everything(): Promise<readonly string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
}

test('what was fetched becomes a service that is connected, and says so', async () => {
  await installHere()
  expect(await readFile(program(), 'utf8')).toBe('the program')
  expect(await modeOf(program())).toBe(0o755)
  expect(await modeOf(unit())).toBe(0o644)
  expect(await modeOf(state())).toBe(0o700)
  expect(asked).toEqual(['daemon-reload', `enable ${SERVICE}`, `restart ${SERVICE}`])
  expect(said.at(-1)).toBe('Connected to https://192.0.2.1:4610.')
  expect(await readFile(unit(), 'utf8')).toMatch(/^RestartPreventExitStatus=78$/m)
})

test('again with another program it is the same agent, without a token, and the new program runs', async () => {
  await installHere()
  await writeFile(join(root, 'fetched'), 'the next program')
  clock += 1000
  await installHere()
  expect(enrolments).toBe(1)
  expect(await readFile(program(), 'utf8')).toBe('the next program')
  expect(asked.filter((words) => words.startsWith('restart'))).toHaveLength(2)
  // From where it lies itself there is nothing to copy.
  await installHere({ place: { ...place, program: program() } })
  expect(await readFile(program(), 'utf8')).toBe('the next program')
})

test('another control plane than the one that it is enrolled at is asked, and says what it thinks of that', async () => {
  await installHere()
  const refused = new Refusal({ code: 'agent/enrolled-already', message: 'm', remedy: 'r' })
  const again = installHere({
    fingerprint: `sha256:${'b'.repeat(64)}`,
    enrol: async () => Promise.reject(refused),
  })
  await expect(again).rejects.toBe(refused)
  expect((await (await openStateFolder(state())).identity())?.agentId).toBe('agent-1')
})

test('a refused enrolment leaves nothing behind', async () => {
  const before = await everything()
  const refused = new Refusal({ code: 'agent/bad-token', message: 'm', remedy: 'r' })
  const refusing = async (folder: StateFolder): Promise<Identity> => {
    await folder.saveIdentity({ ...identity, agentId: null })
    throw refused
  }
  await expect(installHere({ enrol: refusing })).rejects.toBe(refused)
  expect(await everything()).toEqual(before)
  await expect(stat(state())).rejects.toMatchObject({ code: 'ENOENT' })
  expect(asked).toEqual([])
})

test('when the answer is lost the key stays, so that the same command works again', async () => {
  const lost = new Outage({ code: 'agent/server-away', message: 'm', remedy: 'r' })
  const losing = async (folder: StateFolder): Promise<Identity> => {
    await folder.saveIdentity({ ...identity, agentId: null })
    throw lost
  }
  await expect(installHere({ enrol: losing })).rejects.toBe(lost)
  expect((await (await openStateFolder(state())).identity())?.privateKey).toBe('pem')
  // A server that was not reached at all has left no trace here.
  await rm(state(), { recursive: true })
  await expect(installHere({ enrol: async () => Promise.reject(lost) })).rejects.toBe(lost)
  await expect(stat(state())).rejects.toMatchObject({ code: 'ENOENT' })
})

test.each<[string, () => Promise<unknown>, string, string]>([
  [
    'without systemd',
    () => rm(join(root, 'run'), { recursive: true }),
    'agent/no-systemd',
    'understudy-agent run',
  ],
  ['by another user', async () => (place = { ...place, userId: 1000 }), 'agent/not-root', 'root'],
  ['on another system', async () => (place = { ...place, userId: null }), 'agent/not-root', 'enrol'],
  [
    'from its sources',
    async () => (place = { ...place, program: null }),
    'agent/not-one-file',
    'build:agent',
  ],
])('%s it is refused with what can be done, before the token is used', async (_how, make, code, remedy) => {
  await make()
  const before = await everything()
  await expect(installHere()).rejects.toMatchObject({ code, remedy: expect.stringContaining(remedy) })
  expect(enrolments).toBe(0)
  expect(await everything()).toEqual(before)
})

test.each<[typeof onStart, string, string]>([
  ['ends', 'agent/service-ended', 'The service has ended: The agent db-1 was revoked'],
  ['does not connect', 'agent/not-connected-yet', 'was revoked'],
  ['cannot be started', 'agent/service-failed', 'Unit is masked.'],
])('a service that %s is told of, with why', async (how, code, why) => {
  onStart = how
  await expect(installHere()).rejects.toMatchObject({
    code,
    message: expect.stringMatching(new RegExp(`${why}$`)),
  })
  // What hindered it is mended: the same command goes on, with the token dead by now.
  onStart = 'connects'
  await installHere()
  expect(enrolments).toBe(1)
})

test('that the process before was connected does not count', async () => {
  await installHere()
  clock += 1000
  onStart = 'says nothing'
  await expect(installHere()).rejects.toMatchObject({ code: 'agent/not-connected-yet' })
})

test('uninstalled, the server is as it was before, and all that was undone was said', async () => {
  const before = await everything()
  await installHere()
  const prepared = join(root, 'etc/a-hook')
  const kept = { at: 1, tool: 'none', drivers: [], files: ['/etc/a-hook'], memoryDisks: [], done: true }
  await mkdir(join(state(), 'prepared'), { recursive: true })
  await writeFile(join(state(), 'prepared/preparation.json'), JSON.stringify(kept))
  await writeFile(prepared, 'ours')
  for (const name of ['understudy-us-1', 'of-somebody-else'])
    await mkdir(join(place.tracefs, 'instances', name))
  asked = []
  said = []
  await uninstallHere()
  expect(await everything()).toEqual(before)
  expect(await readdir(join(place.tracefs, 'instances'))).toEqual(['of-somebody-else'])
  expect(asked).toEqual([`disable --now ${SERVICE}`, 'daemon-reload'])
  expect(said).toEqual([
    `Stopped and disabled ${SERVICE}.`,
    'Undid what was prepared for hardware of a target.',
    'Removed the trace buffer understudy-us-1.',
    `Removed ${unit()}.`,
    `Removed ${program()}.`,
    `Removed ${state()}, with the key of the agent. Revoke the agent in the console.`,
  ])
  said = []
  await uninstallHere()
  expect(said).toEqual(['No agent is installed here.'])
})

test('what it knows can be kept, and the next installation is the same agent', async () => {
  await installHere()
  await uninstallHere(true)
  await expect(stat(program())).rejects.toMatchObject({ code: 'ENOENT' })
  await expect(stat(dirname(unit()))).resolves.toBeDefined()
  clock += 1000
  await installHere()
  expect(enrolments).toBe(1)
})

test('a service that cannot be stopped keeps all that it needs', async () => {
  await installHere()
  const before = await everything()
  place = { ...place, systemctl: async () => ({ code: 1, output: 'Connection timed out' }) }
  await expect(uninstallHere()).rejects.toMatchObject({ code: 'agent/service-failed' })
  expect(await everything()).toEqual(before)
})

test.each<[string, number]>([
  ['agent/revoked', 78],
  ['agent/not-recognised', 78],
  ['agent/not-enrolled', 78],
  ['agent/runs-already', 1],
  ['agent/wrong-use', 1],
])('%s ends the program with %i', (code, exitCode) => {
  expect(exitCodeOf(new Refusal({ code, message: 'm', remedy: 'r' }))).toBe(exitCode)
  expect(exitCodeOf(new Error(code))).toBe(1)
})
