// What every platform that replicas run on must do.
import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { HydrateProgress, RestoreDisk } from '@understudy/engine/ports/target-platform'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../seeded-random.ts'
import {
  anywhere,
  applyChanges,
  bufferReader,
  diskKeys,
  expectEqual,
  KiB,
  MiB,
  openOne,
  request,
  type TargetHarness,
  type TestReader,
  testBoot,
  testRun,
  until,
} from './platform-harness.ts'

/** What a platform cannot do by its nature, and says so. */
export type TargetLacks = {
  /** Its machines have their disks wholly before they start: a boot takes as long as the copy, and none is ever half hydrated. */
  readonly copiesFirst?: true
  readonly noTracking?: true
  readonly noRestore?: true
}

export function targetPlatformContract(
  name: string,
  make: () => Promise<TargetHarness>,
  lacks: TargetLacks = {},
): void {
  describe(`target platform: ${name}`, () => {
    let harness: TargetHarness
    beforeEach(async () => {
      harness = await make()
    })
    afterEach(async () => {
      await harness.close()
    })
    const current = (): TargetHarness => harness
    preflightTests(current)
    bootTests(current)
    if (lacks.copiesFirst !== true) instantBootTests(current)
    hydrateTests(current)
    if (lacks.noTracking !== true) trackingTests(current)
    endTests(current)
    if (lacks.noRestore !== true) restoreTests(current)
  })
}

type Current = () => TargetHarness

const random = seededRandom(31)
const run1 = testRun('1')
const run9 = testRun('9')

/** Mostly zeros, as disks are, with random content at a few places. */
function diskContent(bytes: number): Buffer {
  const content = Buffer.alloc(bytes)
  for (let piece = 0; piece < 6; piece += 1) {
    const offset = random.below(bytes / (4 * KiB) - 4) * 4 * KiB
    random.bytes(16 * KiB).copy(content, offset)
  }
  return content
}

function preflightTests(current: Current): void {
  test('the site has an isolated network for tests', async () => {
    const { target, isolatedNetwork, openNetwork } = current()
    const networks = await target.networks()
    expect(networks.find(({ id }) => id === isolatedNetwork)?.isolated).toBe(true)
    expect(networks.find(({ id }) => id === openNetwork)?.isolated).toBe(false)
  })

  test('a sound machine passes the preflight, which touches nothing', async () => {
    const { target, source, isolatedNetwork } = current()
    const { spec } = testBoot([diskContent(MiB)], { runId: run1, network: isolatedNetwork })
    expect((await target.preflight(spec)).filter(({ level }) => level === 'blocker')).toEqual([])
    expect(await source.inventory()).toEqual([])
  })

  test('a missing network is found before anything is booted', async () => {
    const { target } = current()
    const lost = testBoot([diskContent(MiB)], { runId: run1, network: 'no-such-network' })
    const [missing] = (await target.preflight(lost.spec)).filter(({ level }) => level === 'blocker')
    expect(missing?.message).toContain('no-such-network')
    expect(missing?.remedy).toMatch(/\w/)
  })

  test('a name that is taken stops no boot: the preflight says which one it gets, and nobody else is touched', async () => {
    const { target, source, addMachine, isolatedNetwork } = current()
    const foreign = await addMachine({ name: 'web', disks: [MiB] })
    const { spec } = testBoot([diskContent(MiB)], { runId: run1, network: isolatedNetwork, name: 'web' })
    const findings = await target.preflight(spec)
    expect(findings.filter(({ level }) => level === 'blocker')).toEqual([])
    expect(findings.find(({ code }) => code === 'machine/name-taken')?.message).toContain('web-2')
    const first = await target.boot(spec)
    expect(first.name).toBe('web-2')
    // A repetition goes on with the same machine under the same name.
    expect(await target.boot(spec)).toEqual(first)
    const machines = await source.inventory()
    expect(machines.map(({ name }) => name).toSorted()).toEqual(['web', 'web-2'])
    await target.destroy(spec.runId, spec.placing.before)
    const [left] = await source.inventory()
    expect(left).toMatchObject({ ref: foreign, name: 'web', power: 'running', ownedBy: null })
  })
}

