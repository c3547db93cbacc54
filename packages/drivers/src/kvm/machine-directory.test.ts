import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { present } from '@understudy/base/invariant'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { inventoryReader } from './inventory.ts'
import { hostFailed, localHost } from './local-host.ts'
import { machineFiles, saveMachineDefinition } from './machine-definition.ts'
import { type MachineDirectory, machineDirectory } from './machine-directory.ts'
import { sitePower } from './site-power.ts'
import { kvmSource } from './source.ts'
import { type TestHost, testHost } from './test-host.ts'
import { testMonitor } from './test-monitor.ts'
import { tinyDefinition } from './tiny-machine.ts'

let home: string
let hosts: readonly TestHost[]
let directory: MachineDirectory

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'us-dir-'))
  for (const name of ['one', 'two', 'three']) await mkdir(join(home, name))
  hosts = ['one', 'two', 'three'].map((name) => testHost(name, join(home, name)))
  directory = machineDirectory(hosts, () => undefined)
})
afterEach(() => rm(home, { recursive: true, force: true }))

const hostAt = (index: number): TestHost => present(hosts[index], 'there are three')

async function addMachine(index: number, name: string, ref?: MachineRef): Promise<MachineRef> {
  const host = hostAt(index)
  const definition = tinyDefinition(name, [], 0, ref === undefined ? {} : { ref })
  await mkdir(join(host.machinesFolder, name))
  await saveMachineDefinition(host, join(host.machinesFolder, name), definition)
  return definition.ref
}

test('a machines folder that is not there is an outage, not a site without machines', async () => {
  const machinesFolder = join(home, 'machines')
  await mkdir(machinesFolder)
  const alone = machineDirectory([localHost({ name: 'here', machinesFolder })], () => undefined)
  expect(await alone.all()).toEqual([])
  await expect(alone.find('nobody' as MachineRef)).rejects.toMatchObject({
    name: 'Refusal',
    code: 'source/no-such-machine',
  })
  await rename(machinesFolder, join(home, 'away'))
  const missing = { name: 'Outage', code: 'kvm/machines-folder-missing' }
  await expect(alone.all()).rejects.toMatchObject(missing)
  await expect(alone.find('nobody' as MachineRef)).rejects.toMatchObject(missing)
})

describe('with one of three hosts away', () => {
  test('machines of the others are found, also by a process that has just begun', async () => {
    const ref = await addMachine(2, 'alpha')
    hostAt(0).cutOff = true
    expect((await directory.find(ref)).host.name).toBe('three')
    expect((await directory.survey()).machines.map(({ name }) => name)).toEqual(['alpha'])
  })

  test('a machine that is not found is an outage, because the host may have it', async () => {
    hostAt(0).cutOff = true
    await expect(directory.find('nobody' as MachineRef)).rejects.toMatchObject({
      name: 'Outage',
      code: 'kvm/host-unreachable',
    })
    hostAt(0).cutOff = false
    await expect(directory.find('nobody' as MachineRef)).rejects.toMatchObject({ name: 'Refusal' })
  })
})

describe('a folder that cannot be read for a moment', () => {
  test('makes its machine an outage and not a machine that has gone', async () => {
    const ref = await addMachine(0, 'alpha')
    hostAt(0).unreadable = 'alpha'
    await expect(directory.find(ref)).rejects.toMatchObject({ name: 'Outage' })
    hostAt(0).unreadable = null
    expect((await directory.find(ref)).name).toBe('alpha')
    hostAt(0).unreadable = 'alpha'
    await expect(directory.find(ref)).rejects.toMatchObject({ name: 'Outage' })
  })

  test('that we may never enter hides nothing', async () => {
    const ref = await addMachine(0, 'alpha')
    const host = hostAt(0)
    await mkdir(join(host.machinesFolder, 'lost+found'))
    const readFile = host.readFile
    host.readFile = async (path) => {
      if (!path.includes('lost+found')) return readFile(path)
      throw hostFailed(host.name, `read ${path}`, Object.assign(new Error('no'), { code: 'EACCES' }))
    }
    expect((await directory.all()).map((machine) => machine.ref)).toEqual([ref])
  })

  test('keeps its machine in the inventory with unknown power, and so does a host that is away', async () => {
    await addMachine(0, 'alpha')
    await addMachine(1, 'beta')
    const inventory = inventoryReader(directory)
    const look = async () => (await inventory()).map(({ name, power }) => `${name} ${power}`).sort()
    expect(await look()).toEqual(['alpha off', 'beta off'])
    hostAt(0).unreadable = 'alpha'
    hostAt(1).cutOff = true
    // One that had no machine when it was last read.
    hostAt(2).cutOff = true
    expect(await look()).toEqual(['alpha unknown', 'beta unknown'])
    expect(await look()).toEqual(['alpha unknown', 'beta unknown'])
    hostAt(0).unreadable = null
    hostAt(1).cutOff = false
    hostAt(2).cutOff = false
    expect(await look()).toEqual(['alpha off', 'beta off'])
    await rm(join(home, 'one', 'alpha'), { recursive: true })
    expect(await look()).toEqual(['beta off'])
  })

  test('is no inventory at all for a process that has not read it before', async () => {
    await addMachine(0, 'alpha')
    hostAt(0).unreadable = 'alpha'
    await expect(inventoryReader(directory)()).rejects.toMatchObject({ name: 'Outage' })
    hostAt(0).unreadable = null
    hostAt(2).cutOff = true
    await expect(inventoryReader(directory)()).rejects.toMatchObject({ name: 'Outage' })
  })
})

