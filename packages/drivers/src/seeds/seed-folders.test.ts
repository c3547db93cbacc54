import { mkdtemp, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { KiB } from '@understudy/base/bytes'
import { subtract, totalBytes } from '@understudy/block/extents'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import type { SeedId } from '@understudy/domain/seeds/seed'
import type { SeedReader, SeedWriter } from '@understudy/engine/ports/seed-folders'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSeedFolders } from './open-seed-folders.ts'

const id = 'seed-1' as SeedId
const identity = {
  id,
  protectionId: 'web' as ProtectionId,
  replicaId: 'replica-1' as ReplicaId,
  machineName: 'web',
}
const vda = 'vda' as DiskKey
const vdb = 'vdb' as DiskKey
const passphrase = 'correct horse'
const piece = 16 * KiB
const point = {
  instant: 5,
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: 'mark-1',
  cycle: 'seed',
} as const
/** Files small enough that a seed has several. */
const rules = { serverFolders: ['/proc'], takenFolders: async () => [], partBytes: 96 * KiB }
const seeds = openSeedFolders(rules)
const fresh = { fingerprint: null, acceptsServerDisk: false }
const random = seededRandom(7)
const noise = (bytes: number): Buffer => random.bytes(bytes)

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'azseed-'))
})
afterEach(() => rm(folder, { recursive: true }))

const home = (): string => path.join(folder, `understudy-seed-${id}`)
const begin = () => seeds.openWriter({ folder, passphrase }, identity, fresh)
const markOf = (checkpoint: string, disks: readonly (readonly [DiskKey, Buffer])[]) => ({
  checkpoint,
  disks: disks.map(([key, { length }]) => ({ key, bytes: length })),
})

/** What a resumed export does: everything that is not safe. Returns how many bytes it wrote. */
async function fill(
  writer: SeedWriter,
  key: DiskKey,
  disk: Buffer,
  most = Number.POSITIVE_INFINITY,
): Promise<number> {
  let done = 0
  for (const { offset, bytes } of subtract([{ offset: 0, bytes: disk.length }], [...writer.safe(key)]))
    for (let at = offset; at < offset + bytes && done < most; at += piece) {
      const data = disk.subarray(at, Math.min(at + piece, offset + bytes))
      await (data.every((byte) => byte === 0)
        ? writer.zero(key, at, data.length)
        : writer.write(key, at, data))
      done += data.length
    }
  return done
}

async function contentOf(reader: SeedReader): Promise<Map<DiskKey, Buffer>> {
  const disks = new Map(reader.manifest.disks.map(({ key, bytes }) => [key, Buffer.alloc(bytes, 0xee)]))
  for await (const content of reader.contents(new AbortController().signal)) {
    if (content === 'mark') continue
    const disk = disks.get(content.disk)
    if (content.data) content.data.copy(disk ?? Buffer.alloc(0), content.offset)
    else disk?.fill(0, content.offset, content.offset + content.bytes)
  }
  return disks
}

const read = async (given = passphrase, of = id): Promise<Map<DiskKey, Buffer>> =>
  contentOf(await seeds.openReader({ folder, passphrase: given }, of))

/** Two disks, one of them half empty. */
function newDisks() {
  const a = noise(12 * piece)
  const b = Buffer.concat([noise(2 * piece), Buffer.alloc(4 * piece), Buffer.alloc(2 * piece, 'text ')])
  return { a, b, disks: [[vda, a] as const, [vdb, b] as const] }
}

async function exported() {
  const { a, b, disks } = newDisks()
  const writer = await begin()
  await writer.moveTo(markOf('mark-1', disks), 'all')
  await fill(writer, vda, a)
  await fill(writer, vdb, b)
  await writer.finish(point)
  await writer.close()
  return { a, b }
}