function bootTests(current: Current): void {
  test('a machine runs with the content of its readers, and is marked as ours', async () => {
    const { target, source, readDiskNow, isolatedNetwork } = current()
    const contents = [diskContent(16 * MiB), diskContent(2 * MiB)]
    const { spec } = testBoot(contents, { runId: run1, network: isolatedNetwork })
    const { ref, name, checkpoint } = await target.boot(spec)
    expect(checkpoint).toBeNull()
    expect(await source.powerState(ref)).toBe('running')
    const machine = (await source.inventory()).find((candidate) => candidate.ref === ref)
    expect(machine).toMatchObject({ name, ownedBy: run1, power: 'running' })
    expect(machine?.hardware.disks.map(({ bytes }) => bytes)).toEqual([16 * MiB, 2 * MiB])
    for (const [index, key] of (await diskKeys(source, ref)).entries())
      expectEqual(await readDiskNow(ref, key), present(contents[index], 'its content'), `disk ${key}`)
    await target.destroy(spec.runId, spec.placing.before)
  })

  test('what the replica writes stays with it and never reaches the recovery point', async () => {
    const { target, source, readDiskNow, writeToDisk, isolatedNetwork } = current()
    const content = diskContent(2 * MiB)
    const kept = Buffer.from(content)
    const { spec, readers } = testBoot([content], { runId: run1, network: isolatedNetwork })
    const { ref } = await target.boot(spec)
    const key = present((await diskKeys(source, ref))[0], 'it has a disk')
    const written = random.bytes(6 * KiB)
    await writeToDisk(ref, key, MiB + 512, written)
    const expected = Buffer.from(content)
    written.copy(expected, MiB + 512)
    expectEqual(await readDiskNow(ref, key), expected, 'the replica')
    expectEqual(await present(readers[0], 'one').read(0, 2 * MiB), kept, 'the recovery point')
    await target.destroy(spec.runId, spec.placing.before)
  })

  test('booting a run again finds the machine that is there and goes on with it', async () => {
    const { target, source, readDiskNow, writeToDisk, reopen, isolatedNetwork } = current()
    const content = diskContent(2 * MiB)
    const first = testBoot([content], { runId: run1, network: isolatedNetwork })
    const { ref } = await target.boot(first.spec)
    const key = present((await diskKeys(source, ref))[0], 'it has a disk')
    const written = random.bytes(8 * KiB)
    await writeToDisk(ref, key, 64 * KiB, written)
    const { source: sourceAgain, target: again } = await reopen()
    for (const reader of first.readers) reader.broken = true
    const second = testBoot([content], { runId: run1, network: isolatedNetwork })
    expect((await again.boot(second.spec)).ref).toBe(ref)
    expect((await sourceAgain.inventory()).filter(({ ownedBy }) => ownedBy === run1)).toHaveLength(1)
    const expected = Buffer.from(content)
    written.copy(expected, 64 * KiB)
    expectEqual(await readDiskNow(ref, key), expected, 'the replica')
    await again.destroy(second.spec.runId, second.spec.placing.before)
  })

  test('two runs beside each other are two machines', async () => {
    const { target, source, readDiskNow, isolatedNetwork } = current()
    const contents = [diskContent(MiB), diskContent(MiB)]
    const refs: MachineRef[] = []
    for (const [index, content] of contents.entries()) {
      const { spec } = testBoot([content], { runId: testRun(`${index}`), network: isolatedNetwork })
      refs.push((await target.boot(spec)).ref)
    }
    for (const [index, ref] of refs.entries()) {
      const key = present((await diskKeys(source, ref))[0], 'it has a disk')
      expectEqual(await readDiskNow(ref, key), present(contents[index], 'its content'), `run ${index}`)
    }
    for (const index of contents.keys())
      await target.destroy(testBoot([], runOptions(index, isolatedNetwork)).spec.runId, anywhere)
    expect(await source.inventory()).toEqual([])
  })

  test('the screen of a running replica is a PNG, and the probe says where it could be reached', async () => {
    const { target, isolatedNetwork } = current()
    const { spec } = testBoot([diskContent(MiB)], { runId: run1, network: isolatedNetwork })
    const { ref } = await target.boot(spec)
    const png = await target.screenshot(spec.runId)
    expect(png.subarray(0, 8)).toEqual(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]))
    const probe = await target.probe(ref)
    // Nobody is in there who could answer.
    expect(probe).toMatchObject({ answered: false })
    expect(probe.note).toMatch(/\w/)
    await target.destroy(spec.runId, spec.placing.before)
  })

  test('what is not running has no screen and no answer', async () => {
    const { target } = current()
    const { spec } = testBoot([], { runId: run9, network: 'none' })
    await expect(target.screenshot(spec.runId)).rejects.toThrow()
    await expect(target.probe('no-such-machine' as MachineRef)).rejects.toThrow()
  })
}

