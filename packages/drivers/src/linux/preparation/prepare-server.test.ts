import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Refusal } from '@understudy/base/errors'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { whatIsWanted } from './prepare-for.ts'
import {
  findPreparation,
  type PreparationPlace,
  prepareServer,
  undoPreparation,
  undoUnfinishedPreparation,
  type Wanted,
} from './prepare-server.ts'

let root: string
let place: PreparationPlace & { builder: { driversIn(path: string): Promise<readonly string[]> } }
let holds: string[]
let build: (into: string) => Promise<void>

const hook = 'etc/initramfs-tools/hooks/understudy'
const disk = 'boot/initrd.img-6.1'
const wanted: Wanted = {
  drivers: ['virtio_blk', 'virtio_net'],
  lacking: [{ kernel: '6.1', drivers: ['virtio_blk'] }],
  runningKernel: '6.1',
  at: 1000,
}

const put = async (path: string, content: string): Promise<void> => {
  await mkdir(dirname(join(root, path)), { recursive: true })
  await writeFile(join(root, path), content)
}

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'us-prepare-'))
  await put(disk, 'as installed')
  await put('usr/sbin/mkinitramfs', '')
  await put('etc/systemd/system/ssh.service', '')
  await mkdir(join(root, 'etc/initramfs-tools/hooks'), { recursive: true })
  holds = ['virtio_blk', 'virtio_net']
  build = async (into) => {
    const asked = await readFile(join(root, hook), 'utf8').catch(() => 'no hook')
    await writeFile(into, `built with ${asked}`)
  }
  place = {
    root,
    folder: join(root, 'kept'),
    builder: {
      build: (command) => build(command[2] ?? ''),
      driversIn: async () => holds,
    },
  }
})
afterEach(() => rm(root, { recursive: true, force: true }))

/** Every file and its content, but for what is kept. */
async function contents(): Promise<Record<string, string>> {
  const all: Record<string, string> = {}
  for (const path of await readdir(root, { recursive: true })) {
    const facts = await lstat(join(root, path))
    if (facts.isDirectory() || path.startsWith('kept/')) continue
    all[path] = facts.isSymbolicLink() ? 'a link' : await readFile(join(root, path), 'utf8')
  }
  return all
}

test('what is prepared is said, and undone to the last byte', async () => {
  const before = await contents()
  const prepared = await prepareServer(place, async () => wanted)
  expect(prepared).toMatchObject({ at: 1000, tool: 'initramfs-tools', drivers: ['virtio_blk', 'virtio_net'] })
  expect(prepared.changes).toContain(join(root, disk))
  const after = await contents()
  expect(after[disk]).toContain('manual_add_modules virtio_blk virtio_net')
  expect(
    Object.keys(after)
      .filter((path) => !(path in before))
      .sort(),
  ).toEqual([
    hook,
    'etc/systemd/system/multi-user.target.wants/understudy-first-boot.service',
    'etc/systemd/system/understudy-first-boot.service',
    'usr/local/lib/understudy/first-boot',
  ])
  expect(await findPreparation(place)).toEqual(prepared)
  await undoPreparation(place)
  expect(await contents()).toEqual(before)
  expect(await findPreparation(place)).toBeNull()
  await undoPreparation(place)
})

test.each<[string, () => void, string]>([
  [
    'a build that fails',
    () => {
      build = async (into) => {
        await writeFile(into, 'half')
        throw new Refusal({ code: 'prepare/not-built', message: 'm', remedy: 'r' })
      }
    },
    'prepare/not-built',
  ],
  [
    'a memory disk without the drivers',
    () => {
      holds = ['virtio_net']
    },
    'prepare/not-built',
  ],
])('%s leaves the server as it was', async (_what, spoil, code) => {
  const before = await contents()
  spoil()
  await expect(prepareServer(place, async () => wanted)).rejects.toMatchObject({ code })
  expect(await contents()).toEqual(before)
  expect(await findPreparation(place)).toBeNull()
})

test('a memory disk that lost what the server starts with is not put in place', async () => {
  const before = await contents()
  place.builder.driversIn = async (path) => (path.startsWith(place.folder) ? [...holds, 'ahci'] : holds)
  await expect(prepareServer(place, async () => wanted)).rejects.toMatchObject({
    code: 'prepare/other-content',
    message: expect.stringContaining('ahci'),
  })
  expect(await contents()).toEqual(before)
})

