// What every platform that machines are replicated from must do.
import { present } from '@understudy/base/invariant'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import { LET_GO, type SourcePlatform } from '@understudy/engine/ports/source-platform'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { seededRandom } from '../seeded-random.ts'
import {
  applyChanges,
  collectExtents,
  diskKeys,
  expectEqual,
  firstDisk,
  KiB,
  MiB,
  openOne,
  readDisks,
  readWhole,
  request,
  type SourceHarness,
  takeFirstPoint,
  until,
} from './platform-harness.ts'

/** `alone`: nobody switches a machine from here, nor reads it when it is off, and several have no instant in common. */
export function sourcePlatformContract(
  name: string,
  make: () => Promise<SourceHarness>,
  { alone = false }: { readonly alone?: boolean } = {},
): void {
  describe(`source platform: ${name}`, () => {
    let harness: SourceHarness
    beforeEach(async () => {
      harness = await make()
    })
    afterEach(async () => {
      await harness.close()
    })
    const current = (): SourceHarness => harness
    inventoryTests(current, alone)
    firstPointTests(current)
    deltaTests(current)
    releaseTests(current)
    trackingTests(current)
    if (!alone) powerLossTests(current)
    diskChangeTests(current)
    if (alone) {
      aloneTests(current)
      return lastPointTests(current)
    }
    groupTests(current)
    powerTests(current)
    stoppedDiskTests(current)
    return undefined
  })
}

type Current = () => SourceHarness

const nobody = '00000000-0000-4000-8000-000000000000' as MachineRef
const random = seededRandom(21)

/** A running machine with random content at a few places of every disk. */
async function addFilledMachine(
  harness: SourceHarness,
  options: { readonly name?: string; readonly disks?: readonly number[] } = {},
): Promise<{ ref: MachineRef; keys: readonly DiskKey[]; key: DiskKey }> {
  const { name = 'web-1', disks = [4 * MiB] } = options
  const ref = await harness.addMachine({ name, disks })
  const keys = await diskKeys(harness.source, ref)
  for (const key of keys)
    for (const offset of [0, 256 * KiB, 512 * KiB])
      await harness.writeToDisk(ref, key, offset, random.bytes(12 * KiB))
  return { ref, keys, key: present(keys[0], 'it has a disk') }
}

function inventoryTests(current: Current, alone: boolean): void {
  test('the inventory has every machine with its disks and power state', async () => {
    const { source, addMachine } = current()
    const [a, b] = [
      await addMachine({ name: 'web-1', disks: [4 * MiB, 2 * MiB] }),
      await addMachine({ name: 'web-2', disks: [MiB] }),
    ]
    if (!alone) await source.powerOff(b)
    const machines = await source.inventory()
    expect(machines.map(({ ref }) => ref).sort()).toEqual([a, b].sort())
    const first = present(
      machines.find(({ ref }) => ref === a),
      'a is there',
    )
    expect(first).toMatchObject({ name: 'web-1', power: 'running', ownedBy: null })
    expect(first.hardware.disks.map(({ bytes }) => bytes)).toEqual([4 * MiB, 2 * MiB])
    expect(first.hardware.disks.filter(({ boot }) => boot)).toHaveLength(1)
    expect(new Set(first.hardware.disks.map(({ key }) => key)).size).toBe(2)
    expect(machines.find(({ ref }) => ref === b)?.power).toBe(alone ? 'running' : 'off')
  })

  test('a watcher is called when a machine comes, and not after it has stopped watching', async () => {
    const { source, addMachine, pass } = current()
    const stop = new AbortController()
    let calls = 0
    source.watch(() => {
      calls += 1
    }, stop.signal)
    await addMachine({ name: 'web-1', disks: [MiB] })
    await until(pass, 'the watcher is called', () => calls > 0)
    stop.abort()
    await pass(500)
    const before = calls
    await addMachine({ name: 'web-2', disks: [MiB] })
    await pass(500)
    expect(calls).toBe(before)
  })

  test('a sound machine is eligible, an unknown one is refused', async () => {
    const { source, addMachine, guestAgent } = current()
    const ref = await addMachine({ name: 'web-1', disks: [MiB] })
    const eligibility = await source.eligibility(ref)
    expect(eligibility.findings.filter(({ level }) => level === 'blocker')).toEqual([])
    expect(source.shortestIntervalSeconds).toBeGreaterThanOrEqual(1)
    expect(eligibility.shortestIntervalSeconds).toBeGreaterThanOrEqual(source.shortestIntervalSeconds)
    expect(eligibility.applicationConsistent).toBe(guestAgent)
    await expect(source.eligibility(nobody)).rejects.toMatchObject({ name: 'Refusal' })
    await expect(source.powerState(nobody)).rejects.toMatchObject({ name: 'Refusal' })
  })
}