function instantBootTests(current: Current): void {
  test('a machine starts with nothing copied before', async () => {
    const { target, isolatedNetwork } = current()
    const { spec, readers } = testBoot([diskContent(16 * MiB)], { runId: run1, network: isolatedNetwork })
    await target.boot(spec)
    expect(present(readers[0], 'one reader').readBytes).toBeLessThan(8 * MiB)
    await target.destroy(spec.runId, spec.placing.before)
  })

  test('a run that is not hydrated is not committed', async () => {
    const { target, openNetwork } = current()
    const options = { runId: run1, network: openNetwork, mode: 'failover' } as const
    const { spec } = testBoot([diskContent(4 * MiB)], options)
    await target.boot(spec)
    await expect(target.adopt(spec.runId)).rejects.toMatchObject({ name: 'Refusal' })
    await target.destroy(spec.runId, spec.placing.before)
  })
}

const runOptions = (index: number, network: string) => ({ runId: testRun(`${index}`), network })

function hydrateTests(current: Current): void {
  test('a hydrated replica needs its readers no more, and keeps what it wrote', async () => {
    const { target, source, readDiskNow, writeToDisk, isolatedNetwork } = current()
    const contents = [diskContent(4 * MiB), diskContent(MiB)]
    for (const offset of [MiB, 2 * MiB])
      random.bytes(16 * KiB).copy(present(contents[0], 'two disks'), offset)
    const { spec, readers } = testBoot(contents, { runId: run1, network: isolatedNetwork })
    const { ref } = await target.boot(spec)
    const keys = await diskKeys(source, ref)
    const written = random.bytes(8 * KiB)
    await writeToDisk(ref, present(keys[0], 'two disks'), MiB, written)
    // Zeros over data are content too: hydration must not bring the data back.
    await writeToDisk(ref, present(keys[0], 'two disks'), 2 * MiB, Buffer.alloc(4 * KiB))
    const seen: HydrateProgress[] = []
    await target.hydrate(spec.runId, (progress) => seen.push(progress))
    for (const reader of readers) reader.broken = true
    const expected = contents.map((content) => Buffer.from(content))
    written.copy(present(expected[0], 'two disks'), MiB)
    expected[0]?.fill(0, 2 * MiB, 2 * MiB + 4 * KiB)
    for (const [index, key] of keys.entries())
      expectEqual(await readDiskNow(ref, key), present(expected[index], 'its content'), `disk ${key}`)
    const last = present(seen.at(-1), 'progress was told')
    expect(last.doneBytes).toBe(last.totalBytes)
    const done = seen.map(({ doneBytes }) => doneBytes)
    expect(done, 'progress never goes back').toEqual([...done].sort((a, b) => a - b))
    // Again, when all is done already.
    await target.hydrate(spec.runId, () => {})
    await target.destroy(spec.runId, spec.placing.before)
  })

  test('what the replica writes while it is hydrated is not overwritten', async () => {
    const { target, source, readDiskNow, writeToDisk, isolatedNetwork } = current()
    const content = random.bytes(8 * MiB)
    const { spec } = testBoot([content], { runId: run1, network: isolatedNetwork })
    const { ref } = await target.boot(spec)
    const key = present((await diskKeys(source, ref))[0], 'it has a disk')
    const expected = Buffer.from(content)
    const hydrating = target.hydrate(spec.runId, () => {})
    for (let index = 0; index < 16; index += 1) {
      const written = random.bytes(4 * KiB)
      await writeToDisk(ref, key, index * 512 * KiB, written)
      written.copy(expected, index * 512 * KiB)
    }
    await hydrating
    expectEqual(await readDiskNow(ref, key), expected, 'the replica')
    await target.destroy(spec.runId, spec.placing.before)
  })

  test('hydration that was cut off goes on after a restart, with the readers offered again', async () => {
    const { target, readDiskNow, reopen, isolatedNetwork } = current()
    const content = diskContent(8 * MiB)
    const { spec, readers } = testBoot([content], { runId: run1, network: isolatedNetwork })
    const { ref } = await target.boot(spec)
    const stop = new AbortController()
    const hydrating = target.hydrate(spec.runId, () => stop.abort(new Error('enough')), stop.signal)
    await hydrating.catch(() => {})
    const { source: sourceAgain, target: again } = await reopen()
    for (const reader of readers) reader.broken = true
    const fresh = testBoot([content], { runId: run1, network: isolatedNetwork })
    await again.reattach({ runId: spec.runId, disks: fresh.spec.disks })
    await again.hydrate(spec.runId, () => {})
    for (const reader of fresh.readers) reader.broken = true
    const key = present((await diskKeys(sourceAgain, ref))[0], 'it has a disk')
    expectEqual(await readDiskNow(ref, key), content, 'the replica')
    await again.destroy(spec.runId, spec.placing.before)
  })

  test('a replica whose power failed before it was hydrated is started again with what it had written', async () => {
    const { target, source, readDiskNow, writeToDisk, killMachine, isolatedNetwork } = current()
    const content = diskContent(4 * MiB)
    const { spec } = testBoot([content], { runId: run1, network: isolatedNetwork, mode: 'failover' })
    const { ref } = await target.boot(spec)
    const key = present((await diskKeys(source, ref))[0], 'it has a disk')
    const written = random.bytes(8 * KiB)
    await writeToDisk(ref, key, MiB, written)
    const expected = Buffer.from(content)
    written.copy(expected, MiB)
    await killMachine(ref)
    expect(await source.powerState(ref)).toBe('off')
    await target.reattach(spec)
    await source.start(ref)
    expect(await source.powerState(ref)).toBe('running')
    await target.hydrate(spec.runId, () => {})
    expectEqual(await readDiskNow(ref, key), expected, 'the replica')
    await target.destroy(spec.runId, spec.placing.before)
  })

  test('offering readers to a run that is not there does nothing', async () => {
    const { target, source, isolatedNetwork } = current()
    const { spec } = testBoot([diskContent(MiB)], { runId: run9, network: isolatedNetwork })
    await target.reattach(spec)
    expect(await source.inventory()).toEqual([])
  })
}