const storedBytes = async (): Promise<number> => {
  const files = (await readdir(home())).filter((name) => name.startsWith('frames'))
  const sizes = await Promise.all(files.map(async (name) => (await stat(path.join(home(), name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}

describe('a seed', () => {
  test('gives back every byte of every disk, over several files', async () => {
    const { a, b } = await exported()
    expect(await read()).toEqual(
      new Map([
        [vda, a],
        [vdb, b],
      ]),
    )
    expect((await readdir(home())).filter((name) => name.startsWith('frames')).length).toBeGreaterThan(2)
    const { manifest } = await seeds.openReader({ folder: home(), passphrase }, id)
    expect(manifest).toMatchObject({ ...identity, point, storedBytes: await storedBytes() })
  })

  test('shows nothing of the disks, and no zeros or repetitions take room', async () => {
    const secret = Buffer.from('the secret of the machine '.repeat(4 * KiB))
    const writer = await begin()
    await writer.moveTo(markOf('m', [[vda, secret]]), 'all')
    await fill(writer, vda, secret)
    await writer.finish(point)
    await writer.close()
    for (const name of await readdir(home()))
      expect((await readFile(path.join(home(), name))).includes('secret')).toBe(false)
    expect(await storedBytes()).toBeLessThan(secret.length / 10)
  })

  test('cut off at any place goes on there: what is whole is kept, and nothing is written twice', async () => {
    const { a, b, disks } = newDisks()
    const { length: total } = Buffer.concat([a, b])
    const writer = await begin()
    await writer.moveTo(markOf('mark-1', disks), 'all')
    let written = await fill(writer, vda, a)
    await writer.close()
    const frames = (await readdir(home())).filter((name) => name.startsWith('frames')).sort()
    const last = path.join(home(), frames.at(-1) ?? '')
    const whole = await readFile(last)
    for (let bytes = whole.length; bytes >= 0; bytes -= 9973) {
      await writeFile(last, whole.subarray(0, bytes))
      const again = await begin()
      const safe = totalBytes(again.safe(vda))
      expect(again.mark?.checkpoint).toBe('mark-1')
      expect(a.length - safe).toBeLessThanOrEqual(roundUp(whole.length - bytes))
      written = safe + (await fill(again, vda, a)) + (await fill(again, vdb, b))
      expect(written).toBe(total)
      await again.finish(point)
      await again.close()
      expect(await read()).toEqual(
        new Map([
          [vda, a],
          [vdb, b],
        ]),
      )
      await rm(path.join(home(), 'manifest.bin'))
      for (const name of await readdir(home()))
        if (name.startsWith('frames') && !frames.includes(name)) await rm(path.join(home(), name))
    }
  })

  test('moved to a later instant keeps what did not change, and the later content counts', async () => {
    const { a, b, disks } = newDisks()
    const first = await begin()
    await first.moveTo(markOf('mark-1', disks), 'all')
    await fill(first, vda, a, 8 * piece)
    await first.close()
    noise(piece).copy(a, piece)
    const second = await begin()
    await second.moveTo(markOf('mark-2', disks), new Map([[vda, [{ offset: piece, bytes: piece }]]]))
    await second.close()
    const third = await begin()
    expect(third.mark?.checkpoint).toBe('mark-2')
    expect(await fill(third, vda, a)).toBe(5 * piece)
    await fill(third, vdb, b)
    await third.finish(point)
    await third.close()
    expect(await read()).toEqual(
      new Map([
        [vda, a],
        [vdb, b],
      ]),
    )
  })

  test('a disk that grew, shrank, left or came is as it is at the last mark', async () => {
    const { a, b, disks } = newDisks()
    const first = await begin()
    await first.moveTo(markOf('mark-1', disks), 'all')
    await fill(first, vda, a)
    await fill(first, vdb, b)
    const grown = Buffer.concat([a, noise(piece)])
    const short = b.subarray(0, 3 * piece)
    const vdc = 'vdc' as DiskKey
    const c = noise(piece)
    await first.moveTo(
      markOf('mark-2', [
        [vdc, c],
        [vda, grown],
      ]),
      new Map(),
    )
    await first.moveTo(
      markOf('mark-3', [
        [vdb, short],
        [vdc, c],
        [vda, grown],
      ]),
      new Map(),
    )
    expect(await fill(first, vda, grown)).toBe(piece)
    expect(await fill(first, vdb, short)).toBe(3 * piece)
    await fill(first, vdc, c)
    await first.finish(point)
    await first.close()
    expect(await read()).toEqual(
      new Map([
        [vdb, short],
        [vdc, c],
        [vda, grown],
      ]),
    )
  })

  test('one that is complete says so to whoever would go on with it', async () => {
    await exported()
    const again = await begin()
    expect(again.finished).toMatchObject({ point })
    await again.close()
  })
})

const roundUp = (bytes: number): number => Math.ceil(bytes / piece + 1) * piece

describe('a seed is refused', () => {
  test.each([
    ['with another passphrase', async () => read('correct Horse'), 'seed/wrong-passphrase'],
    ['when it is another one', async () => read(passphrase, 'seed-2' as SeedId), 'seed/not-found'],
    [
      'in a folder that is not there',
      async () => seeds.openReader({ folder: '/no/such/folder', passphrase }, id),
      'seed/no-folder',
    ],
    [
      'in a folder without its root',
      async () => seeds.openReader({ folder: 'media/disk', passphrase }, id),
      'seed/relative-folder',
    ],
    [
      'to be written where no disk is mounted',
      async () => seeds.openWriter({ folder: '/no/such/folder', passphrase }, identity, fresh),
      'seed/no-folder',
    ],
    [
      'to be gone on with under another passphrase',
      async () => seeds.openWriter({ folder, passphrase: 'other' }, identity, fresh),
      'seed/wrong-passphrase',
    ],
  ])('%s', async (_, attempt, code) => {
    await exported()
    await expect(attempt()).rejects.toMatchObject({ name: 'Refusal', code, remedy: expect.any(String) })
  })

  test('before its export has come to the end', async () => {
    await exported()
    await rm(path.join(home(), 'manifest.bin'))
    await expect(read()).rejects.toMatchObject({ code: 'seed/incomplete' })
  })

  test('when one bit of it is another one, wherever that is', async () => {
    await exported()
    for (const name of await readdir(home())) {
      const file = path.join(home(), name)
      const { size } = await stat(file)
      for (let at = 0; at < size; at += 1 + Math.floor(size / 5)) {
        await flip(file, at)
        await expect(read(), `${name} at ${at}`).rejects.toMatchObject({
          name: 'Refusal',
          code: expect.stringMatching(/^seed\/(damaged|wrong-passphrase)$/),
        })
        await flip(file, at)
      }
    }
    await read()
  })

  test('when a file of it is missing, cut, or changed places with another', async () => {
    await exported()
    const names = (await readdir(home())).filter((name) => name.startsWith('frames')).sort()
    for (const name of names) {
      const file = path.join(home(), name)
      const whole = await readFile(file)
      await truncate(file, whole.length - 1)
      await expect(read()).rejects.toMatchObject({ code: 'seed/damaged' })
      await rm(file)
      await expect(read()).rejects.toMatchObject({ code: 'seed/damaged' })
      await writeFile(file, whole)
    }
    const [one, two] = names.map((name) => path.join(home(), name))
    if (!one || !two) throw new Error('there are two files')
    const [first, second] = [await readFile(one), await readFile(two)]
    await writeFile(one, second)
    await writeFile(two, first)
    await expect(read()).rejects.toMatchObject({ code: 'seed/damaged' })
  })
})

async function flip(file: string, at: number): Promise<void> {
  const handle = await open(file, 'r+')
  const byte = Buffer.alloc(1)
  await handle.read(byte, 0, 1, at)
  await handle.write(Buffer.of((byte[0] ?? 0) ^ 1), 0, 1, at)
  await handle.close()
}
