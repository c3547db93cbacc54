// The model of Azure's promises and the emulator behind its proxy give the same answers, so that what is proved over the model
// means something.
import { MiB } from '@understudy/base/bytes'
import type { Extent } from '@understudy/block/device'
import { coalesce } from '@understudy/block/extents'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connectAzure } from './azure-calls.ts'
import { memoryAccount, memoryCalls } from './emulator/memory-calls.ts'
import { type Emulator, startEmulator } from './emulator/start-emulator.ts'
import { probePageDiff } from './probe.ts'
import { FenceBroken, type ListedBlob, type PageSource, type StorageCalls } from './storage-calls.ts'

let emulator: Emulator
beforeAll(async () => {
  emulator = await startEmulator()
})
afterAll(async () => {
  await emulator.stop()
})

let containers = 0
const makers: [string, () => Promise<StorageCalls>][] = [
  ['the model', async () => memoryCalls(memoryAccount())],
  [
    'the emulator',
    async () => {
      containers += 1
      return await connectAzure(await emulator.makeContainer(`calls-${containers}`))
    },
  ],
]

describe.each(makers)('%s', (_name, make) => {
  const metadata = { mark: 'x' }
  const body = Buffer.from('content')

  test('makes a file only where none is, and changes it only from what was seen', async () => {
    const calls = await make()
    const first = await calls.put('f/a.json', { body, metadata }, 'absent')
    expect(await calls.put('f/a.json', { body, metadata }, 'absent')).toBeNull()
    const second = await calls.put('f/a.json', { body, metadata: {} }, { etag: first ?? '' })
    expect(second).not.toBe(first)
    expect(await calls.put('f/a.json', { body, metadata }, { etag: first ?? '' })).toBeNull()
    expect(await calls.put('f/none.json', { body, metadata }, { etag: first ?? '' })).toBeNull()
    expect(await calls.get('f/a.json')).toEqual({ body, metadata: {}, etag: second })
    expect(await calls.get('f/none.json')).toBeNull()
  })
  test('annotates and deletes only what was seen', async () => {
    const calls = await make()
    const first = (await calls.put('f/a.json', { body, metadata }, 'any')) ?? ''
    const marked = await calls.putMetadata('f/a.json', { mark: 'y' }, first)
    expect(await calls.putMetadata('f/a.json', { mark: 'z' }, first)).toBeNull()
    expect(await calls.get('f/a.json')).toMatchObject({ metadata: { mark: 'y' }, etag: marked })
    const listed: ListedBlob[] = []
    for await (const blob of calls.list('f/', { metadata: true })) listed.push(blob)
    expect(listed).toEqual([{ name: 'f/a.json', snapshot: null, etag: marked, metadata: { mark: 'y' } }])
    expect(await calls.remove('f/a.json', { etag: first })).toBe(false)
    expect(await calls.remove('f/a.json', { etag: marked ?? '' })).toBe(true)
    expect(await calls.remove('f/a.json', {})).toBe(false)
  })
  test('refuses what names an older fence, and only the new one may write', async () => {
    const calls = await make()
    const etag = (await calls.createPages('d', { bytes: MiB, metadata, fence: 5 })) ?? ''
    expect(await calls.createPages('d', { bytes: MiB, metadata, fence: 6 })).toBeNull()
    const data = Buffer.alloc(512, 1)
    const written = await calls.putPages('d', { offset: 0, fence: 5, data })
    expect(await calls.raiseFence('d', { fence: 2 ** 40, etag })).toBeNull()
    const raised = await calls.raiseFence('d', { fence: 2 ** 40, etag: written })
    await expect(calls.putPages('d', { offset: 0, fence: 5, data })).rejects.toThrow(FenceBroken)
    await expect(calls.clearPages('d', { offset: 0, fence: 5, bytes: 512 })).rejects.toThrow(FenceBroken)
    await calls.putPages('d', { offset: 512, fence: 2 ** 40, data })
    const facts = await calls.pageFacts('d')
    expect(facts).toMatchObject({ bytes: MiB, sequence: 2 ** 40, metadata })
    expect(facts?.etag).not.toBe(raised)
    expect(await calls.pageFacts('none')).toBeNull()
    await expect(calls.putPages('none', { offset: 0, fence: 5, data })).rejects.toThrow(FenceBroken)
  })
  test('refuses pages behind the end, as of a blob that was made smaller meanwhile', async () => {
    const calls = await make()
    const etag = (await calls.createPages('d', { bytes: MiB, metadata, fence: 5 })) ?? ''
    await calls.resizePages('d', 512, etag)
    await expect(calls.putPages('d', { offset: 512, fence: 5, data: Buffer.alloc(512, 1) })).rejects.toThrow()
    await expect(calls.clearPages('d', { offset: 512, fence: 5, bytes: 512 })).rejects.toThrow()
  })
  test('a snapshot has the ETag of the blob at that moment, and only that content is read under it', async () => {
    const calls = await make()
    await calls.createPages('d', { bytes: MiB, metadata, fence: 1 })
    const written = await calls.putPages('d', { offset: 512, fence: 1, data: Buffer.alloc(512, 1) })
    const taken = await calls.takeSnapshot('d')
    expect(taken.etag).toBe(written)
    expect((await calls.pageFacts('d'))?.etag, 'a snapshot changes nothing').toBe(written)
    await calls.putPages('d', { offset: 512, fence: 1, data: Buffer.alloc(512, 2) })
    expect(await calls.readPages(taken, { offset: 512, bytes: 512 })).toEqual(Buffer.alloc(512, 1))
    expect(await calls.readPages({ ...taken, etag: '"0x1"' }, { offset: 512, bytes: 512 })).toBeNull()
    const live = { name: 'd', snapshot: null }
    expect(await calls.readPages(live, { offset: 512, bytes: 1024 })).toEqual(
      Buffer.concat([Buffer.alloc(512, 2), Buffer.alloc(512)]),
    )
    const listed: (string | null)[][] = []
    for await (const { name, snapshot } of calls.list('d', { snapshots: true })) listed.push([name, snapshot])
    expect(listed.sort()).toEqual(
      [
        ['d', taken.snapshot],
        ['d', null],
      ].sort(),
    )
    expect(await calls.remove('d', { snapshot: taken.snapshot })).toBe(true)
    expect(await calls.readPages(taken, { offset: 512, bytes: 512 })).toBeNull()
  })
  test('a blob that shrinks loses what was behind its end, and a blob goes with its snapshots', async () => {
    const calls = await make()
    await calls.createPages('d', { bytes: 2 * MiB, metadata, fence: 1 })
    const etag = await calls.putPages('d', { offset: MiB, fence: 1, data: Buffer.alloc(512, 1) })
    const shorter = (await calls.resizePages('d', MiB, etag)) ?? ''
    expect(await calls.resizePages('d', 3 * MiB, etag)).toBeNull()
    await calls.resizePages('d', 2 * MiB, shorter)
    const live = { name: 'd', snapshot: null }
    expect(await calls.readPages(live, { offset: MiB, bytes: 512 })).toEqual(Buffer.alloc(512))
    await calls.takeSnapshot('d')
    expect(await calls.remove('d', {})).toBe(true)
    for await (const { name } of calls.list('', { snapshots: true })) throw new Error(`${name} is left`)
  })
  test('tells the pages that changed since a snapshot, and the probe believes it', async () => {
    expect(await probePageDiff(await make())).toBe(true)
  })
})