function firstPointTests(current: Current): void {
  test('a first point is the whole of every disk at one instant, whatever is written meanwhile', async () => {
    const { source, readDiskNow, writeToDisk, ...harness } = current()
    const { ref, keys, key } = await addFilledMachine(current(), { disks: [4 * MiB, 2 * MiB] })
    const expected = new Map<DiskKey, Buffer>()
    for (const disk of keys) expected.set(disk, await readDiskNow(ref, disk))
    const { point, disks } = await openOne(source, request(ref, null))
    expect(disks.map((disk) => disk.key)).toEqual(keys)
    for (const offset of [0, 256 * KiB, 3 * MiB]) await writeToDisk(ref, key, offset, random.bytes(64 * KiB))
    await harness.pass(50)
    for (const disk of disks) {
      const before = present(expected.get(disk.key), 'the disk was read')
      expectEqual(await readWhole(disk.reader), before, `disk ${disk.key}`)
      const { content } = await applyChanges(Buffer.alloc(disk.bytes, 0xee), disk)
      expectEqual(content, before, `what the extents of disk ${disk.key} make`)
    }
    await point.release(true)
  })

  test('what a first point calls zero reads as zeros, and an empty disk is mostly that', async () => {
    const { source, addMachine } = current()
    const ref = await addMachine({ name: 'empty', disks: [4 * MiB] })
    const { point, disks } = await openOne(source, request(ref, null))
    const disk = present(disks[0], 'it has a disk')
    const content = await readWhole(disk.reader)
    let zeroBytes = 0
    for (const { offset, bytes, kind } of await collectExtents(disk.changed(), disk.bytes)) {
      if (kind === 'data') continue
      zeroBytes += bytes
      expect(
        content.subarray(offset, offset + bytes).every((byte) => byte === 0),
        `zeros at ${offset}`,
      ).toBe(true)
    }
    expect(zeroBytes).toBeGreaterThanOrEqual(3 * MiB)
    await point.release(false)
  })

  test('an application-consistent point is one, or says why it is not', async () => {
    const { source, guestAgent } = current()
    const { ref } = await addFilledMachine(current())
    const result = await source.openPoint({ machines: [request(ref, null)], consistency: 'application' })
    if (result.kind !== 'opened') throw new Error(result.reason.message)
    if (guestAgent) expect(result.point).toMatchObject({ consistency: 'application', consistencyNote: null })
    else {
      expect(result.point.consistency).toBe('crash')
      expect(result.point.consistencyNote).toMatch(/\w/)
    }
    expect(result.point.pauseMilliseconds).toBeGreaterThanOrEqual(0)
    await result.point.release(false)
  })

  test('a machine that is not there is refused', async () => {
    const { source } = current()
    const opening = source.openPoint({ machines: [request(nobody, null)], consistency: 'crash' })
    await expect(opening).rejects.toMatchObject({ name: 'Refusal' })
  })

  test('a call that is aborted before it begins changes nothing', async () => {
    const { source, writeToDisk } = current()
    const { ref, key } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    const aborted = AbortSignal.abort(new Error('enough'))
    const opening = source.openPoint(
      { machines: [request(ref, first.checkpoint)], consistency: 'crash' },
      aborted,
    )
    await expect(opening).rejects.toThrow()
    await writeToDisk(ref, key, 0, random.bytes(4 * KiB))
    await expectDelta(current(), { ref, checkpoint: first.checkpoint, content: first.content })
  })
}