function trackingTests(current: Current): void {
  test('a replica that is tracked from its first instruction needs only a delta on the way back', async () => {
    const { target, source, readDiskNow, writeToDisk, openNetwork } = current()
    const content = diskContent(4 * MiB)
    const options = { runId: run1, network: openNetwork, mode: 'failover', trackingId: 'owner-1' } as const
    const { spec } = testBoot([content], options)
    const { ref, checkpoint } = await target.boot(spec)
    const since = present(checkpoint, 'tracking was asked for')
    const key = present((await diskKeys(source, ref))[0], 'it has a disk')
    await writeToDisk(ref, key, MiB, random.bytes(8 * KiB))
    // A repeated boot names the same beginning: what was written since must not be forgotten.
    expect((await target.boot(spec)).checkpoint).toBe(since)
    await target.hydrate(spec.runId, () => {})
    await target.adopt(spec.runId)
    const opened = await openOne(source, request(ref, since))
    const { content: applied, changedBytes } = await applyChanges(
      content,
      present(opened.disks[0], 'one disk'),
    )
    expectEqual(applied, await readDiskNow(ref, key), 'the point and what changed since')
    expect(changedBytes).toBeGreaterThanOrEqual(8 * KiB)
    expect(changedBytes, 'a delta, not everything').toBeLessThanOrEqual(MiB)
    await opened.point.release(true)
    await source.powerOff(ref)
    await target.destroy(spec.runId, spec.placing.before)
  })

  test('a machine that is off starts with its changes tracked from the first one', async () => {
    const { target, source, addMachine, writeToDisk, readDiskNow } = current()
    const ref = await addMachine({ name: 'web-1', disks: [2 * MiB] })
    const key = present((await diskKeys(source, ref))[0], 'it has a disk')
    await source.powerOff(ref)
    const before = await readDiskNow(ref, key)
    const { checkpoint } = await target.startTracked(ref, 'owner-1')
    expect(await source.powerState(ref)).toBe('running')
    await writeToDisk(ref, key, 64 * KiB, random.bytes(4 * KiB))
    const opened = await openOne(source, request(ref, present(checkpoint, 'it can be tracked')))
    const { content, changedBytes } = await applyChanges(before, present(opened.disks[0], 'one disk'))
    expectEqual(content, await readDiskNow(ref, key), 'what changed since the start')
    expect(changedBytes).toBeLessThanOrEqual(MiB)
    await opened.point.release(false)
  })
}

