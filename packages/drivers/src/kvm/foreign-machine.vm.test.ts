import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { MiB } from '@understudy/base/bytes'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { localHost } from './local-host.ts'
import { machineDirectory } from './machine-directory.ts'
import { connectQmp } from './qmp.ts'
import { kvmSource } from './source.ts'

// A QEMU that somebody else started in his own way, with drives of all kinds and a monitor socket in a folder of ours.
const run = promisify(execFile)
// Nobody else's: what runs is looked for by it among all processes.
const uuid = randomUUID() as MachineRef
let folder: string
let source: SourcePlatform

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-'))
  const host = localHost({ name: 'here', machinesFolder: folder })
  source = kvmSource({
    hosts: [host],
    directory: machineDirectory([host], ({ error }) => {
      throw error
    }),
    clock: { now: () => Date.now() },
    bootDeadlineSeconds: 30,
  })
})

afterEach(async () => {
  await source.powerOff(uuid).catch(() => undefined)
  await rm(folder, { recursive: true, force: true })
})

async function startForeign(...more: string[]): Promise<void> {
  const place = join(folder, 'theirs')
  await mkdir(place, { recursive: true })
  for (const name of ['a.qcow2', 'b.img', 'c.img', 'd.img'])
    await run('qemu-img', [
      'create',
      '-q',
      '-f',
      name.endsWith('qcow2') ? 'qcow2' : 'raw',
      join(place, name),
      '4M',
    ])
  const drive = (id: string, file: string, format: string): string[] => [
    '-drive',
    `if=none,id=${id},file=${join(place, file)},format=${format}`,
  ]
  await run('qemu-system-x86_64', [
    ...['-name', 'theirs', '-uuid', uuid, '-M', 'pc', '-accel', 'tcg,tb-size=16', '-m', '64', '-nodefaults'],
    ...['-display', 'none', '-daemonize', '-qmp', `unix:${join(place, 'monitor.qmp')},server=on,wait=off`],
    ...drive('one', 'a.qcow2', 'qcow2'),
    ...['-device', 'virtio-blk-pci,drive=one,id=root'],
    ...['-drive', 'if=none,id=cd,media=cdrom', '-device', 'ide-cd,drive=cd'],
    ...more.flatMap((id) => drive(id, id === 'ide' ? 'b.img' : 'c.img', 'raw')),
    ...more.flatMap((id) =>
      id === 'ide' ? ['-device', 'ide-hd,drive=ide,id=second'] : ['-device', `virtio-blk-pci,drive=${id}`],
    ),
  ])
}

test('a foreign machine is found by its socket, with what QEMU tells of it', async () => {
  await startForeign()
  expect(await source.inventory()).toMatchObject([
    {
      ref: uuid,
      name: 'theirs',
      power: 'running',
      ownedBy: null,
      hardware: { cpus: 1, memoryBytes: 64 * MiB, disks: [{ key: 'root', bytes: 4 * MiB, format: 'qcow2' }] },
    },
  ])
  const { findings } = await source.eligibility(uuid)
  expect(findings.filter(({ level }) => level === 'blocker')).toEqual([])
  expect(findings.map(({ code }) => code).sort()).toEqual(['source/empty-drive', 'source/no-guest-agent'])
})

test('a disk on IDE blocks the machine unless it is excluded, and a nameless disk is left out aloud', async () => {
  await startForeign('ide', 'nameless')
  const { findings } = await source.eligibility(uuid)
  expect(findings.filter(({ level }) => level === 'blocker')).toMatchObject([{ code: 'source/bus' }])
  expect(findings.map(({ code }) => code)).toContain('source/no-device-id')
  const ask = { ref: uuid, trackingId: 'p1', since: null }
  await expect(
    source.openPoint({ machines: [{ ...ask, excludedDisks: [] }], consistency: 'crash' }),
  ).rejects.toMatchObject({ name: 'Refusal', code: 'source/bus' })
})

test('a foreign machine is tracked, is not ours to start, and another client on its monitor is an outage', async () => {
  await startForeign()
  const ask = { ref: uuid, trackingId: 'p1', since: null, excludedDisks: [] }
  const result = await source.openPoint({ machines: [ask], consistency: 'crash' })
  if (result.kind !== 'opened') throw new Error(result.reason.message)
  expect(await result.point.machines[0]?.disks[0]?.reader.read(0, 512)).toEqual(Buffer.alloc(512))
  await result.point.release(true)

  const host = localHost({ name: 'other', machinesFolder: folder })
  const intruder = await connectQmp(() => host.connect(join(folder, 'theirs', 'monitor.qmp')), {
    name: 'intruder',
  })
  await expect(source.openPoint({ machines: [ask], consistency: 'crash' })).rejects.toMatchObject({
    name: 'Outage',
    code: 'kvm/qemu-busy',
  })
  intruder.close()
  expect((await source.powerOff(uuid)).evidence).toContain('no process has its uuid')
  await expect(source.start(uuid)).rejects.toMatchObject({ name: 'Refusal' })
})