type Base = {
  readonly ref: MachineRef
  readonly checkpoint: string
  readonly content: ReadonlyMap<DiskKey, Buffer>
}

/** Opens the next point, applies its changes to the base, and compares with the reader and with the machine itself. */
async function expectDelta(
  harness: SourceHarness,
  base: Base,
): Promise<Base & { readonly changedBytes: number }> {
  const { source, readDiskNow } = harness
  const { point, disks, checkpoint } = await openOne(source, request(base.ref, base.checkpoint))
  const content = new Map<DiskKey, Buffer>()
  let changedBytes = 0
  for (const disk of disks) {
    const applied = await applyChanges(base.content.get(disk.key) ?? Buffer.alloc(0), disk)
    expectEqual(
      applied.content,
      await readDiskNow(base.ref, disk.key),
      `disk ${disk.key} against the machine`,
    )
    content.set(disk.key, applied.content)
    changedBytes += applied.changedBytes
  }
  for (const { key, reader } of changedBytes === 0 ? [] : disks)
    expectEqual(
      present(content.get(key), 'just applied'),
      await readWhole(reader),
      `delta of disk ${key} against the point`,
    )
  await point.release(true)
  return { ref: base.ref, checkpoint, content, changedBytes }
}

function deltaTests(current: Current): void {
  test('the changes since a checkpoint, applied to its content, give the new content, again and again', async () => {
    const { source, writeToDisk } = current()
    const { ref, keys } = await addFilledMachine(current(), { disks: [4 * MiB, 2 * MiB] })
    let base: Base = { ref, ...(await takeFirstPoint(source, request(ref, null))) }
    for (let cycle = 0; cycle < 4; cycle += 1) {
      for (const key of keys)
        for (let writes = 0; writes < 3; writes += 1) {
          const offset = random.below((2 * MiB) / (4 * KiB) - 4) * 4 * KiB
          await writeToDisk(
            ref,
            key,
            offset,
            random.chance(0.2) ? Buffer.alloc(8 * KiB) : random.bytes(8 * KiB),
          )
        }
      base = await expectDelta(current(), base)
    }
  })

  test('a small change is a small delta, and no change is none', async () => {
    const { source, writeToDisk } = current()
    const { ref, key } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    await writeToDisk(ref, key, 2 * MiB, random.bytes(4 * KiB))
    const changed = await expectDelta(current(), { ref, ...first })
    expect(changed.changedBytes).toBeGreaterThanOrEqual(4 * KiB)
    expect(changed.changedBytes).toBeLessThanOrEqual(64 * KiB)
    const idle = await expectDelta(current(), changed)
    expect(idle.changedBytes).toBe(0)
  })

  test('what is written while a point is open is not in it, and is in the next delta', async () => {
    const { source, writeToDisk, readDiskNow } = current()
    const { ref, key } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    await writeToDisk(ref, key, 0, random.bytes(4 * KiB))
    const before = await readDiskNow(ref, key)
    const opened = await openOne(source, request(ref, first.checkpoint))
    // Over what the delta still has to read, and beside it.
    for (const offset of [0, 3 * MiB]) await writeToDisk(ref, key, offset, random.bytes(64 * KiB))
    const disk = present(opened.disks[0], 'it has a disk')
    const applied = await applyChanges(present(first.content.get(key), 'read before'), disk)
    expectEqual(applied.content, before, 'the delta')
    expectEqual(await readWhole(disk.reader), before, 'the point')
    await opened.point.release(true)
    const content = new Map([[key, applied.content]])
    const next = await expectDelta(current(), { ref, checkpoint: opened.checkpoint, content })
    expect(next.changedBytes).toBeGreaterThanOrEqual(128 * KiB)
  })
}