function endTests(current: Current): void {
  test('destroying removes everything of the run and nothing else, and may be repeated', async () => {
    const { target, source, addMachine, isolatedNetwork } = current()
    const foreign = await addMachine({ name: 'web-1', disks: [MiB] })
    const { spec } = testBoot([diskContent(MiB)], { runId: run1, network: isolatedNetwork })
    await target.boot(spec)
    await target.destroy(spec.runId, spec.placing.before)
    await target.destroy(spec.runId, spec.placing.before)
    expect((await source.inventory()).map(({ ref }) => ref)).toEqual([foreign])
    expect(await source.powerState(foreign)).toBe('running')
    // The way is free for the same run again.
    await target.boot(spec)
    await target.destroy(spec.runId, spec.placing.before)
  })

  test('a stopped run is off and still there, and stopping may be repeated', async () => {
    const { target, source, isolatedNetwork } = current()
    const { spec } = testBoot([diskContent(MiB)], { runId: run1, network: isolatedNetwork })
    const { ref } = await target.boot(spec)
    await target.stop(spec.runId)
    await target.stop(spec.runId)
    expect(await source.powerState(ref)).toBe('off')
    await target.destroy(spec.runId, spec.placing.before)
    expect(await source.inventory()).toEqual([])
  })

  test('a run that is whole is committed, and committing may be repeated', async () => {
    const { target, source, readDiskNow, openNetwork } = current()
    const content = diskContent(4 * MiB)
    const { spec } = testBoot([content], { runId: run1, network: openNetwork, mode: 'failover' })
    const { ref } = await target.boot(spec)
    await target.hydrate(spec.runId, () => {})
    await target.adopt(spec.runId)
    await target.adopt(spec.runId)
    expect(await source.powerState(ref)).toBe('running')
    const key = present((await diskKeys(source, ref))[0], 'it has a disk')
    expectEqual(await readDiskNow(ref, key), content, 'the committed machine')
    // It is a machine of the site now: it can be stopped and started like any other.
    await source.powerOff(ref)
    await source.start(ref)
    expectEqual(await readDiskNow(ref, key), content, 'the restarted machine')
    await source.powerOff(ref)
    await target.destroy(spec.runId, spec.placing.before)
  })
}

