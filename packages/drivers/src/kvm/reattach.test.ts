import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectNbd } from '@understudy/block/nbd/client'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { memoryDisk } from '@understudy/simulator/memory-disk'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type MachineDefinition, saveMachineDefinition } from './machine-definition.ts'
import { machineDirectory } from './machine-directory.ts'
import { backingSocketPath, replicaFolderName } from './replica-definition.ts'
import { type KvmTarget, kvmTarget } from './target.ts'
import { type TestHost, testHost } from './test-host.ts'
import { type TestMonitor, testMonitor } from './test-monitor.ts'
import { tinyDefinition } from './tiny-machine.ts'

const runId = 'run-1' as RunId
const key = 'system' as DiskKey
const bytes = 1024 * 1024
let home: string
let folder: string
let host: TestHost
let target: KvmTarget
let monitor: TestMonitor
/** What the monitor says of the guest. */
let status: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'us-again-'))
  folder = join(home, replicaFolderName('web', runId))
  await mkdir(folder)
  host = testHost('here', home)
  const path = backingSocketPath(folder)
  const [disk] = tinyDefinition('web', [{ key, format: 'qcow2', bytes }], 0).disks
  if (disk === undefined) throw new Error('it has a disk')
  const disks: MachineDefinition['disks'] = [
    { ...disk, backing: { kind: 'nbd-unix', path, exportName: key } },
  ]
  await saveMachineDefinition(host, folder, tinyDefinition('web', [], 0, { ownedBy: runId, disks }))
  target = kvmTarget({
    hosts: [host],
    directory: machineDirectory([host], () => undefined),
    settings: { networks: [], accelerator: 'tcg', bootDeadlineSeconds: 5 },
  })
  status = 'running'
  monitor = await testMonitor(join(folder, 'qmp.sock'), {
    'query-status': () => ({ status, running: status === 'running' }),
    cont: () => {
      status = 'running'
      return {}
    },
  })
})
afterEach(async () => {
  await target.close()
  monitor.close()
  await rm(home, { recursive: true, force: true })
})

const connect = () =>
  connectNbd({ address: { kind: 'unix', path: backingSocketPath(folder) }, exportName: key })
const spec = (reader = memoryDisk(bytes)) => ({ runId, disks: [{ key, bytes, boot: true, reader }] })

test('a guest that a failed read has stopped goes on at the next look, every time', async () => {
  const attached = spec()
  await target.reattach(attached)
  for (const state of ['io-error', 'io-error']) {
    status = state
    await target.reattach(attached)
    expect(status).toBe('running')
  }
  // Whoever paused it has a reason.
  status = 'paused'
  await target.reattach(attached)
  expect(status).toBe('paused')
})

test('a look does not disturb a guest whose readers are offered already', async () => {
  const attached = spec()
  await target.reattach(attached)
  const guest = await connect()
  await target.reattach(attached)
  expect(await guest.read(0, 512)).toEqual(Buffer.alloc(512))
  await guest.close()
})

test('other readers, and a socket that has gone, are offered anew', async () => {
  const attached = spec()
  await target.reattach(attached)
  await rm(backingSocketPath(folder))
  await target.reattach(attached)
  await (await connect()).close()

  const disk = memoryDisk(bytes)
  await disk.write(0, Buffer.alloc(512, 7))
  await target.reattach(spec(disk))
  const guest = await connect()
  expect(await guest.read(0, 512)).toEqual(Buffer.alloc(512, 7))
  await guest.close()
})

test('a machine that is off is offered its readers, and nothing else is done', async () => {
  monitor.close()
  const definition = join(folder, 'machine.json')
  const before = { files: await readdir(folder), definition: await readFile(definition, 'utf8') }
  const calls = [vi.spyOn(host, 'run'), vi.spyOn(host, 'writeFile'), vi.spyOn(host, 'kill')]
  await target.reattach(spec())
  await (await connect()).close()
  expect(monitor.asked).toEqual([])
  for (const call of calls) expect(call).not.toHaveBeenCalled()
  expect(await readdir(folder)).toEqual([...before.files, 'us-base.sock'].toSorted())
  expect(await readFile(definition, 'utf8')).toBe(before.definition)
})

test('an end that comes while the readers are being offered leaves no server behind', async () => {
  let [arrived, goOn] = [(): void => {}, (): void => {}]
  const isThere = new Promise<void>((resolve) => (arrived = resolve))
  const gate = new Promise<void>((resolve) => (goOn = resolve))
  // The socket listens already when its file is handed over.
  Object.assign(host, {
    handOver: async () => {
      arrived()
      await gate
    },
  })
  const offering = target.reattach(spec())
  await isThere
  const ending = target.detach(runId)
  goOn()
  await Promise.all([offering, ending])
  await expect(connect()).rejects.toMatchObject({ name: 'Outage' })
})

test('what was offered to a machine that is gone by now is ended, and can be repeated', async () => {
  await target.reattach(spec())
  const guest = await connect()
  await rm(join(folder, 'machine.json'))
  await target.detach(runId)
  await target.detach(runId)
  await expect(guest.read(0, 512)).rejects.toThrow()
  await guest.close()
})
