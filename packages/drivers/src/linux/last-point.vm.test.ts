// This very computer as a server that is switched off at its last point, with a disk of a file, and a command in the place of its switch.
import { spawn } from 'node:child_process'
import { access, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { SourceDisk, SourceMachinePoint } from '@understudy/engine/ports/source-platform'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openFreezeKeeper } from './freeze-keeper.ts'
import { defaultLinuxSettings, type LinuxSettings } from './settings.ts'
import { type LinuxSource, openLinuxSource } from './source.ts'
import { holdersOf, makeTestDisk, must, requireLinuxSource, type TestDisk } from './test-disk.ts'

const MINUTES_2 = 120_000
const trackingId = 'us-last-test'
const BYTES = 64 * MiB
let folder = ''
let disk: TestDisk
let count = 0
const atEnd: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  await requireLinuxSource()
  folder = await mkdtemp(join(tmpdir(), 'understudy-last-test-'))
  disk = await makeTestDisk('ext4', BYTES)
}, MINUTES_2)
afterEach(async () => {
  for (const end of atEnd.splice(0).reverse()) await end()
  await expect.poll(() => holdersOf(disk.mountPoint), { timeout: 60_000 }).toEqual([])
}, MINUTES_2)
afterAll(async () => {
  await disk?.remove()
  await rm(folder, { recursive: true, force: true })
}, MINUTES_2)

/** What is on the disk when the power goes is copied; then its writers must go on, or nobody could clear away. */
function newSwitch(graceSeconds: number) {
  count += 1
  const image = join(folder, `off-${count}.img`)
  const gone = join(folder, `gone-${count}`)
  const command = `[ -e ${gone} ] && exit; dd if=${disk.path} of=${image} bs=1M iflag=direct status=none && : > ${gone} && fsfreeze -u ${disk.mountPoint}; :`
  const isGone = () =>
    access(gone).then(
      () => true,
      () => false,
    )
  return { power: { graceSeconds, command }, image, isGone }
}

const settingsWith = (change: Partial<LinuxSettings>): LinuxSettings => ({
  ...defaultLinuxSettings,
  devices: [disk.path],
  scripts: { folder: join(folder, 'scripts'), seconds: 20 },
  ...change,
})

async function openSource(power: LinuxSettings['power']): Promise<LinuxSource> {
  const source = await openLinuxSource({ settings: settingsWith({ power }), now: Date.now })
  atEnd.push(() => source.close())
  return source
}

async function openLast(source: LinuxSource, holdSeconds: number): Promise<SourceMachinePoint> {
  const { ref } = present((await source.inventory())[0], 'it finds itself')
  const machines = [{ ref, trackingId, since: null, excludedDisks: [] }]
  const result = await source.openPoint({ machines, consistency: 'crash', last: { holdSeconds } })
  if (result.kind !== 'opened') throw new Error(result.reason.message)
  return present(result.point.machines[0], 'it has the machine')
}

/** As whoever copies does. */
async function copyAll(point: SourceMachinePoint): Promise<Buffer> {
  const image = Buffer.alloc(BYTES)
  const take = async (disks: readonly SourceDisk[]): Promise<void> => {
    for (const { changed, reader } of disks)
      for await (const { offset, bytes } of changed())
        for (let done = 0; done < bytes; done += MiB) {
          const piece = await reader.read(offset + done, Math.min(MiB, bytes - done))
          piece.copy(image, offset + done)
        }
  }
  await take(point.disks)
  await present(point.settle, 'it settles')(take)
  return image
}

const touch = (name: string) => {
  const child = spawn('touch', [join(disk.mountPoint, name)], { stdio: 'ignore' })
  return new Promise<number | null>((resolve) => child.on('close', resolve))
}