function releaseTests(current: Current): void {
  test('a point that was not kept leaves the older checkpoint valid, covering everything since', async () => {
    const { source, writeToDisk } = current()
    const { ref, key } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    await writeToDisk(ref, key, MiB, random.bytes(4 * KiB))
    const failed = await openOne(source, request(ref, first.checkpoint))
    await writeToDisk(ref, key, 2 * MiB, random.bytes(4 * KiB))
    await failed.point.release(false)
    await writeToDisk(ref, key, 3 * MiB, random.bytes(4 * KiB))
    await expectDelta(current(), { ref, ...first })
  })

  test('a point that was kept ends the older checkpoint', async () => {
    const { source } = current()
    const { ref } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    const second = await openOne(source, request(ref, first.checkpoint))
    await second.point.release(true)
    await expectLost(source, ref, first.checkpoint)
  })

  test('letting a point go again, or after the machine has gone, is no error', async () => {
    const { source, removeMachine } = current()
    const { ref } = await addFilledMachine(current())
    const opened = await openOne(source, request(ref, null))
    const other = await addFilledMachine(current(), { name: 'web-2' })
    const gone = await openOne(source, request(other.ref, null))
    await opened.point.release(true)
    await opened.point.release(true)
    await opened.point.release(false)
    await openOne(source, request(ref, opened.checkpoint)).then(({ point }) => point.release(false))
    await removeMachine(other.ref)
    await gone.point.release(true)
  })

  test('a process that died with a point open: its successor goes on from either checkpoint', async () => {
    const { source, writeToDisk, reopen } = current()
    const { ref, key } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    await writeToDisk(ref, key, MiB, random.bytes(4 * KiB))
    await openOne(source, request(ref, first.checkpoint))
    await writeToDisk(ref, key, 2 * MiB, random.bytes(4 * KiB))

    // It died before the seal: the older checkpoint is the one that counts.
    const { source: second } = await reopen()
    const opened = await openOne(second, request(ref, first.checkpoint))
    const content = await readDisks(opened.disks)
    const applied = await applyChanges(
      present(first.content.get(key), 'read before'),
      present(opened.disks[0], 'it has a disk'),
    )
    expectEqual(applied.content, present(content.get(key), 'just read'), 'the delta after the crash')
    await writeToDisk(ref, key, 3 * MiB, random.bytes(4 * KiB))

    // It died between seal and release: the newer one counts, though nobody has let go of the older one.
    const { source: third } = await reopen()
    await expectDelta({ ...current(), source: third }, { ref, checkpoint: opened.checkpoint, content })
  })
}

async function expectLost(source: SourcePlatform, ref: MachineRef, since: string): Promise<void> {
  const result = await source.openPoint({ machines: [request(ref, since)], consistency: 'crash' })
  expect(result.kind).toBe('tracking-lost')
  if (result.kind !== 'tracking-lost') return
  expect(result.ref).toBe(ref)
  expect(result.reason.message).toMatch(/\w/)
  expect(result.reason.code).toMatch(/^[a-z-]+\/[a-z-]+$/)
}

function powerLossTests(current: Current): void {
  test('a machine that lost its power has lost its tracking, says why, and can be tracked anew', async () => {
    const { source, killMachine, readDiskNow, tracksOverPowerLoss } = current()
    if (tracksOverPowerLoss === true) return expect(tracksOverPowerLoss).toBe(true)
    const { ref, key } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    await killMachine(ref)
    expect(await source.powerState(ref)).toBe('off')
    await source.start(ref)
    await expectLost(source, ref, first.checkpoint)
    const again = await takeFirstPoint(source, request(ref, null))
    expectEqual(present(again.content.get(key), 'read'), await readDiskNow(ref, key), 'the new first point')
    await expectDelta(current(), { ref, ...again })
    return undefined
  })

  test('a machine that lost its power is tracked on where its platform keeps what changed', async () => {
    const { source, killMachine, writeToDisk, tracksOverPowerLoss } = current()
    if (tracksOverPowerLoss === undefined) return expect(tracksOverPowerLoss).toBeUndefined()
    const { ref, key } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    await writeToDisk(ref, key, MiB, random.bytes(4 * KiB))
    await killMachine(ref)
    await source.start(ref)
    await writeToDisk(ref, key, 2 * MiB, random.bytes(4 * KiB))
    const next = await expectDelta(current(), { ref, ...first })
    expect(next.changedBytes, 'a delta, not everything').toBeLessThanOrEqual(MiB)
    return undefined
  })
}

