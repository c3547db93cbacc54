// Programs are short texts for the shell here. They are started, cut off between any two acts and started again, as systemd does it.
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Outcome } from '@understudy/agent-protocol/messages'
import { type ProgramProof, programProof } from '@understudy/agent-protocol/proofs'
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import { runCommand } from '@understudy/drivers/linux/run-command'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { beforeStart } from './exchange-program.ts'
import type { FetchedProgram } from './fetch-program.ts'
import { ownPlatform, pathsOf, type ServicePlace } from './service-place.ts'
import { serviceUnit } from './service-unit.ts'
import { openStateFolder, type StateFolder } from './state-folder.ts'
import { createUpgrader, type Upgrader, type UpgraderParts } from './upgrader.ts'

const OURS = '0.1.0'
const NEWER = '0.2.0'
const textOf = (version: string): string => `#!/bin/sh\necho "understudy-agent ${version} works here"\n`
const versionOf = (text: string): string =>
  present(/understudy-agent (\S+) works/.exec(text)?.[1], 'a whole program')
const spki = (key: KeyObject): string => key.export({ type: 'spki', format: 'der' }).toString('base64url')
const keys = generateKeyPairSync('ed25519')
const order = { id: 'order-1', kind: 'upgrade' }
const times = { trialMilliseconds: 30, retryMilliseconds: 1, lookMilliseconds: 5, busyMilliseconds: 60_000 }

let root: string
let place: ServicePlace
let folder: StateFolder
/** Kept over crashes, as the mailbox is. */
let open: (typeof order)[]
let answers: Outcome[]
let stopping: AbortController
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'us-upgrade-'))
  place = {
    root,
    tracefs: root,
    program: pathsOf({ root }).program,
    userId: 0,
    supervised: true,
    systemctl: async () => ({ code: 0, output: '' }),
    now: () => 0,
    pause: async () => {},
  }
  const { program, unit } = pathsOf(place)
  for (const path of [program, unit]) await mkdir(dirname(path), { recursive: true })
  await writeFile(program, textOf(OURS))
  await chmod(program, 0o755)
  await writeFile(unit, serviceUnit)
  folder = await openStateFolder(join(root, 'state'))
  open = [order]
  answers = []
  stopping = new AbortController()
})
afterEach(async () => {
  stopping.abort()
  await rm(root, { recursive: true, force: true })
})

const installed = async (): Promise<string> => versionOf(await readFile(pathsOf(place).program, 'utf8'))
const programs = async (): Promise<readonly string[]> => (await readdir(join(root, 'usr/local/bin'))).sort()

function offer(
  change: Partial<ProgramProof> & { readonly text?: string; readonly key?: KeyObject } = {},
): FetchedProgram {
  const { text = textOf(change.version ?? NEWER), key = keys.privateKey, ...proof } = change
  const offered = {
    platform: ownPlatform(),
    version: NEWER,
    bytes: Buffer.byteLength(text),
    sha256: createHash('sha256').update(text).digest('hex'),
    ...proof,
  }
  return {
    ...offered,
    signature: sign(null, programProof(offered), key).toString('base64url'),
    content: (async function* () {
      yield Buffer.from(text.slice(0, 10))
      yield Buffer.from(text.slice(10))
    })(),
    close: () => {},
  }
}

type Started = { readonly upgrader: Upgrader; readonly ended: Promise<'restarted' | 'killed'> }

function start(
  version: string,
  { act = async (work) => work(), ...change }: Partial<UpgraderParts> = {},
  keep: StateFolder = folder,
): Started {
  const ended = Promise.withResolvers<'restarted' | 'killed'>()
  const upgrader = createUpgrader({
    place,
    folder: keep,
    mailbox: {
      orders: () => open,
      answer: async (id, outcome) => {
        open = open.filter((each) => each.id !== id)
        answers.push(outcome)
      },
    },
    version,
    programKey: () => spki(keys.publicKey),
    fetch: async () => offer(),
    selfTest: (file) => runCommand(file, ['--selftest']),
    isBusy: () => false,
    act,
    push: () => {},
    restart: () => ended.resolve('restarted'),
    log: () => {},
    signal: stopping.signal,
    times,
    ...change,
  })
  return { upgrader, ended: ended.promise }
}

