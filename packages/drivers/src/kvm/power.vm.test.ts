import { KiB, MiB } from '@understudy/base/bytes'
import type { MappedExtent } from '@understudy/block/device'
import type { SourceDisk, SourcePlatform } from '@understudy/engine/ports/source-platform'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { machineDirectory } from './machine-directory.ts'
import { processOf } from './power.ts'
import { kvmSource } from './source.ts'
import { type TinyMachine, type TinySite, tinySite } from './tiny-machine.ts'

let site: TinySite
let source: SourcePlatform
beforeEach(async () => {
  site = await tinySite()
  source = kvmSource({
    hosts: [site.host],
    directory: machineDirectory([site.host], ({ error }) => {
      throw error
    }),
    clock: { now: () => Date.now() },
    bootDeadlineSeconds: 30,
  })
})
afterEach(() => site.close())

const twoDisks = [
  { key: 'system', format: 'qcow2', bytes: 16 * MiB },
  { key: 'data', format: 'raw', bytes: 8 * MiB },
] as const

/** What an operating system does last: the sleep bits of the ACPI control register, where the firmware has put it. */
const guestPowersOff = (machine: TinyMachine): Promise<string> => machine.human('o /h 0x604 0x2000')

async function firstPoint(machine: TinyMachine): Promise<string> {
  const result = await source.openPoint({
    machines: [{ ref: machine.ref, trackingId: 'p1', since: null, excludedDisks: [] }],
    consistency: 'crash',
  })
  if (result.kind !== 'opened') throw new Error(result.reason.message)
  await result.point.release(true)
  return result.point.machines[0]?.checkpoint ?? ''
}

async function changes(disk: SourceDisk | undefined): Promise<MappedExtent[]> {
  const extents: MappedExtent[] = []
  if (disk !== undefined) for await (const extent of disk.changed()) extents.push(extent)
  return extents
}

describe('a guest that powers off', () => {
  test('is proven off while its process stays, and the last delta of raw and qcow2 disks is known', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const since = await firstPoint(machine)
    await machine.write('system', 3 * MiB, 4 * KiB, 0x31)
    await machine.write('data', 5 * MiB, 8 * KiB, 0x32)

    const shuttingDown = source.shutDown(machine.ref, { timeoutSeconds: 20 })
    await guestPowersOff(machine)
    expect((await shuttingDown).evidence).toContain('run state shutdown')
    expect(await source.powerState(machine.ref)).toBe('off')
    expect(await processOf(machine.location)).not.toBe(null)

    const ask = { excludedDisks: [], trackingId: 'p1', since }
    const stopped = await source.openStoppedDisks(machine.ref, ask)
    expect(await processOf(machine.location)).toBe(null)
    expect(stopped.sinceKnown).toBe(true)
    expect(await changes(stopped.disks[0])).toEqual([{ offset: 3 * MiB, bytes: 4 * KiB, kind: 'data' }])
    expect(await changes(stopped.disks[1])).toEqual([{ offset: 5 * MiB, bytes: 8 * KiB, kind: 'data' }])
    expect(await stopped.disks[1]?.reader.read(5 * MiB, 8 * KiB)).toEqual(Buffer.alloc(8 * KiB, 0x32))
    // A predecessor that was killed here has closed nothing: the next one takes over and knows as much.
    const again = await source.openStoppedDisks(machine.ref, ask)
    expect(again.sinceKnown).toBe(true)
    expect(await changes(again.disks[1])).toEqual([{ offset: 5 * MiB, bytes: 8 * KiB, kind: 'data' }])
    expect(again.fingerprints).toEqual(stopped.fingerprints)
    await again.close()
    await stopped.close()
  })

  test('and whose raw disk was written to by somebody else afterwards is read whole', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const since = await firstPoint(machine)
    await guestPowersOff(machine)
    await expect.poll(() => source.powerState(machine.ref)).toBe('off')
    const ask = { excludedDisks: [], trackingId: 'p1', since }
    await (await source.openStoppedDisks(machine.ref, ask)).close()
    const raw = await site.host.readFile(`${machine.location.folder}/data.raw`)
    await site.host.writeFile(`${machine.location.folder}/data.raw`, raw ?? '')
    const stopped = await source.openStoppedDisks(machine.ref, ask)
    expect(stopped.sinceKnown).toBe(false)
    await stopped.close()
  })

  test('is started again in the same process, and its tracking goes on, on raw disks too', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const since = await firstPoint(machine)
    const pid = await processOf(machine.location)
    await guestPowersOff(machine)
    await expect.poll(() => source.powerState(machine.ref)).toBe('off')
    await source.start(machine.ref)
    expect(await source.powerState(machine.ref)).toBe('running')
    expect(await processOf(machine.location)).toBe(pid)
    await machine.write('data', MiB, 4 * KiB, 0x55)
    const result = await source.openPoint({
      machines: [{ ref: machine.ref, trackingId: 'p1', since, excludedDisks: [] }],
      consistency: 'crash',
    })
    if (result.kind !== 'opened') throw new Error(result.reason.message)
    expect(await changes(result.point.machines[0]?.disks[1])).toEqual([
      { offset: MiB, bytes: 4 * KiB, kind: 'data' },
    ])
    await result.point.release(true)
  })
})

describe('tracking that was stopped while the machine was off', () => {
  test('leaves the images untouched, and its bitmaps go at the next start', async () => {
    const machine = await site.add('alpha', [{ key: 'only', format: 'qcow2', bytes: 8 * MiB }])
    await machine.start()
    const since = await firstPoint(machine)
    await source.powerOff(machine.ref)
    const ask = { excludedDisks: [], trackingId: 'p1', since }
    const before = await source.openStoppedDisks(machine.ref, ask)
    await before.close()
    await source.stopTracking(machine.ref, 'p1')
    const after = await source.openStoppedDisks(machine.ref, ask)
    await after.close()
    expect(after.fingerprints).toEqual(before.fingerprints)
    await source.start(machine.ref)
    expect(
      await source.openPoint({
        machines: [{ ref: machine.ref, trackingId: 'p1', since, excludedDisks: [] }],
        consistency: 'crash',
      }),
    ).toMatchObject({ kind: 'tracking-lost' })
  })
})

describe('power', () => {
  test('a machine whose process does not answer is unknown, not off, and pulling the plug ends it', async () => {
    const machine = await site.add('alpha', twoDisks)
    await machine.start()
    const pid = (await processOf(machine.location)) ?? 0
    process.kill(pid, 'SIGSTOP')
    expect(await source.powerState(machine.ref)).toBe('unknown')
    const proof = await source.powerOff(machine.ref)
    expect(proof.evidence).toContain(`process ${pid} killed`)
    expect(await source.powerState(machine.ref)).toBe('off')
  })

  test('a process number that another program got meanwhile is not taken for the machine', async () => {
    const machine = await site.add('alpha', twoDisks)
    await site.host.writeFile(`${machine.location.folder}/pid`, `${process.pid}\n`)
    expect(await source.powerState(machine.ref)).toBe('off')
    await source.powerOff(machine.ref)
  })

  test('a machine that cannot start says what QEMU said', async () => {
    const machine = await site.add('alpha', twoDisks)
    await site.host.removeFile(`${machine.location.folder}/data.raw`)
    await expect(source.start(machine.ref)).rejects.toMatchObject({
      name: 'Outage',
      code: 'kvm/start-failed',
      message: expect.stringContaining('data.raw'),
    })
  })
})