function trackingTests(current: Current): void {
  test('a checkpoint that nobody knows is lost tracking, not an error', async () => {
    const { source } = current()
    const { ref } = await addFilledMachine(current())
    await expectLost(source, ref, 'never-was')
  })

  test('two owners of tracking do not disturb each other', async () => {
    const { source, writeToDisk } = current()
    const { ref, key } = await addFilledMachine(current())
    const other = { trackingId: 'owner-2' }
    const first = await takeFirstPoint(source, request(ref, null))
    const theirs = await takeFirstPoint(source, request(ref, null, other))
    await writeToDisk(ref, key, MiB, random.bytes(4 * KiB))
    const mine = await expectDelta(current(), { ref, ...first })
    await writeToDisk(ref, key, 2 * MiB, random.bytes(4 * KiB))
    await source.stopTracking(ref, 'owner-1')
    const opened = await openOne(source, request(ref, theirs.checkpoint, other))
    const disk = present(opened.disks[0], 'it has a disk')
    const applied = await applyChanges(present(theirs.content.get(key), 'read'), disk)
    expectEqual(applied.content, await readWhole(disk.reader), 'the other owner has both changes')
    await opened.point.release(true)
    await expectLost(source, ref, mine.checkpoint)
  })

  test('tracking can be stopped again, and on a machine that has gone', async () => {
    const { source, removeMachine } = current()
    const { ref } = await addFilledMachine(current())
    await takeFirstPoint(source, request(ref, null))
    await source.stopTracking(ref, 'owner-1')
    await source.stopTracking(ref, 'owner-1')
    await removeMachine(ref)
    await source.stopTracking(ref, 'owner-1')
    await source.stopTracking(nobody, 'owner-1')
  })

  test('starting to track anew replaces what the owner tracked before', async () => {
    const { source } = current()
    const { ref } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    const second = await takeFirstPoint(source, request(ref, null))
    await expectLost(source, ref, first.checkpoint)
    await expectDelta(current(), { ref, ...second })
  })
}

function diskChangeTests(current: Current): void {
  test('an excluded disk is left out, and counts as wholly changed when it is taken in', async () => {
    const { source } = current()
    const { ref, keys, key } = await addFilledMachine(current(), { disks: [2 * MiB, 2 * MiB] })
    const second = present(keys[1], 'it has two disks')
    const first = await takeFirstPoint(source, request(ref, null, { excludedDisks: [second] }))
    expect([...first.content.keys()]).toEqual([key])
    const next = await expectDelta(current(), { ref, ...first })
    expect(next.changedBytes).toBe(2 * MiB)
  })

  test('a disk that grows is tracked on, and its new part counts as changed', async () => {
    const { source, resizeDisk, writeToDisk } = current()
    if (!resizeDisk) return expect(resizeDisk).toBeUndefined()
    const { ref, key } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    await resizeDisk(ref, key, 6 * MiB)
    await writeToDisk(ref, key, 5 * MiB, random.bytes(4 * KiB))
    await writeToDisk(ref, key, 64 * KiB, random.bytes(4 * KiB))
    const next = await expectDeltaOrResync(current(), { ref, ...first })
    expect(next.content.get(key)?.length).toBe(6 * MiB)
    return undefined
  })

  test('a disk that is added counts as wholly changed, and is tracked from then on', async () => {
    const { source, addDisk, writeToDisk } = current()
    if (!addDisk) return expect(addDisk).toBeUndefined()
    const { ref } = await addFilledMachine(current())
    const first = await takeFirstPoint(source, request(ref, null))
    const added = await addDisk(ref, 2 * MiB)
    await writeToDisk(ref, added, MiB, random.bytes(4 * KiB))
    const next = await expectDeltaOrResync(current(), { ref, ...first })
    expect([...next.content.keys()]).toContain(added)
    await writeToDisk(ref, added, 64 * KiB, random.bytes(4 * KiB))
    await expectDelta(current(), next)
    return undefined
  })
}

