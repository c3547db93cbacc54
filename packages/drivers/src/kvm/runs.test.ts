import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { present } from '@understudy/base/invariant'
import type { RunId } from '@understudy/domain/failover/failover'
import type { BootSpec, Whereabouts } from '@understudy/engine/ports/target-platform'
import { anywhere, newPlacing } from '@understudy/simulator/contracts/platform-harness'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { saveMachineDefinition } from './machine-definition.ts'
import { machineDirectory } from './machine-directory.ts'
import { replicaFolderName } from './replica-definition.ts'
import { findRun, getRun } from './runs.ts'
import { type KvmTarget, kvmTarget } from './target.ts'
import { type TestHost, testHost } from './test-host.ts'
import { tinyDefinition } from './tiny-machine.ts'

let home: string
let hosts: readonly TestHost[]
let target: KvmTarget
const runId = 'run-1' as RunId
const away = { name: 'Outage', code: 'kvm/host-unreachable' }

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'us-runs-'))
  for (const name of ['one', 'two', 'three']) await mkdir(join(home, name))
  hosts = ['one', 'two', 'three'].map((name) => testHost(name, join(home, name)))
  target = kvmTarget(siteOf(hosts))
})
afterEach(() => rm(home, { recursive: true, force: true }))

const siteOf = (ofSite: readonly TestHost[]) => ({
  hosts: ofSite,
  directory: machineDirectory(ofSite, () => undefined),
  settings: { networks: [], accelerator: 'tcg' as const, bootDeadlineSeconds: 5 },
})
const hostAt = (index: number): TestHost => present(hosts[index], 'there are three')

async function addReplica(index: number): Promise<string> {
  const folder = join(hostAt(index).machinesFolder, replicaFolderName('web', runId))
  await mkdir(folder)
  await saveMachineDefinition(hostAt(index), folder, tinyDefinition('web', [], 0, { ownedBy: runId }))
  return folder
}

/** Refused by the preflight as soon as it gets there: its network does not exist. */
const unbootable: BootSpec = {
  runId,
  name: 'web',
  mode: 'failover',
  hardware: { cpus: 1, memoryBytes: 2 ** 26, firmware: 'bios', disks: [], adapters: [] },
  disks: [],
  networks: new Map([['net0', 'nowhere']]),
  trackingId: null,
  placing: newPlacing(),
}

test('a run is found although another host is away', async () => {
  await addReplica(1)
  hostAt(0).cutOff = true
  expect((await getRun(hosts, runId)).host.name).toBe('two')
})

test('a run that is not found is an outage while a host is away, and is not there when all were asked', async () => {
  hostAt(0).cutOff = true
  await expect(findRun(hosts, runId)).rejects.toMatchObject(away)
  hostAt(0).cutOff = false
  expect(await findRun(hosts, runId)).toBe(null)
})

test('where a run was seen is asked first, and only there while it is there', async () => {
  await addReplica(2)
  await getRun(hosts, runId)
  let asked = 0
  for (const index of [0, 1]) {
    const host = hostAt(index)
    const list = host.list
    host.list = (path) => {
      asked += 1
      return list(path)
    }
  }
  expect((await getRun(hosts, runId)).host.name).toBe('three')
  expect(asked).toBe(0)
  await rm(join(home, 'three'), { recursive: true })
  expect(await findRun(hosts, runId)).toBe(null)
  expect(asked).toBe(2)
})

const nothingMade: Whereabouts = { kind: 'nowhere' }
const at = (index: number): Whereabouts => ({ kind: 'at', place: hostAt(index).place })
const boot = (before: Whereabouts) =>
  target.boot({ ...unbootable, placing: { before, keep: async () => undefined } })
const unseen = { name: 'Outage', code: 'run/host-away', message: expect.stringContaining('host one') }

test('a run that was never begun boots and is destroyed although a host is away', async () => {
  hostAt(0).cutOff = true
  await expect(boot(nothingMade)).rejects.toMatchObject({ code: 'network/not-found' })
  await target.destroy(runId, nothingMade)
})

test('a run that was begun on a host that is away is not begun a second time, and not taken for destroyed', async () => {
  await addReplica(0)
  hostAt(0).cutOff = true
  await expect(boot(at(0))).rejects.toMatchObject(unseen)
  await expect(target.destroy(runId, at(0))).rejects.toMatchObject(unseen)
  hostAt(0).cutOff = false
  await target.destroy(runId, at(0))
})

test('a host that a site has got since says nothing about a run that was begun before', async () => {
  await addReplica(0)
  const before = kvmTarget(siteOf(hosts.slice(0, 1)))
  const whereabouts: Whereabouts = { kind: 'at', place: present((await before.places())[0], 'one host') }
  hostAt(0).cutOff = true
  await expect(target.destroy(runId, whereabouts)).rejects.toMatchObject(unseen)
})

test('a run that was begun on a host that the settings have lost is not taken for destroyed', async () => {
  await addReplica(0)
  const later = kvmTarget(siteOf(hosts.slice(1)))
  await expect(later.destroy(runId, at(0))).rejects.toMatchObject({
    name: 'Outage',
    code: 'run/host-missing',
    message: expect.stringContaining(hostAt(0).place),
  })
  await expect(
    later.boot({ ...unbootable, placing: { before: at(0), keep: async () => undefined } }),
  ).rejects.toMatchObject({ code: 'run/host-missing' })
})

test('a run on a living host is destroyed although another is away', async () => {
  const folder = await addReplica(1)
  hostAt(2).cutOff = true
  await target.destroy(runId, at(1))
  await expect(stat(folder)).rejects.toMatchObject({ code: 'ENOENT' })
  await target.destroy(runId, at(1))
})

test('a run of which nobody has kept the host needs the answer of all', async () => {
  hostAt(0).cutOff = true
  await expect(target.destroy(runId, anywhere)).rejects.toMatchObject(unseen)
  hostAt(0).cutOff = false
  await target.destroy(runId, anywhere)
})

test('the place is kept before anything is made there, and nothing is made when it cannot be', async () => {
  const full = new Error('no room in the database')
  const spec = { ...unbootable, networks: new Map<string, string>() }
  const keep = async (): Promise<void> => {
    throw full
  }
  await expect(target.boot({ ...spec, placing: { before: nothingMade, keep } })).rejects.toBe(full)
  for (const name of ['one', 'two', 'three']) expect(await readdir(join(home, name))).toEqual([])
})

test('with every host away nothing is begun and nothing taken for destroyed', async () => {
  for (const host of hosts) host.cutOff = true
  await expect(boot(nothingMade)).rejects.toMatchObject(away)
  await expect(target.destroy(runId, nothingMade)).rejects.toMatchObject(away)
})