async function upgradeOnce(change: Partial<UpgraderParts> = {}): Promise<Outcome | undefined> {
  const { upgrader } = start(OURS, change)
  await upgrader.start()
  await upgrader.letIn()
  await upgrader.obey(order)
  return answers[0]
}

type Temper = 'good' | 'ends at once' | 'is not let in'

/**
 * Starts whatever lies there until the order is answered, and kills the process that does the act `killBehind` right behind it, which is
 * before the next one. Returns how many acts there were.
 */
async function supervise(temper: Temper, killBehind: number | null): Promise<number> {
  let acts = 0
  for (let starts = 0; open.length > 0; starts += 1) {
    if (starts > 20) throw new Error('It is never answered')
    const died = Promise.withResolvers<'killed'>()
    let dead = false
    const mortal = async (work: () => Promise<void>): Promise<void> => {
      // The dead do nothing any more.
      if (dead) await new Promise(() => {})
      acts += 1
      dead = acts === killBehind
      await work()
      if (!dead) return
      died.resolve('killed')
      await new Promise(() => {})
    }
    const kept: StateFolder = { ...folder, saveUpgrade: (record) => mortal(() => folder.saveUpgrade(record)) }
    const paths = pathsOf(place)
    if ((await programs()).includes('understudy-agent.former')) {
      const asked = beforeStart({ paths, folder: kept, act: mortal }).then(() => 'asked' as const)
      if ((await Promise.race([asked, died.promise])) === 'killed') continue
    }
    const version = await installed()
    const { upgrader, ended } = start(version, { act: mortal }, kept)
    const works = async (): Promise<'answered' | 'restarted' | 'killed'> => {
      await upgrader.start()
      for (const each of open) void upgrader.obey(each)
      if (version === OURS || temper === 'good') await upgrader.letIn()
      if (version !== OURS && temper === 'ends at once') return 'killed'
      while (open.length > 0) {
        const how = await Promise.race([ended, new Promise<null>((resolve) => setTimeout(resolve, 5, null))])
        if (how !== null) return how
      }
      return 'answered'
    }
    await Promise.race([works(), died.promise])
    upgrader.stop()
  }
  return acts
}

test('a program that works takes the place of the one before, which goes', async () => {
  await supervise('good', null)
  expect(answers).toEqual([{ kind: 'upgraded', from: OURS, to: NEWER }])
  expect(await installed()).toBe(NEWER)
  expect(await programs()).toEqual(['understudy-agent'])
  expect(await folder.upgrade()).toBeNull()
})

test.each<[Temper, RegExp]>([
  ['ends at once', /^The program 0\.2\.0 .* 0\.1\.0 was put back: It was started 3 times/],
  ['is not let in', /^The program 0\.2\.0 .* 0\.1\.0 was put back: it was not let in/],
])('in place of a program that %s the former one is put back, and says why', async (temper, why) => {
  await supervise(temper, null)
  expect(answers).toEqual([
    { kind: 'failed', code: 'agent/upgrade-rolled-back', message: expect.stringMatching(why) },
  ])
  expect(await installed()).toBe(OURS)
  expect(await programs()).toEqual(['understudy-agent'])
})

test.each<[Temper, string]>([
  ['good', NEWER],
  ['ends at once', OURS],
  ['is not let in', OURS],
])('killed between any two acts, it ends as without: a program that is %s', async (temper, end) => {
  const { program, former } = pathsOf(place)
  const acts = await supervise(temper, null)
  for (let kill = 1; kill <= acts; kill += 1) {
    await rm(former, { force: true })
    await rm(program, { force: true })
    await writeFile(program, textOf(OURS))
    open = [order]
    answers = []
    await supervise(temper, kill)
    expect(await installed(), `killed behind ${kill}`).toBe(end)
    expect(answers, `killed behind ${kill}`).toHaveLength(1)
    expect(answers[0]?.kind).toBe(temper === 'good' ? 'upgraded' : 'failed')
  }
})

