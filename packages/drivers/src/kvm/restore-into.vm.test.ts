import { KiB, MiB } from '@understudy/base/bytes'
import { Outage } from '@understudy/base/errors'
import type { BlockReader, MappedExtent } from '@understudy/block/device'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { RestoreDisk } from '@understudy/engine/ports/target-platform'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { diskFingerprints } from './fingerprints.ts'
import { machineDirectory } from './machine-directory.ts'
import { endProcess } from './power.ts'
import { type KvmTarget, kvmTarget } from './target.ts'
import { type TinyMachine, type TinySite, tinySite } from './tiny-machine.ts'

let site: TinySite
let target: KvmTarget
let machine: TinyMachine

beforeEach(async () => {
  site = await tinySite()
  const directory = machineDirectory([site.host], ({ error }) => {
    throw error
  })
  const settings = { networks: [], accelerator: 'tcg' as const, bootDeadlineSeconds: 30 }
  target = kvmTarget({ hosts: [site.host], directory, settings })
  machine = await site.add('original', [
    { key: 'vda', format: 'qcow2', bytes: 8 * MiB },
    { key: 'vdb', format: 'raw', bytes: 4 * MiB },
  ])
  await machine.start()
  for (const key of keys) {
    await machine.write(key, 64 * KiB, MiB, 1)
    await machine.write(key, 2 * MiB, 512 * KiB, 2)
  }
  await endProcess(machine.location)
})
afterEach(async () => {
  await target.close()
  await site.close()
})

const keys = ['vda', 'vdb'] as const

function reader(content: Buffer, failAt = Number.POSITIVE_INFINITY): BlockReader {
  return {
    bytes: content.length,
    async read(offset, bytes) {
      if (offset + bytes > failAt)
        throw new Outage({ code: 'test/broken', message: 'the reader broke', remedy: 'None; it is a test.' })
      return Buffer.from(content.subarray(offset, offset + bytes))
    },
    close: async () => undefined,
  }
}

async function* extents(...list: readonly MappedExtent[]): AsyncGenerator<MappedExtent> {
  yield* list
}

/** What the disk shall hold: what is there, and these changes. */
function changed(key: string): { content: Buffer; differs: readonly MappedExtent[] } {
  const content = Buffer.from(machine.model(key))
  content.fill(9, MiB, MiB + 12 * KiB)
  content.fill(0, 2 * MiB, 2 * MiB + 64 * KiB)
  return {
    content,
    differs: [
      { offset: MiB, bytes: 12 * KiB, kind: 'data' },
      { offset: 2 * MiB, bytes: 64 * KiB, kind: 'zero' },
    ],
  }
}

const disk = (key: string, content: Buffer, differs: readonly MappedExtent[] | null): RestoreDisk => ({
  key: key as DiskKey,
  bytes: content.length,
  reader: reader(content),
  differs: differs === null ? null : extents(...differs),
})

const options = async (change: { overwriteModified?: boolean } = {}) => ({
  runId: 'run-1' as RunId,
  fingerprints: await diskFingerprints(machine.location),
  overwriteModified: false,
  onProgress: () => undefined,
  ...change,
})

async function expectWholeDisks(wanted: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [key, content] of wanted) expect((await machine.image(key)).equals(content), key).toBe(true)
}

test('only the differences are written, and every disk is as wanted from its first byte to its last', async () => {
  const wanted = keys.map((key) => ({ key, ...changed(key) }))
  const disks = wanted.map(({ key, content, differs }) => disk(key, content, differs))
  const parts: number[] = []
  const onProgress = ({ doneBytes, totalBytes }: { doneBytes: number; totalBytes: number }) =>
    parts.push(doneBytes / totalBytes)
  const { writtenBytes } = await target.restoreInto(machine.ref, disks, { ...(await options()), onProgress })
  expect(writtenBytes).toBe(2 * 76 * KiB)
  expect(parts.at(-1)).toBe(1)
  await expectWholeDisks(new Map(wanted.map(({ key, content }) => [key, content])))
})

test('without known differences everything is compared, and only what differs is written', async () => {
  const { content } = changed('vda')
  const { writtenBytes } = await target.restoreInto(
    machine.ref,
    [disk('vda', content, null)],
    await options(),
  )
  expect(writtenBytes).toBe(76 * KiB)
  await expectWholeDisks(
    new Map([
      ['vda', content],
      ['vdb', machine.model('vdb')],
    ]),
  )
})

test('a disk that has grown at the other site grows here too', async () => {
  const grown = ['vda', 'vdb'].map((key) => {
    const content = Buffer.concat([machine.model(key), Buffer.alloc(MiB, 7)])
    return { key, content }
  })
  const disks = grown.map(({ key, content }) => disk(key, content, null))
  await target.restoreInto(machine.ref, disks, await options())
  await expectWholeDisks(new Map(grown.map(({ key, content }) => [key, content])))
})

test('a disk that somebody wrote to is not overwritten unless a person says so', async () => {
  const before = await options()
  await machine.start()
  await machine.write('vdb', 3 * MiB, 4 * KiB, 5)
  await endProcess(machine.location)
  const { content } = changed('vdb')

  const refused = target.restoreInto(machine.ref, [disk('vdb', content, null)], before)
  await expect(refused).rejects.toMatchObject({ name: 'Refusal', code: 'fail-back/original-modified' })
  await expectWholeDisks(new Map([['vdb', machine.model('vdb')]]))

  const unknown = target.restoreInto(machine.ref, [disk('vdb', content, null)], {
    ...before,
    fingerprints: [],
  })
  await expect(unknown).rejects.toMatchObject({ code: 'fail-back/original-modified' })

  await target.restoreInto(machine.ref, [disk('vdb', content, null)], { ...before, overwriteModified: true })
  await expectWholeDisks(new Map([['vdb', content]]))
})

test('a running machine is not written to', async () => {
  await machine.start()
  const refused = target.restoreInto(
    machine.ref,
    [disk('vda', changed('vda').content, null)],
    await options(),
  )
  await expect(refused).rejects.toMatchObject({ name: 'Refusal', code: 'machine/running' })
})

test('an interrupted restore keeps the machine from starting, and is completed by repeating it', async () => {
  const { content } = changed('vda')
  content.fill(6, 4 * MiB, 6 * MiB)
  const attempt = await options()
  const broken = { ...disk('vda', content, null), reader: reader(content, 5 * MiB) }
  await expect(target.restoreInto(machine.ref, [broken], attempt)).rejects.toMatchObject({
    code: 'test/broken',
  })
  expect((await machine.image('vda')).equals(content)).toBe(false)

  await expect(machine.start()).rejects.toMatchObject({ name: 'Refusal', code: 'fail-back/half-restored' })
  await expect(target.startTracked(machine.ref, 'p1')).rejects.toMatchObject({
    code: 'fail-back/half-restored',
  })

  // The differences from before say nothing about a mixture: they are not believed.
  const nothing = disk('vda', content, [])
  await target.restoreInto(machine.ref, [nothing], attempt)
  await expectWholeDisks(new Map([['vda', content]]))
  await machine.start()
})

test('a machine that is started tracked names a checkpoint on all its disks', async () => {
  const { checkpoint } = await target.startTracked(machine.ref, 'p1')
  expect(checkpoint).toMatch(/^us-p1-.*\/vda=8388608,vdb=4194304$/)
  await expect(target.startTracked(machine.ref, 'p1')).rejects.toMatchObject({ code: 'machine/running' })
})
