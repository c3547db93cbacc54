// This very computer as the server, with a disk of a file: freezing, tracking, and everything that may go wrong with them.
import { type ChildProcess, spawn } from 'node:child_process'
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { KiB, MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type {
  OpenPointResult,
  SettledPoint,
  SourceMachinePoint,
} from '@understudy/engine/ports/source-platform'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openFreezeKeeper } from './freeze-keeper.ts'
import { runCommand } from './run-command.ts'
import { defaultLinuxSettings, type LinuxSettings } from './settings.ts'
import { type LinuxSource, openLinuxSource } from './source.ts'
import {
  copyDisk,
  holdersOf,
  makeTestDisk,
  must,
  requireLinuxSource,
  startHangingWrite,
  type TestDisk,
} from './test-disk.ts'

const MINUTES_5 = 300_000
const trackingId = 'us-vm-test'
const instances = '/sys/kernel/tracing/instances'
let folder = ''
let disk: TestDisk
let ref: MachineRef
const atEnd: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  await requireLinuxSource()
  folder = await mkdtemp(join(tmpdir(), 'understudy-linux-test-'))
  disk = await makeTestDisk('ext4', 64 * MiB)
}, MINUTES_5)
afterEach(async () => {
  for (const end of atEnd.splice(0).reverse()) await end()
})
afterAll(async () => {
  await disk?.remove()
  await rm(folder, { recursive: true, force: true })
}, MINUTES_5)

const settingsWith = (change: Partial<LinuxSettings> = {}): LinuxSettings => ({
  ...defaultLinuxSettings,
  devices: [disk.path],
  scripts: { folder: join(folder, 'scripts'), seconds: 20 },
  ...change,
})

async function openSource(
  change: Partial<LinuxSettings> = {},
  whileHeld: () => Promise<void> = async () => {},
): Promise<LinuxSource> {
  const source = await openLinuxSource({ settings: settingsWith(change), now: Date.now, whileHeld })
  atEnd.push(() => source.close())
  ref = present((await source.inventory())[0], 'it finds itself').ref
  return source
}

const ask = (source: LinuxSource, since: string | null, consistency: 'crash' | 'application' = 'crash') =>
  source.openPoint({ machines: [{ ref, trackingId, since, excludedDisks: [] }], consistency })

function opened(result: OpenPointResult): SourceMachinePoint {
  if (result.kind !== 'opened') throw new Error(result.reason.message)
  return present(result.point.machines[0], 'it has the machine')
}

type Round = Parameters<Parameters<NonNullable<SourceMachinePoint['settle']>>[0]>[0]

/** Reads it all, as whoever copies does. */
async function readRound(disks: Round): Promise<number> {
  let bytes = 0
  for (const { changed, reader } of disks)
    for await (const extent of changed()) {
      for (let done = 0; done < extent.bytes; done += MiB)
        await reader.read(extent.offset + done, Math.min(MiB, extent.bytes - done))
      bytes += extent.bytes
    }
  return bytes
}

const settleAndKeep = async (point: SourceMachinePoint): Promise<SettledPoint> => {
  await readRound(point.disks)
  const settled = await present(point.settle, 'it settles')(async (disks) => void (await readRound(disks)))
  await point.release(true)
  return settled
}

/** As whoever copies does, into a copy in memory. */
async function takeInto(image: Buffer, disks: Round): Promise<void> {
  for (const { changed, reader } of disks)
    for await (const { offset, bytes } of changed())
      for (let done = 0; done < bytes; done += MiB) {
        const piece = await reader.read(offset + done, Math.min(MiB, bytes - done))
        piece.copy(image, offset + done)
      }
}

/** Ends when the file system takes a write, and not before. */
function startTouching(name: string): {
  readonly child: ChildProcess
  readonly ended: Promise<number | null>
} {
  const child = spawn('touch', [join(disk.mountPoint, name)], { stdio: 'ignore' })
  return { child, ended: new Promise((resolve) => child.on('close', resolve)) }
}

async function imageOf(name: string, bytes: number): Promise<string> {
  const image = join(folder, name)
  await must('truncate', '-s', String(bytes), image)
  return image
}