/** After a change of the hardware a platform may also ask for a new beginning, as long as it says so. */
async function expectDeltaOrResync(harness: SourceHarness, base: Base): Promise<Base> {
  const probe = await harness.source.openPoint({
    machines: [request(base.ref, base.checkpoint)],
    consistency: 'crash',
  })
  if (probe.kind === 'opened') {
    await probe.point.release(false)
    return await expectDelta(harness, base)
  }
  expect(probe.reason.message).toMatch(/\w/)
  return { ref: base.ref, ...(await takeFirstPoint(harness.source, request(base.ref, null))) }
}

function aloneTests(current: Current): void {
  test('who stands alone is not switched from here, and says so with what to do', async () => {
    const { source } = current()
    const [a, b] = [await addFilledMachine(current()), await addFilledMachine(current(), { name: 'db-1' })]
    const options = { excludedDisks: [], trackingId: 'owner-1', since: null }
    const machines = [request(a.ref, null), request(b.ref, null)]
    for (const refused of [
      source.powerOff(a.ref),
      source.start(a.ref),
      source.shutDown(a.ref, { timeoutSeconds: 1 }),
      source.openStoppedDisks(a.ref, options),
      source.openPoint({ machines, consistency: 'crash' }),
    ])
      await expect(refused).rejects.toMatchObject({ name: 'Refusal', remedy: expect.stringMatching(/\w/) })
    expect(await source.powerState(a.ref)).toBe('running')
  })
}

function lastPointTests(current: Current): void {
  const openLast = async (holdSeconds: number) => {
    const { source } = current()
    const { ref, keys } = await addFilledMachine(current(), { disks: [4 * MiB, 2 * MiB] })
    const first = await takeFirstPoint(source, request(ref, null))
    const machines = [request(ref, first.checkpoint)]
    await current().writeToDisk(ref, present(keys[0], 'it has a disk'), MiB, random.bytes(4 * KiB))
    const result = await source.openPoint({ machines, consistency: 'crash', last: { holdSeconds } })
    if (result.kind !== 'opened') throw new Error(result.reason.message)
    const machine = present(result.point.machines[0], 'it has the machine')
    const content = new Map(first.content)
    const take = async (disks: typeof machine.disks): Promise<void> => {
      for (const disk of disks)
        content.set(disk.key, (await applyChanges(present(content.get(disk.key), 'read'), disk)).content)
    }
    await take(machine.disks)
    await present(machine.settle, 'a last point settles')(take)
    return {
      ref,
      keys,
      content,
      powerOff: present(machine.powerOff, 'it is a last point'),
      release: machine.release,
    }
  }

  test('a machine is shut down at its last point, which is what its disks hold then', async () => {
    const { source, readDiskNow } = current()
    const { ref, keys, content, powerOff } = await openLast(60)
    const proof = await powerOff()
    expect(proof.evidence).toMatch(/\w/)
    expect(proof.at).toBeGreaterThan(0)
    expect(['off', 'unknown']).toContain(await source.powerState(ref))
    for (const key of keys)
      expectEqual(present(content.get(key), 'copied'), await readDiskNow(ref, key), `disk ${key}`)
    expect((await powerOff()).evidence).toMatch(/\w/)
  })

  test('a machine that was held for too long, or let go, runs on, and says so', async () => {
    const { source, pass } = current()
    const late = await openLast(5)
    await pass(6_000)
    await expect(late.powerOff()).rejects.toMatchObject({ code: LET_GO, name: 'Outage' })
    await late.release(true)
    expect(await source.powerState(late.ref)).toBe('running')
  })
}