/** Keeper and guardian of the disk: the same program, the one a child of the other. */
async function findKeepers(): Promise<{ keeper: number; guardian: number }> {
  const found: { pid: number; parent: number }[] = []
  for (const name of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const place = join('/proc', name)
    const line = await readFile(join(place, 'cmdline'), 'latin1').catch(() => '')
    const held = await readlink(join(place, 'fd/3')).catch(() => '')
    const stat = await readFile(join(place, 'stat'), 'latin1').catch(() => '')
    if (line.includes('understudy-keeper') && held === disk.mountPoint)
      found.push({ pid: Number(name), parent: Number(stat.split(') ')[1]?.split(' ')[1]) })
  }
  const guardian = present(
    found.find(({ parent }) => found.some(({ pid }) => pid === parent)),
    'a guardian watches',
  )
  return { keeper: guardian.parent, guardian: guardian.pid }
}

const frozenKeeper = async (power: LinuxSettings['power'], seconds = 60) => {
  const keeper = await openFreezeKeeper([{ mountPoint: disk.mountPoint }], seconds, power)
  await keeper.freeze()
  return keeper
}

test(
  'the last point is, byte for byte, what is on the disk when the power goes, however its programs wrote',
  async () => {
    const { power, image, isGone } = newSwitch(60)
    const source = await openSource(power)
    expect(source.shutsDownAtPoint).toBe(true)
    disk.startWriter()
    atEnd.push(() => disk.stopWriter())
    const point = await openLast(source, 60)
    const copy = await copyAll(point)
    const late = touch('after-the-instant')
    await sleep(1500)
    const proof = await present(point.powerOff, 'it is a last point')()
    expect(proof.evidence).toContain('held still')
    // Whoever asks again is told the same.
    await expect(present(point.powerOff, 'it is a last point')()).resolves.toMatchObject({
      evidence: proof.evidence,
    })
    // Nothing lets it go any more, and nothing else is begun.
    await point.release(false)
    await expect(openLast(source, 60)).rejects.toMatchObject({ code: 'linux/switching-off' })
    await sleep(500)
    expect(await isGone()).toBe(false)
    source.cutPower()
    await expect.poll(isGone, { timeout: 60_000 }).toBe(true)
    expect(copy.equals(await readFile(image))).toBe(true)
    expect(await late).toBe(0)
    for (const pid of await leftGuardians()) process.kill(pid, 'SIGKILL')
  },
  MINUTES_2,
)

/** Real ones go with the power. */
async function leftGuardians(): Promise<number[]> {
  const found: number[] = []
  for (const name of (await readdir('/proc')).filter((each) => /^\d+$/.test(each)))
    if ((await readlink(join('/proc', name, 'fd/3')).catch(() => '')) === disk.mountPoint)
      found.push(Number(name))
  return found
}

test(
  'a last point that nobody ends lets the server go in time, which is said then',
  async () => {
    const { power, isGone } = newSwitch(1)
    const source = await openSource(power)
    const point = await openLast(source, 4)
    await copyAll(point)
    expect(await touch('let-go')).toBe(0)
    await expect(point.powerOff?.()).rejects.toMatchObject({ code: 'machine/let-go' })
    await point.release(true)
    await sleep(2500)
    expect(await isGone()).toBe(false)
    // And the next one is as any other.
    const again = await openLast(source, 30)
    await copyAll(again)
    await again.release(false)
    expect(await touch('released')).toBe(0)
  },
  MINUTES_2,
)

test(
  'a server that somebody let go in between runs on: a write tells it, and a file system that is not frozen any more',
  async () => {
    const { power, isGone } = newSwitch(1)
    const source = await openSource(power)
    const point = await openLast(source, 60)
    await copyAll(point)
    await must('fsfreeze', '-u', disk.mountPoint)
    await must('sh', '-c', `echo more > ${disk.mountPoint}/by-hand; sync -f ${disk.mountPoint}`)
    await expect(point.powerOff?.()).rejects.toMatchObject({
      code: 'machine/let-go',
      message: expect.stringContaining('was written at byte'),
    })
    expect(await touch('goes-on')).toBe(0)
    await point.release(false)
    const keeper = await frozenKeeper(power)
    await must('fsfreeze', '-u', disk.mountPoint)
    expect(await keeper.switchOff()).toBe('lost')
    expect(await touch('goes-on-too')).toBe(0)
    await keeper.close()
    await sleep(2500)
    expect(await isGone()).toBe(false)
  },
  MINUTES_2,
)

