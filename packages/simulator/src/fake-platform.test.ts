import type { RunId } from '@understudy/domain/failover/failover'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { expect, test } from 'vitest'
import { anywhere, newPlacing } from './contracts/platform-harness.ts'
import { fakeWorld } from './fake-platform.ts'
import { imageReader } from './memory-disk.ts'
import { checkGuest } from './synthetic-guest.ts'
import { virtualClock } from './virtual-clock.ts'

const newWorld = () => {
  const clock = virtualClock()
  const world = fakeWorld(clock)
  return { clock, world, a: world.addSite('a'), b: world.addSite('b') }
}

const bootSpec = (ref: MachineRef, readers: BootSpec['disks'], mode: BootSpec['mode']): BootSpec => ({
  runId: `copy-of-${ref}` as RunId,
  name: `${ref} copy`,
  mode,
  hardware: { cpus: 1, memoryBytes: 2 ** 27, firmware: 'bios', disks: [], adapters: [] },
  disks: readers,
  networks: new Map(mode === 'test' ? [['net0', 'isolated']] : [['net0', 'lan']]),
  trackingId: null,
  placing: newPlacing(),
})

test('a guest writes one chain over all its disks while the clock moves, and a copy of any instant is whole', async () => {
  const { clock, a } = newWorld()
  const machine = await a.addMachine({ name: 'web', disks: [2 ** 20, 2 ** 20], writeEveryMilliseconds: 100 })
  await clock.advance(1_500)
  expect(await checkGuest(machine.readDisks())).toMatchObject({ identity: 'a/web', records: 7 })
  await clock.advance(20_000)
  expect(await checkGuest(machine.readDisks())).toMatchObject({ records: 107 })
})

test('a copy whose disks are from two instants is found out', async () => {
  const { clock, a } = newWorld()
  const machine = await a.addMachine({ name: 'web', disks: [2 ** 20, 2 ** 20], writeEveryMilliseconds: 100 })
  await clock.advance(1_000)
  const [early0, early1] = machine.readDisks()
  await clock.advance(1_000)
  const [late0, late1] = machine.readDisks()
  if (!early0 || !early1 || !late0 || !late1) throw new Error('the machine has two disks')
  await expect(checkGuest([early0, late1])).rejects.toThrow('has 10 records where disk 0 has 5')
  await expect(checkGuest([late0, early1])).rejects.toThrow('has 5 records where disk 0 has 10')
})

test('a copy with one damaged byte is found out', async () => {
  const { clock, a } = newWorld()
  const machine = await a.addMachine({ name: 'web', writeEveryMilliseconds: 100 })
  await clock.advance(1_000)
  const [key] = machine.disks.keys()
  if (!key) throw new Error('the machine has a disk')
  await machine.write(key, 5 * 4096 + 4000, Buffer.from([1]))
  await expect(checkGuest(machine.readDisks())).rejects.toThrow('record 5')
})

test('a second live copy of a running machine is written down as a violation, an isolated one is not', async () => {
  const { world, a, b } = newWorld()
  const machine = await a.addMachine({ name: 'web' })
  const disks = [...machine.disks].map(([key, disk]) => ({
    key,
    bytes: disk.bytes,
    boot: true,
    reader: imageReader(disk.image()),
  }))
  await b.target.boot(bootSpec(machine.ref, disks, 'test'))
  expect(world.violations).toEqual([])
  await b.target.destroy(bootSpec(machine.ref, disks, 'test').runId, anywhere)
  await b.target.boot(bootSpec(machine.ref, disks, 'failover'))
  expect(world.violations).toHaveLength(1)
  expect(world.liveCopies('a/web')).toHaveLength(2)
})

test('a site that is cut off answers nothing while its machines run on', async () => {
  const { clock, a } = newWorld()
  const machine = await a.addMachine({ name: 'web', writeEveryMilliseconds: 100 })
  a.cutOff()
  await expect(a.source.inventory()).rejects.toMatchObject({ code: 'site/unreachable' })
  await clock.advance(1_000)
  expect(machine.guest?.records).toBe(10)
  a.comeBack()
  expect(await a.source.inventory()).toHaveLength(1)
})

test('a lost answer leaves the effect behind', async () => {
  const { a } = newWorld()
  const machine = await a.addMachine({ name: 'web' })
  a.faults.loseAnswer('source.powerOff')
  await expect(a.source.powerOff(machine.ref)).rejects.toThrow()
  expect(await a.source.powerState(machine.ref)).toBe('off')
})

test('a hanging call ends when its signal aborts', async () => {
  const { a } = newWorld()
  a.faults.hang('source.inventory')
  const stop = new AbortController()
  const call = a.source.inventory(stop.signal)
  stop.abort(new Error('enough'))
  await expect(call).rejects.toThrow('enough')
})

test('the platform of a site carries its replica store', async () => {
  const { world } = newWorld()
  const { replicas } = world.site('b').platform
  const id = 'replica-1' as ReplicaId
  await replicas.createReplica({ id, machineName: 'web', compress: false, encrypt: false })
  expect(await replicas.list()).toEqual([id])
})