function groupTests(current: Current): void {
  test('several machines are taken at one instant, and each goes on from its own checkpoint', async () => {
    const { source, writeToDisk } = current()
    const [a, b] = [await addFilledMachine(current()), await addFilledMachine(current(), { name: 'db-1' })]
    const machines = [request(a.ref, null), request(b.ref, null)]
    const result = await source.openPoint({ machines, consistency: 'crash' })
    if (result.kind !== 'opened') throw new Error(result.reason.message)
    expect(result.point.machines.map(({ ref }) => ref)).toEqual([a.ref, b.ref])
    const bases: Base[] = []
    for (const { ref, checkpoint, disks } of result.point.machines)
      bases.push({ ref, checkpoint: present(checkpoint, 'tracked'), content: await readDisks(disks) })
    await result.point.release(true)
    await writeToDisk(b.ref, b.key, 0, random.bytes(4 * KiB))
    for (const base of bases) await expectDelta(current(), base)
  })

  test('each machine of a point is let go by itself: what was kept of one says nothing of the other', async () => {
    const { source, writeToDisk } = current()
    const [a, b] = [await addFilledMachine(current()), await addFilledMachine(current(), { name: 'db-1' })]
    const first = {
      a: await takeFirstPoint(source, request(a.ref, null)),
      b: await takeFirstPoint(source, request(b.ref, null)),
    }
    for (const { ref, key } of [a, b]) await writeToDisk(ref, key, MiB, random.bytes(4 * KiB))
    const machines = [request(a.ref, first.a.checkpoint), request(b.ref, first.b.checkpoint)]
    const result = await source.openPoint({ machines, consistency: 'crash' })
    if (result.kind !== 'opened') throw new Error(result.reason.message)
    const [ofA, ofB] = [present(result.point.machines[0], 'a'), present(result.point.machines[1], 'b')]
    const content = await readDisks(ofA.disks)
    await ofA.release(true)
    // The other one is still open, and says what it was at the instant whatever is written now.
    await writeToDisk(b.ref, b.key, 2 * MiB, random.bytes(4 * KiB))
    const before = present(first.b.content.get(b.key), 'read')
    const open = present(ofB.disks[0], 'it has a disk')
    expectEqual((await applyChanges(before, open)).content, await readWhole(open.reader), 'the open one')
    await ofB.release(false)
    // The first call counts, for each of them.
    await ofA.release(false)
    await result.point.release(true)
    await expectLost(source, a.ref, first.a.checkpoint)
    await expectDelta(current(), { ref: a.ref, checkpoint: present(ofA.checkpoint, 'tracked'), content })
    await expectDelta(current(), { ref: b.ref, ...first.b })
  })

  test('when one machine of a group has lost its tracking, the others keep theirs', async () => {
    const { source, writeToDisk } = current()
    const [a, b] = [await addFilledMachine(current()), await addFilledMachine(current(), { name: 'db-1' })]
    const first = await takeFirstPoint(source, request(a.ref, null))
    await writeToDisk(a.ref, a.key, 0, random.bytes(4 * KiB))
    const machines = [request(a.ref, first.checkpoint), request(b.ref, 'never-was')]
    const result = await source.openPoint({ machines, consistency: 'crash' })
    expect(result).toMatchObject({ kind: 'tracking-lost', ref: b.ref })
    await expectDelta(current(), { ref: a.ref, ...first })
  })
}