test(
  'a guardian that is killed or stopped does not take the word: the server is let go, and is not switched off later',
  async () => {
    for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
      const { power, isGone } = newSwitch(1)
      const keeper = await frozenKeeper(power, 10)
      const { guardian } = await findKeepers()
      process.kill(guardian, signal)
      expect(await keeper.switchOff()).toBe('lost')
      expect(await touch(`without-${signal}`)).toBe(0)
      await keeper.close()
      await sleep(3000)
      expect(await isGone()).toBe(false)
    }
  },
  MINUTES_2,
)

test(
  'once the word is taken, whoever of keeper and guardian is left switches off, and neither thaws',
  async () => {
    for (const killed of ['keeper', 'guardian', 'us'] as const) {
      const { power, isGone } = newSwitch(killed === 'keeper' ? 3 : 60)
      const keeper = await frozenKeeper(power)
      const both = await findKeepers()
      expect(await keeper.switchOff()).toBe('off')
      let wrote = false
      const late = touch(`killed-${killed}`).then(() => {
        wrote = true
      })
      if (killed === 'us') void keeper.close()
      else process.kill(both[killed], 'SIGKILL')
      if (killed === 'keeper') {
        await sleep(1000)
        expect(wrote).toBe(false)
      }
      if (killed === 'guardian') {
        // It would have thawed, had it only been the end of the keeper that counts.
        await sleep(1000)
        expect(wrote).toBe(false)
        void keeper.close()
      }
      await expect.poll(isGone, { timeout: 60_000 }).toBe(true)
      await late
      for (const pid of await leftGuardians()) process.kill(pid, 'SIGKILL')
    }
  },
  MINUTES_2,
)

/** A process with a last point that has given its word; or only holds. */
const HOLDER = `
const [folder, settings, trackingId, word] = process.argv.slice(1)
const { openLinuxSource } = await import(folder + 'source.ts')
const source = await openLinuxSource({ settings: JSON.parse(settings), now: Date.now })
const [{ ref }] = await source.inventory()
const { point } = await source.openPoint({ machines: [{ ref, trackingId, since: null, excludedDisks: [] }], consistency: 'crash', last: { holdSeconds: 120 } })
await point.machines[0].settle(async () => {})
if (word === 'off') await point.machines[0].powerOff()
process.stdout.write('held')
setInterval(() => {}, 1000)
`

test.each([
  { word: 'off', goes: true, title: 'an agent that is killed after its word takes the server with it' },
  {
    word: 'hold',
    goes: false,
    title: 'an agent that is killed before its word leaves a server that runs on',
  },
])(
  '$title',
  async ({ word, goes }) => {
    const { power, isGone } = newSwitch(60)
    const settings = JSON.stringify(settingsWith({ power }))
    const here = fileURLToPath(new URL('.', import.meta.url))
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', HOLDER, here, settings, trackingId, word],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    let said = ''
    child.stdout.on('data', (piece: Buffer) => {
      said += piece.toString()
    })
    await expect.poll(() => said, { timeout: 60_000 }).toBe('held')
    const late = touch(`agent-${word}`)
    await sleep(500)
    child.kill('SIGKILL')
    expect(await late).toBe(0)
    // With the power gone it is our command that let it write.
    expect(await isGone()).toBe(goes)
    for (const pid of await leftGuardians()) process.kill(pid, 'SIGKILL')
    const next = await openSource(power)
    const { ref } = present((await next.inventory())[0], 'it finds itself')
    await next.stopTracking(ref, trackingId)
  },
  MINUTES_2,
)