test('model and emulator hold the same pages after the same work', async () => {
  const random = seededRandom(3)
  const all = await Promise.all(makers.map(([, make]) => make()))
  const snapshots: string[][] = [[], []]
  for (const calls of all) await calls.createPages('d', { bytes: MiB, metadata: {}, fence: 1 })
  for (let step = 0; step < 40; step += 1) {
    const offset = random.below(128) * 512
    const bytes = (1 + random.below(16)) * 512
    const what = random.below(4)
    const data = random.bytes(bytes)
    for (const [index, calls] of all.entries())
      if (what === 0) await calls.clearPages('d', { offset, fence: 1, bytes })
      else if (what < 3) await calls.putPages('d', { offset, fence: 1, data })
      else snapshots[index]?.push((await calls.takeSnapshot('d')).snapshot)
  }
  const whole = { offset: 0, bytes: MiB }
  const describeBlob = async (calls: StorageCalls, times: readonly string[]) => {
    const sources: PageSource[] = [...times, null].map((snapshot) => ({ name: 'd', snapshot }))
    return await Promise.all(
      sources.map(async (source, index) => {
        const ranges: Extent[] = []
        for await (const extent of calls.pageRanges(source, whole)) ranges.push(extent)
        const since: string[] = []
        const earlier = times[index - 1]
        if (earlier !== undefined)
          for await (const { offset, bytes, isCleared } of calls.changedPages(source, earlier, whole))
            since.push(`${offset} ${bytes} ${isCleared}`)
        const content = await calls.readPages(source, whole)
        return { content: content?.toString('hex'), ranges: coalesce(ranges), since: since.sort() }
      }),
    )
  }
  const [model, azurite] = await Promise.all(
    all.map((calls, index) => describeBlob(calls, snapshots[index] ?? [])),
  )
  expect(model?.length).toBeGreaterThan(5)
  expect(azurite).toEqual(model)
})

test('Azurite alone is not believed: it lists every page, whatever changed', async () => {
  const calls = await connectAzure(await emulator.makeContainer('bare', 'azurite'))
  expect(await probePageDiff(calls)).toBe(false)
})