describe('off', () => {
  test('is proven by every host of the site, which the evidence names', async () => {
    const ref = await addMachine(0, 'alpha')
    const power = sitePower(hosts, directory)
    expect(await power.state(ref)).toBe('off')
    expect(await power.evidenceOfOff(await power.locate(ref))).toBe(
      'no process has its uuid and its monitor is closed; not on two, three either',
    )
  })

  test('is not what a removed socket file says: a process with the uuid may run', async () => {
    const ref = await addMachine(0, 'alpha')
    hostAt(0).running.add(ref)
    const power = sitePower(hosts, directory)
    expect(await power.state(ref)).toBe('unknown')
    expect(await power.evidenceOfOff(await power.locate(ref))).toBe(null)
  })

  test('is not what a folder says whose machine runs on another host', async () => {
    const ref = await addMachine(0, 'alpha')
    const power = sitePower(hosts, directory)
    expect(await power.state(ref)).toBe('off')
    hostAt(1).running.add(ref)
    expect(await power.state(ref)).toBe('unknown')
    await expect(power.locate(ref).then(power.evidenceOfOff)).rejects.toMatchObject({
      code: 'source/power-unknown',
      message: expect.stringContaining('host two'),
    })
  })

  test('is unknown while a host that may run it cannot be asked', async () => {
    const ref = await addMachine(0, 'alpha')
    hostAt(2).cutOff = true
    const power = sitePower(hosts, directory)
    expect(await power.state(ref)).toBe('unknown')
    await expect(power.locate(ref).then(power.evidenceOfOff)).rejects.toMatchObject({
      name: 'Outage',
      code: 'source/power-unknown',
      message: expect.stringContaining('host three'),
    })
  })
})

describe('off, with a host that cannot be asked,', () => {
  /** A QEMU of host one that answers. */
  const runAt = async (name: string, status: () => string) => {
    const ref = await addMachine(0, name)
    const path = machineFiles(join(home, 'one', name)).monitor
    const monitor = await testMonitor(path, { 'query-status': () => ({ status: status() }) })
    return { ref, monitor }
  }

  test('is not proven by a process that is gone where it was last seen', async () => {
    const { ref, monitor } = await runAt('alpha', () => 'running')
    const power = sitePower(hosts, directory)
    expect(await power.state(ref)).toBe('running')
    monitor.close()
    hostAt(2).cutOff = true
    expect(await power.state(ref)).toBe('unknown')
  })

  test('is proven by the plug that we pulled, for what comes after as well', async () => {
    const { ref } = await runAt('alpha', () => 'running')
    hostAt(2).cutOff = true
    const source = kvmSource({ hosts, directory, clock: { now: () => 5 }, bootDeadlineSeconds: 5 })
    expect((await source.powerOff(ref)).evidence).toContain(
      'three could not be asked, but its end here was our doing',
    )
    expect(await source.powerState(ref)).toBe('off')
  })

  test('is not proven by our end of a process whose guest was migrated away', async () => {
    const { ref } = await runAt('alpha', () => 'postmigrate')
    hostAt(2).cutOff = true
    const source = kvmSource({ hosts, directory, clock: { now: () => 5 }, bootDeadlineSeconds: 5 })
    expect(await source.powerState(ref)).toBe('unknown')
    await expect(source.powerOff(ref)).rejects.toMatchObject({ code: 'source/power-unknown' })
    expect(await source.powerState(ref)).toBe('unknown')
  })

  test('is proven by a guest that powered off in its process, unless it was seen elsewhere since', async () => {
    const { ref, monitor } = await runAt('alpha', () => 'shutdown')
    const power = sitePower(hosts, directory)
    hostAt(1).cutOff = true
    expect(await power.state(ref)).toBe('off')
    hostAt(1).cutOff = false
    await addMachine(1, 'alpha', ref)
    hostAt(1).running.add(ref)
    const path = machineFiles(join(home, 'two', 'alpha')).monitor
    const second = await testMonitor(path, { 'query-status': () => ({ status: 'running' }) })
    expect(await power.state(ref)).toBe('running')
    hostAt(1).cutOff = true
    expect(await power.state(ref)).toBe('unknown')
    monitor.close()
    second.close()
  })
})

test('of a machine that two hosts show the one that runs is taken', async () => {
  const ref = await addMachine(0, 'alpha')
  await addMachine(1, 'alpha', ref)
  expect((await directory.find(ref)).host.name).toBe('one')
  hostAt(1).running.add(ref)
  expect((await directory.find(ref)).host.name).toBe('two')
  expect((await directory.all()).map(({ host }) => host.name)).toEqual(['two'])
})