test.each<[string, () => FetchedProgram, string]>([
  [
    'signed by somebody else',
    () => offer({ key: generateKeyPairSync('ed25519').privateKey }),
    'wrong-signature',
  ],
  ['signed for another version', () => ({ ...offer(), version: '0.3.0' }), 'wrong-signature'],
  ['for another platform', () => offer({ platform: 'linux-s390x' }), 'wrong-platform'],
  ['of this version', () => offer({ version: OURS }), 'not-newer'],
  ['of an older version', () => offer({ version: '0.0.9' }), 'not-newer'],
  ['longer than the disk', () => offer({ bytes: 2 ** 52 }), 'no-room'],
  ['cut short', () => offer({ bytes: 5000 }), 'wrong-program'],
  ['longer than was signed', () => offer({ bytes: 5 }), 'wrong-program'],
  ['changed on its way', () => offer({ sha256: '0'.repeat(64) }), 'wrong-program'],
  [
    'unable to run here',
    () => offer({ text: '#!/bin/sh\necho libc is too old\nexit 1\n' }),
    'selftest-failed',
  ],
  ['another one than it says', () => offer({ text: textOf('0.9.0') }), 'selftest-failed'],
])('a program that is %s is refused, and nothing is left of it', async (_what, make, code) => {
  const answer = await upgradeOnce({ fetch: async () => make() })
  expect(answer).toMatchObject({ kind: 'failed', code: `agent/${code}` })
  expect(await installed()).toBe(OURS)
  expect(await programs()).toEqual(['understudy-agent'])
  expect(await folder.upgrade()).toBeNull()
})

test.each<[string, Partial<ServicePlace>, RegExp]>([
  ['from its sources', { program: null }, /runs from its sources/],
  ['as another user', { userId: 1000 }, /does not run as root/],
  ['on another system', { userId: null }, /Only on Linux/],
  ['started by hand', { supervised: false }, /nothing would start it again/],
  ['from elsewhere', { program: '/bin/sh' }, /nothing would start it again/],
])('an agent that runs %s fetches nothing, and says why', async (_how, change, why) => {
  const fetch = (): never => {
    throw new Error('It must not be asked')
  }
  const answer = await upgradeOnce({ place: { ...place, ...change }, fetch })
  expect(answer).toMatchObject({
    kind: 'failed',
    code: 'agent/not-upgradable',
    message: expect.stringMatching(why),
  })
})

test('a service of an older installation has to be installed again first, and who knows no key takes nothing', async () => {
  expect(await upgradeOnce({ programKey: () => null })).toMatchObject({ code: 'agent/no-program-key' })
  await writeFile(pathsOf(place).unit, serviceUnit.replace(/^ExecStartPre.*$/m, ''))
  answers = []
  open = [order]
  expect(await upgradeOnce()).toMatchObject({
    code: 'agent/not-upgradable',
    message: expect.stringContaining('Run `understudy-agent install` again'),
  })
})

test('what is away, or has no time for it, is asked again', async () => {
  let tries = 0
  const away = async (): Promise<FetchedProgram> => {
    tries += 1
    if (tries === 3) return offer()
    throw new Outage({ code: 'agent/too-many-downloads', message: 'm', remedy: 'r' })
  }
  expect(await upgradeOnce({ fetch: away })).toBeUndefined()
  expect(await installed()).toBe(NEWER)
})

test('while a point is open the programs do not change places, and not before this one was let in', async () => {
  let busy = true
  let asked = 0
  const { upgrader, ended } = start(OURS, {
    isBusy: () => {
      asked += 1
      return busy
    },
  })
  await upgrader.start()
  void upgrader.obey(order)
  await new Promise((resolve) => setTimeout(resolve, 30))
  expect(await programs()).toEqual(['understudy-agent'])
  await upgrader.letIn()
  await expect.poll(() => asked, { timeout: 20_000 }).toBeGreaterThan(3)
  expect(await installed()).toBe(OURS)
  busy = false
  expect(await ended).toBe('restarted')
  expect(await installed()).toBe(NEWER)
})