const writeFileTo = (name: string, bytes: number): Promise<string> =>
  must(
    'dd',
    'if=/dev/urandom',
    `of=${join(disk.mountPoint, name)}`,
    'bs=64k',
    `count=${bytes / (64 * KiB)}`,
    'conv=fsync',
  )

test(
  'a copy of the whole that was interrupted goes on from its opening, with all that was written since',
  async () => {
    const source = await openSource()
    const first = opened(await ask(source, null))
    const opening = present(first.checkpoint, 'the opening has a mark')
    await writeFileTo('after-the-opening', MiB)
    await first.release(false)
    const wanted = { ref, trackingId, since: opening, excludedDisks: [], readWhole: true }
    const second = opened(await source.openPoint({ machines: [wanted], consistency: 'crash' }))
    const changedBytes = await readRound(second.disks)
    expect(changedBytes).toBeGreaterThanOrEqual(MiB)
    expect(changedBytes, 'a part of the disk').toBeLessThan(32 * MiB)
    const { checkpoint } = await settleAndKeep(second)
    // What was sealed takes the place of both.
    expect(await ask(source, opening)).toMatchObject({ kind: 'tracking-lost' })
    const third = opened(await ask(source, checkpoint))
    expect(third.checkpoint, 'of what is no copy of the whole').toBeNull()
    await third.release(false)
    await source.stopTracking(ref, trackingId)
  },
  MINUTES_5,
)

test(
  'what a process that is gone has left of its tracing is cleared away at the start, and that of a living one is not',
  async () => {
    const living = await openSource()
    const point = opened(await ask(living, null))
    await mkdir(join(instances, 'understudy-us-dead-test'))
    await openSource()
    expect(await readdir(instances)).not.toContain('understudy-us-dead-test')
    expect(await readdir(instances)).toContain(`understudy-${trackingId}`)
    await settleAndKeep(point)
    await living.stopTracking(ref, trackingId)
  },
  MINUTES_5,
)