function powerTests(current: Current): void {
  test('pulling the plug is proven, may be repeated, and can be undone by starting', async () => {
    const { source } = current()
    const { ref } = await addFilledMachine(current())
    for (let times = 0; times < 2; times += 1) {
      const proof = await source.powerOff(ref)
      expect(proof.evidence).toMatch(/\w/)
      expect(proof.at).toBeGreaterThan(0)
      expect(await source.powerState(ref)).toBe('off')
    }
    await source.start(ref)
    expect(await source.powerState(ref)).toBe('running')
    await source.start(ref)
    expect(await source.powerState(ref)).toBe('running')
  })

  test('a guest that is asked to shut down is proven off, or it is an outage at the deadline', async () => {
    const { source, obeysShutDown } = current()
    const { ref } = await addFilledMachine(current())
    const shuttingDown = source.shutDown(ref, { timeoutSeconds: obeysShutDown ? 120 : 1 })
    if (!obeysShutDown) {
      const passing = current().pass(2_000)
      await expect(shuttingDown).rejects.toMatchObject({ name: 'Outage' })
      await passing
      expect(await source.powerState(ref)).toBe('running')
      return
    }
    expect((await shuttingDown).evidence).toMatch(/\w/)
    expect(await source.powerState(ref)).toBe('off')
    expect((await source.shutDown(ref, { timeoutSeconds: 1 })).evidence).toMatch(/\w/)
  })
}

function stoppedDiskTests(current: Current): void {
  const options = { excludedDisks: [], trackingId: 'owner-1', since: null }

  test('the disks of a machine that runs are not read as stopped', async () => {
    const { source } = current()
    const { ref } = await addFilledMachine(current())
    await expect(source.openStoppedDisks(ref, options)).rejects.toMatchObject({ name: 'Refusal' })
  })

  test('the disks of a stopped machine are whole, and the last changes are found', async () => {
    const { source, writeToDisk, readDiskNow, obeysShutDown } = current()
    const { ref, keys, key } = await addFilledMachine(current(), { disks: [4 * MiB, 2 * MiB] })
    const first = await takeFirstPoint(source, request(ref, null))
    await writeToDisk(ref, key, MiB, random.bytes(4 * KiB))
    if (obeysShutDown) await source.shutDown(ref, { timeoutSeconds: 120 })
    else await source.powerOff(ref)
    const stopped = await source.openStoppedDisks(ref, { ...options, since: first.checkpoint })
    expect(stopped.disks.map((disk) => disk.key)).toEqual(keys)
    for (const disk of stopped.disks) {
      const base = stopped.sinceKnown
        ? present(first.content.get(disk.key), 'read')
        : Buffer.alloc(disk.bytes, 0xee)
      const { content } = await applyChanges(base, disk)
      expectEqual(content, await readDiskNow(ref, disk.key), `disk ${disk.key}`)
      expectEqual(await readWhole(disk.reader), content, `reader of disk ${disk.key}`)
    }
    await stopped.close()
  })

  test('fingerprints stay while nobody writes, and change when somebody does', async () => {
    const { source, writeToDisk } = current()
    const { ref, keys, key } = await addFilledMachine(current(), { disks: [2 * MiB, MiB] })
    await source.powerOff(ref)
    const fingerprints = async (): Promise<Map<DiskKey, string>> => {
      const stopped = await source.openStoppedDisks(ref, options)
      await stopped.close()
      return new Map(stopped.fingerprints.map((fingerprint) => [fingerprint.key, fingerprint.value]))
    }
    const before = await fingerprints()
    expect([...before.keys()].sort()).toEqual([...keys].sort())
    expect(await fingerprints()).toEqual(before)
    await current().pass(50)
    await writeToDisk(ref, key, MiB, random.bytes(512))
    const after = await fingerprints()
    expect(after.get(key)).not.toBe(before.get(key))
    const other = present(keys[1], 'it has two disks')
    expect(after.get(other)).toBe(before.get(other))
  })

  test('an excluded disk of a stopped machine is left out', async () => {
    const { source } = current()
    const { ref, keys } = await addFilledMachine(current(), { disks: [2 * MiB, MiB] })
    await source.powerOff(ref)
    const first = await firstDisk(source, ref)
    const stopped = await source.openStoppedDisks(ref, { ...options, excludedDisks: [first] })
    expect(stopped.disks.map(({ key }) => key)).toEqual(keys.slice(1))
    await stopped.close()
  })
}