test('what somebody else has built meanwhile stays, and nothing else is left', async () => {
  const before = await contents()
  build = async (into) => {
    await writeFile(into, 'of the state before')
    await put(disk, 'by an update')
  }
  await expect(prepareServer(place, async () => wanted)).rejects.toMatchObject({
    code: 'prepare/changed-meanwhile',
  })
  expect(await contents()).toEqual({ ...before, [disk]: 'by an update' })
})

test('prepared again it is looked at as it is without it', async () => {
  await prepareServer(place, async () => wanted)
  const seen: unknown[] = []
  await prepareServer(place, async () => {
    seen.push((await contents())[disk])
    return wanted
  })
  expect(seen).toEqual(['as installed'])
  expect((await contents())[disk]).toContain('virtio_blk')
})

test('what a process that died has left in the middle is undone, and what is whole is not', async () => {
  const before = await contents()
  await prepareServer(place, async () => wanted)
  const record = join(place.folder, 'preparation.json')
  const whole = await contents()
  await undoUnfinishedPreparation(place)
  expect(await contents()).toEqual(whole)
  const text = await readFile(record, 'utf8')
  await writeFile(record, text.replace('"done": true', '"done": false'))
  await undoUnfinishedPreparation(place)
  expect(await contents()).toEqual(before)
})

test('a file of somebody else is never taken for ours', async () => {
  await put('etc/systemd/system/understudy-first-boot.service', 'of somebody else')
  const before = await contents()
  await expect(prepareServer(place, async () => wanted)).rejects.toMatchObject({ code: 'prepare/in-the-way' })
  expect(await contents()).toEqual(before)
})

test('a crash in the middle is undone by the next preparation, which begins anew', async () => {
  const before = await contents()
  // Whoever is killed does not tidy up: what it has kept and written stays.
  let copy: Record<string, string> = {}
  build = async (into) => {
    await writeFile(into, 'half')
    for (const path of await readdir(join(root, 'kept')))
      copy[path] = await readFile(join(root, 'kept', path), 'utf8')
    copy = { ...copy }
    throw new Error('killed')
  }
  await expect(prepareServer(place, async () => wanted)).rejects.toThrow('killed')
  for (const [path, content] of Object.entries(copy)) await put(`kept/${path}`, content)
  await put(hook, 'half a hook')
  await put(`${disk}.understudy-new`, 'half a disk')
  build = (into) => writeFile(into, 'whole')
  expect(await findPreparation(place)).toBeNull()
  await prepareServer(place, async () => wanted)
  expect((await contents())[disk]).toBe('whole')
  await undoPreparation(place)
  expect(await contents()).toEqual(before)
})

test('what an update has built since is built anew without our drivers', async () => {
  await prepareServer(place, async () => wanted)
  await put(disk, 'by an update')
  await undoPreparation(place)
  expect((await contents())[disk]).toBe('built with no hook')
})

test('other drivers than last time begin from what was installed', async () => {
  const before = await contents()
  await prepareServer(place, async () => wanted)
  holds = [...holds, 'hv_storvsc']
  await prepareServer(place, async () => ({ ...wanted, drivers: [...wanted.drivers, 'hv_storvsc'] }))
  expect((await contents())[disk]).toContain('hv_storvsc')
  await undoPreparation(place)
  expect(await contents()).toEqual(before)
})

test('where neither of the tools is there it is refused; a server that has all drivers needs none of them', async () => {
  await rm(join(root, 'etc/initramfs-tools'), { recursive: true })
  await expect(prepareServer(place, async () => wanted)).rejects.toMatchObject({
    code: 'prepare/unknown-system',
  })
  expect(await prepareServer(place, async () => ({ ...wanted, drivers: [], lacking: [] }))).toMatchObject({
    tool: 'none',
  })
})

test('wanted is what a kernel has as a module; lacking is what its memory disk does not hold', () => {
  const kernel = { version: '6.1', builtIn: ['virtio_pci'], available: ['virtio_blk', 'virtio_net'] }
  const runningKernel = '6.1'
  const read = { ...kernel, initramfs: { kind: 'read' as const, drivers: ['virtio_net'] } }
  expect(whatIsWanted({ runningKernel, kernels: [read] }, ['virtio'])).toEqual({
    drivers: ['virtio_blk', 'virtio_net'],
    lacking: [{ kernel: '6.1', drivers: ['virtio_blk'] }],
    runningKernel,
  })
  const unread = { ...kernel, initramfs: { kind: 'unread' as const, reason: 'no cpio' } }
  expect(() => whatIsWanted({ runningKernel, kernels: [unread] }, ['virtio'])).toThrow(
    expect.objectContaining({ code: 'prepare/unread' }),
  )
})