function restoreTests(current: Current): void {
  /** A machine that is off, its content, and its fingerprints. */
  const stoppedMachine = async (bytes: number) => {
    const { source, addMachine, writeToDisk, readDiskNow } = current()
    const ref = await addMachine({ name: 'web-1', disks: [bytes] })
    const key = present((await diskKeys(source, ref))[0], 'it has a disk')
    await writeToDisk(ref, key, 0, random.bytes(64 * KiB))
    await source.powerOff(ref)
    const stopped = await source.openStoppedDisks(ref, {
      excludedDisks: [],
      trackingId: 'owner-1',
      since: null,
    })
    await stopped.close()
    return { ref, key, content: await readDiskNow(ref, key), fingerprints: stopped.fingerprints }
  }
  const restoreOptions = (fingerprints: Awaited<ReturnType<typeof stoppedMachine>>['fingerprints']) => ({
    runId: testBoot([], { runId: run1, network: '' }).spec.runId,
    fingerprints,
    overwriteModified: false,
    onProgress: () => {},
  })
  /** The content with two pieces changed, and where. */
  const changedContent = (content: Buffer) => {
    const changed = Buffer.from(content)
    const pieces = [32 * KiB, MiB].map((offset) => ({ offset, bytes: 8 * KiB, kind: 'data' as const }))
    for (const { offset, bytes } of pieces) random.bytes(bytes).copy(changed, offset)
    return { changed, pieces }
  }
  const restoreDisk = (key: DiskKey, reader: TestReader, differs: RestoreDisk['differs']): RestoreDisk => ({
    key,
    bytes: reader.bytes,
    reader,
    differs,
  })
  async function* each<Item>(items: readonly Item[]): AsyncGenerator<Item> {
    yield* items
  }

  test('restoring into a stopped machine makes its disk equal, from a list of differences or from a comparison', async () => {
    const { target, source, readDiskNow } = current()
    const { ref, key, content, fingerprints } = await stoppedMachine(2 * MiB)
    const first = changedContent(content)
    const listed = bufferReader(first.changed)
    const progress: HydrateProgress[] = []
    const options = {
      ...restoreOptions(fingerprints),
      onProgress: (step: HydrateProgress) => progress.push(step),
    }
    const done = await target.restoreInto(ref, [restoreDisk(key, listed, each(first.pieces))], options)
    expectEqual(await readDiskNow(ref, key), first.changed, 'restored from a list')
    expect(done.writtenBytes).toBeGreaterThanOrEqual(16 * KiB)
    expect(listed.readBytes, 'only what differs is read').toBeLessThanOrEqual(256 * KiB)
    const last = present(progress.at(-1), 'progress was told')
    expect(last.doneBytes).toBe(last.totalBytes)

    const second = changedContent(first.changed)
    const overwrite = { ...restoreOptions([]), overwriteModified: true }
    const compared = await target.restoreInto(
      ref,
      [restoreDisk(key, bufferReader(second.changed), null)],
      overwrite,
    )
    expectEqual(await readDiskNow(ref, key), second.changed, 'restored from a comparison')
    expect(compared.writtenBytes).toBeLessThanOrEqual(MiB)
    await source.start(ref)
    expect(await source.powerState(ref)).toBe('running')
  })

  test('a machine that runs is not restored into', async () => {
    const { target, source, readDiskNow } = current()
    const { ref, key, content, fingerprints } = await stoppedMachine(2 * MiB)
    await source.start(ref)
    const { changed } = changedContent(content)
    const restoring = target.restoreInto(
      ref,
      [restoreDisk(key, bufferReader(changed), null)],
      restoreOptions(fingerprints),
    )
    await expect(restoring).rejects.toMatchObject({ name: 'Refusal' })
    expectEqual(await readDiskNow(ref, key), content, 'the machine')
  })

  test('a machine that was written to since it was stopped is refused, unless the operator insists', async () => {
    const { target, writeToDisk, readDiskNow, pass } = current()
    const { ref, key, content, fingerprints } = await stoppedMachine(2 * MiB)
    await pass(50)
    await writeToDisk(ref, key, 512 * KiB, random.bytes(512))
    const modified = await readDiskNow(ref, key)
    const { changed } = changedContent(content)
    const disk = (): RestoreDisk => restoreDisk(key, bufferReader(changed), null)
    const refused = target.restoreInto(ref, [disk()], restoreOptions(fingerprints))
    await expect(refused).rejects.toMatchObject({ name: 'Refusal' })
    expectEqual(await readDiskNow(ref, key), modified, 'nothing was written')
    await target.restoreInto(ref, [disk()], { ...restoreOptions(fingerprints), overwriteModified: true })
    expectEqual(await readDiskNow(ref, key), changed, 'restored all the same')
  })

  test('an interrupted restore blocks the machine until it is repeated', async () => {
    const { target, source, readDiskNow, reopen, pass } = current()
    const { ref, key, content, fingerprints } = await stoppedMachine(2 * MiB)
    const { changed, pieces } = changedContent(content)
    const breaking = bufferReader(changed)
    async function* thenBreak() {
      yield* pieces.slice(0, 1)
      // By now the first piece may be written; the reader fails for what follows.
      breaking.broken = true
      yield* pieces.slice(1)
    }
    const options = restoreOptions(fingerprints)
    await expect(
      target.restoreInto(ref, [restoreDisk(key, breaking, thenBreak())], options),
    ).rejects.toThrow()
    await expect(source.start(ref)).rejects.toMatchObject({ name: 'Refusal' })
    const { source: sourceAgain, target: targetAgain } = await reopen()
    await expect(sourceAgain.start(ref)).rejects.toMatchObject({ name: 'Refusal' })
    await targetAgain.restoreInto(ref, [restoreDisk(key, bufferReader(changed), each(pieces))], options)
    expectEqual(await readDiskNow(ref, key), changed, 'the repeated restore')
    await sourceAgain.start(ref)
    await until(pass, 'it runs', async () => (await sourceAgain.powerState(ref)) === 'running')
  })
}