describe('holding the server still', () => {
  test(
    'stops its writes until it is told to go on',
    async () => {
      const keeper = await openFreezeKeeper([{ mountPoint: disk.mountPoint }], 60)
      await keeper.freeze()
      const { child, ended } = startTouching('held')
      await sleep(1000)
      expect(child.exitCode).toBeNull()
      expect(await keeper.thaw()).toBe(true)
      expect(await ended).toBe(0)
      await keeper.close()
    },
    MINUTES_5,
  )

  test(
    'ends by itself after its time, and it is known that it was no instant',
    async () => {
      const keeper = await openFreezeKeeper([{ mountPoint: disk.mountPoint }], 2)
      await keeper.freeze()
      expect(await startTouching('guarded').ended).toBe(0)
      expect(await keeper.thaw()).toBe(false)
      await keeper.close()
    },
    MINUTES_5,
  )

  test(
    'takes all file systems or none, and leaves alone what another one has frozen',
    async () => {
      const keeper = await openFreezeKeeper([{ mountPoint: disk.mountPoint }, { mountPoint: '/proc' }], 60)
      await expect(keeper.freeze()).rejects.toMatchObject({ code: 'linux/not-held-still' })
      expect(await startTouching('none').ended).toBe(0)
      await keeper.close()
      await must('fsfreeze', '-f', disk.mountPoint)
      const second = await openFreezeKeeper([{ mountPoint: disk.mountPoint }], 60)
      await expect(second.freeze()).rejects.toMatchObject({ code: 'linux/not-held-still' })
      await second.close()
      await must('fsfreeze', '-u', disk.mountPoint)
    },
    MINUTES_5,
  )

  test(
    'ends although the kernel comes to it only long after its time, and nobody waits for it until then',
    async () => {
      const write = await startHangingWrite(disk.mountPoint)
      const keeper = await openFreezeKeeper([{ mountPoint: disk.mountPoint }], 2)
      await expect(keeper.freeze()).rejects.toMatchObject({ code: 'linux/held-too-long' })
      await keeper.close()
      // Longer than any number of tries that somebody might take for enough.
      await sleep(12_000)
      expect(await holdersOf(disk.mountPoint)).toContain('fsfreeze D')
      await write.end()
      const { child } = startTouching('late')
      await expect.poll(() => child.exitCode, { timeout: 60_000 }).toBe(0)
      // Nothing of it is left that could let go what somebody else holds later.
      await expect.poll(() => holdersOf(disk.mountPoint)).toEqual([])
    },
    MINUTES_5,
  )

  test(
    'may hang in the kernel and nobody hangs with it: the command is given up, and not begun again beside itself',
    async () => {
      const write = await startHangingWrite(disk.mountPoint)
      const freeze = () => runCommand('fsfreeze', ['-f', disk.mountPoint], { seconds: 1 })
      expect(await freeze()).toMatchObject({ code: null })
      await expect(freeze()).rejects.toMatchObject({
        code: 'linux/command-failed',
        message: expect.stringMatching(/process \d+, which was asked the same, has hung in the kernel/),
      })
      await write.end()
      await expect
        .poll(() => runCommand('fsfreeze', ['-u', disk.mountPoint]), { timeout: 60_000 })
        .toMatchObject({ code: 0 })
    },
    MINUTES_5,
  )

  test(
    'ends when the process that holds it is killed, and its successor begins anew and says why',
    async () => {
      const child = spawn(
        process.execPath,
        [
          '--input-type=module',
          '-e',
          HOLDER,
          fileURLToPath(new URL('.', import.meta.url)),
          JSON.stringify(
            settingsWith({
              limits: { ...defaultLinuxSettings.limits, holdSeconds: 600 },
            }),
          ),
          trackingId,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      const said: string[] = []
      child.stdout.on('data', (piece: Buffer) => said.push(piece.toString()))
      await expect.poll(() => said.join(''), { timeout: 120_000 }).toContain('held')
      const touching = startTouching('killed')
      await sleep(500)
      expect(touching.child.exitCode).toBeNull()
      child.kill('SIGKILL')
      expect(await touching.ended).toBe(0)

      const checkpoint = present(/checkpoint (\S+)/.exec(said.join(''))?.[1], 'it had a point before')
      expect(await readdir(instances)).toContain(`understudy-${trackingId}`)
      const source = await openSource()
      expect(await ask(source, checkpoint)).toMatchObject({
        kind: 'tracking-lost',
        reason: { code: 'linux/tracking-restarted' },
      })
      const { checkpoint: next } = await settleAndKeep(opened(await ask(source, null)))
      expect(next).not.toBe(checkpoint)
      await source.stopTracking(ref, trackingId)
      expect(await readdir(instances)).not.toContain(`understudy-${trackingId}`)
    },
    MINUTES_5,
  )
})

/** A process with a point, that never comes out of holding still for the second one. */
const HOLDER = `
const [folder, settings, trackingId] = process.argv.slice(1)
const { openLinuxSource } = await import(folder + 'source.ts')
let points = 0
const whileHeld = async () => {
  if (++points < 2) return
  console.log('held')
  await new Promise(() => setInterval(() => {}, 1000))
}
const source = await openLinuxSource({ settings: JSON.parse(settings), now: Date.now, whileHeld })
const [{ ref }] = await source.inventory()
let since = null
for (;;) {
  const { point } = await source.openPoint({ machines: [{ ref, trackingId, since, excludedDisks: [] }], consistency: 'crash' })
  const settled = await point.machines[0].settle(async () => {})
  since = settled.checkpoint
  console.log('checkpoint ' + since)
  await point.machines[0].release(true)
}
`

describe('a point of this server', () => {
  test(
    'names no more than what was written since the last one that was kept',
    async () => {
      const source = await openSource()
      const first = await settleAndKeep(opened(await ask(source, null)))
      await writeFileTo('delta', 512 * KiB)
      const dropped = opened(await ask(source, first.checkpoint))
      const bytes = await readRound(dropped.disks)
      expect(bytes).toBeGreaterThanOrEqual(512 * KiB)
      expect(bytes).toBeLessThan(8 * MiB)
      await dropped.release(false)
      // It was not kept: what was written before it is named again.
      const again = opened(await ask(source, first.checkpoint))
      expect(await readRound(again.disks)).toBeGreaterThanOrEqual(bytes)
      const second = await settleAndKeep(again)
      expect(await ask(source, first.checkpoint)).toMatchObject({
        kind: 'tracking-lost',
        reason: { code: 'linux/stale-mark' },
      })
      const third = opened(await ask(source, second.checkpoint))
      expect(await readRound(third.disks)).toBeLessThan(bytes)
      await third.release(false)
    },
    MINUTES_5,
  )

  test(
    'is none when it is held for too long, and it is not held again at once',
    async () => {
      let holds = 0
      let slowly = true
      const limits = { ...defaultLinuxSettings.limits, holdSeconds: 2 }
      const source = await openSource({ limits }, async () => {
        holds += 1
        if (slowly) await sleep(3000)
      })
      const point = opened(await ask(source, null))
      await expect(point.settle?.(async () => {})).rejects.toMatchObject({ code: 'linux/held-too-long' })
      expect(holds).toBe(1)
      await point.release(false)
      expect(await startTouching('too-long').ended).toBe(0)
      slowly = false
      await settleAndKeep(opened(await ask(source, null)))
      expect(holds).toBe(2)
    },
    MINUTES_5,
  )

  test(
    'is none when a disk is written past its file systems meanwhile, or when somebody lets them go on',
    async () => {
      let disturb = async (): Promise<unknown> => undefined
      const source = await openSource({}, async () => void (await disturb()))
      const { checkpoint } = await settleAndKeep(opened(await ask(source, null)))
      disturb = async () =>
        must('dd', 'if=/dev/zero', `of=${disk.path}`, 'bs=512', 'count=1', 'seek=1', 'oflag=direct')
      const written = opened(await ask(source, checkpoint))
      await expect(written.settle?.(async () => {})).rejects.toMatchObject({
        code: 'linux/written-while-held',
      })
      await written.release(false)
      disturb = async () => must('fsfreeze', '-u', disk.mountPoint)
      const thawed = opened(await ask(source, checkpoint))
      // A file system that goes on writes to its superblock at once, unless it has not come to that yet.
      await expect(thawed.settle?.(async () => {})).rejects.toMatchObject({
        code: expect.stringMatching(/^linux\/(not-held-still|written-while-held)$/),
      })
      await thawed.release(false)
      expect(await startTouching('goes-on').ended).toBe(0)
      disturb = async () => undefined
      await settleAndKeep(opened(await ask(source, checkpoint)))
    },
    MINUTES_5,
  )

  test(
    'is taken although its first holds are disturbed, and equals the disk at its instant',
    async () => {
      let holds = 0
      const oracle = join(folder, 'oracle')
      const source = await openSource({}, async () => {
        holds += 1
        if (holds === 1) await must('fsfreeze', '-u', disk.mountPoint)
        else if (holds === 2)
          await must(
            'dd',
            'if=/dev/urandom',
            `of=${disk.path}`,
            'bs=512',
            'count=1',
            'seek=1',
            'oflag=direct',
          )
        else await copyDisk(disk.path, oracle)
      })
      const point = opened(await ask(source, null))
      const image = Buffer.alloc(64 * MiB)
      await takeInto(image, point.disks)
      // What is left for the hold is not lost with it.
      await writeFileTo('left', 256 * KiB)
      await present(point.settle, 'it settles')((disks) => takeInto(image, disks))
      await point.release(true)
      expect(holds).toBe(3)
      expect(image.equals(await readFile(oracle))).toBe(true)
    },
    MINUTES_5,
  )

  test(
    'is over when it was let go in the middle of a hold: nothing of it is held any more, and nothing of it can be read',
    async () => {
      const held = Promise.withResolvers<void>()
      const goOn = Promise.withResolvers<void>()
      const source = await openSource({}, async () => {
        held.resolve()
        await goOn.promise
      })
      const point = opened(await ask(source, null))
      const rounds: Round[] = []
      const settling = present(point.settle, 'it settles')(async (disks) => void rounds.push(disks))
      const failed = settling.catch((error: unknown) => error)
      await held.promise
      let over = false
      const letGo = point.release(false).then(() => {
        over = true
      })
      await sleep(300)
      expect(over).toBe(false)
      goOn.resolve()
      await letGo
      expect(await holdersOf(disk.mountPoint)).toEqual([])
      expect(await startTouching('let-go').ended).toBe(0)
      expect(await failed).toMatchObject({ name: 'AbortError' })
      for (const [first] of [point.disks, ...rounds])
        await expect(present(first, 'it has the disk').reader.read(0, 4096)).rejects.toThrow()
      // Whoever comes next finds everything as it was.
      await settleAndKeep(opened(await ask(source, null)))
    },
    MINUTES_5,
  )

  test.each<[string, (instance: string) => Promise<unknown>]>([
    [
      'stops it for a moment',
      async (instance) => {
        await writeFile(join(instance, 'tracing_on'), '0')
        await sleep(500)
        await writeFile(join(instance, 'tracing_on'), '1')
      },
    ],
    [
      'stops its event',
      (instance) => writeFile(join(instance, 'events/block/block_rq_complete/enable'), '0'),
    ],
    [
      'filters it',
      (instance) => writeFile(join(instance, 'events/block/block_rq_complete/filter'), 'dev == 1'),
    ],
    ['empties it', (instance) => writeFile(join(instance, 'trace'), '')],
  ])(
    'compares everything after somebody %s that traces for it',
    async (_, disturb) => {
      const source = await openSource()
      const { checkpoint } = await settleAndKeep(opened(await ask(source, null)))
      await disturb(join(instances, `understudy-${trackingId}`))
      const asked = await ask(source, checkpoint)
      expect(asked).toMatchObject({ kind: 'tracking-lost', reason: { code: 'linux/events-lost' } })
      await settleAndKeep(opened(await ask(source, null)))
    },
    MINUTES_5,
  )

  test(
    'is none when the server writes faster than it is read',
    async () => {
      const source = await openSource({ limits: { holdBytes: 64 * KiB, rounds: 3, holdSeconds: 60 } })
      const point = opened(await ask(source, null))
      const settling = present(
        point.settle,
        'it settles',
      )(async () => void (await writeFileTo('fast', 2 * MiB)))
      await writeFileTo('fast', 2 * MiB)
      await expect(settling).rejects.toMatchObject({ code: 'linux/writes-too-fast' })
      await point.release(false)
    },
    MINUTES_5,
  )

  test(
    'is application-consistent when its scripts say so, else it says why not, and what was stopped goes on',
    async () => {
      const scripts = join(folder, 'scripts')
      const log = join(folder, 'scripts.log')
      for (const when of ['pre.d', 'post.d']) {
        await mkdir(join(scripts, when), { recursive: true })
        await writeFile(join(scripts, when, '10-note'), `#!/bin/sh\necho ${when} >> ${log}\n`)
        await chmod(join(scripts, when, '10-note'), 0o755)
      }
      const source = await openSource()
      expect((await source.eligibility(ref)).applicationConsistent).toBe(true)
      const good = await settleAndKeep(opened(await ask(source, null, 'application')))
      expect(good).toMatchObject({ consistency: 'application', consistencyNote: null })
      await writeFile(join(scripts, 'pre.d', '20-bad'), '#!/bin/sh\necho the database is busy\nexit 3\n')
      await chmod(join(scripts, 'pre.d', '20-bad'), 0o755)
      const bad = await settleAndKeep(opened(await ask(source, good.checkpoint, 'application')))
      expect(bad).toMatchObject({
        consistency: 'crash',
        consistencyNote: expect.stringMatching(/20-bad ended with 3: the database is busy/),
      })
      await chown(join(scripts, 'pre.d', '10-note'), 65_534, 65_534)
      const foreign = await settleAndKeep(opened(await ask(source, bad.checkpoint, 'application')))
      expect(foreign).toMatchObject({
        consistency: 'crash',
        consistencyNote: expect.stringMatching(/10-note was not run: it does not belong to root$/),
      })
      expect((await must('cat', log)).split('\n')).toEqual(['pre.d', 'post.d', 'pre.d', 'post.d', 'post.d'])
    },
    MINUTES_5,
  )

  test(
    'takes in disks that are added, that grow, and that were left out for a while, as a whole',
    async () => {
      const second = await makeTestDisk('ext4', 32 * MiB)
      atEnd.push(() => second.remove())
      const source = await openSource({ devices: [disk.path, second.path] })
      const keyOf = (path: string): DiskKey => path.slice('/dev/'.length) as DiskKey
      const openFor = async (since: string | null, excludedDisks: readonly DiskKey[]) =>
        opened(
          await source.openPoint({
            machines: [{ ref, trackingId, since, excludedDisks }],
            consistency: 'crash',
          }),
        )
      const bytesOf = async (point: SourceMachinePoint, path: string): Promise<number> =>
        await readRound(point.disks.filter(({ key }) => key === keyOf(path)))

      const first = await settleAndKeep(await openFor(null, [keyOf(second.path)]))
      const added = await openFor(first.checkpoint, [])
      expect(await bytesOf(added, second.path)).toBe(32 * MiB)
      expect(await bytesOf(added, disk.path)).toBeLessThan(32 * MiB)
      const both = await settleAndKeep(added)

      // A point without it that comes to nothing, and a write that nobody watches.
      await (await openFor(both.checkpoint, [keyOf(second.path)])).release(false)
      await must(
        'dd',
        'if=/dev/zero',
        `of=${join(second.mountPoint, 'unseen')}`,
        'bs=64k',
        'count=1',
        'conv=fsync',
      )
      const again = await openFor(both.checkpoint, [])
      expect(await bytesOf(again, second.path)).toBe(32 * MiB)
      const third = await settleAndKeep(again)

      await second.grow(48 * MiB)
      const grown = await openFor(third.checkpoint, [])
      expect(grown.disks.find(({ key }) => key === keyOf(second.path))?.bytes).toBe(48 * MiB)
      const bytes = await bytesOf(grown, second.path)
      expect(bytes).toBeGreaterThanOrEqual(16 * MiB)
      expect(bytes).toBeLessThan(48 * MiB)
      await settleAndKeep(grown)
    },
    MINUTES_5,
  )

  test(
    'begins anew, and says why, when another disk is in the place of one, and sees that disks come and go',
    async () => {
      const place = await must('losetup', '-f', '--show', await imageOf('first', 8 * MiB))
      atEnd.push(() => must('losetup', '-d', place))
      const source = await openSource({ devices: [disk.path, place] })
      const first = await settleAndKeep(opened(await ask(source, null)))
      const same = await settleAndKeep(opened(await ask(source, first.checkpoint)))

      let changes = 0
      const watching = new AbortController()
      atEnd.push(async () => watching.abort())
      source.watch(() => {
        changes += 1
      }, watching.signal)
      await sleep(500)
      await must('losetup', '-d', place)
      await must('losetup', place, await imageOf('second', 8 * MiB))
      const swapped = await ask(source, same.checkpoint)
      expect(swapped).toMatchObject({ kind: 'tracking-lost', reason: { code: 'linux/disk-replaced' } })
      const anew = await settleAndKeep(opened(await ask(source, null)))
      expect((await ask(source, anew.checkpoint)).kind).toBe('opened')
      for (let seconds = 0; changes === 0 && seconds < 60; seconds += 1) await sleep(1000)
      expect(changes).toBeGreaterThan(0)
    },
    MINUTES_5,
  )

  test('is refused together with others, and of a server that is another one', async () => {
    const source = await openSource()
    const one = { ref, trackingId, since: null, excludedDisks: [] }
    const two = source.openPoint({
      machines: [one, { ...one, ref: 'other' as MachineRef }],
      consistency: 'crash',
    })
    await expect(two).rejects.toMatchObject({ code: 'linux/no-common-instant' })
    const other = source.openPoint({
      machines: [{ ...one, ref: 'other' as MachineRef }],
      consistency: 'crash',
    })
    await expect(other).rejects.toMatchObject({ code: 'machine/not-found' })
  })
})
