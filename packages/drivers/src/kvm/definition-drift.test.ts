import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { driftOf } from './definition-drift.ts'
import { saveMachineDefinition } from './machine-definition.ts'
import { machineDirectory } from './machine-directory.ts'
import { kvmSource } from './source.ts'
import { testHost } from './test-host.ts'
import { type TestMonitor, testMonitor } from './test-monitor.ts'
import { tinyDefinition } from './tiny-machine.ts'

const key = (name: string): DiskKey => name as DiskKey
const { disks } = tinyDefinition(
  'web',
  [
    { key: 'system', format: 'qcow2', bytes: 512 },
    { key: 'data', format: 'raw', bytes: 512 },
  ],
  0,
)
const system = { key: key('system'), file: '/vm/web/system.qcow2' }
const data = { key: key('data'), file: '/vm/web/data.raw' }

test.each([
  ['the same disks', [system, data], null],
  ['a disk added since it was started', [system, data, { key: key('hot'), file: '/vm/hot.raw' }], 'hot'],
  ['a snapshot file put over a disk', [{ ...system, file: '/vm/web/snap.qcow2' }, data], 'system'],
  ['a disk that was detached', [system], 'data'],
  ['a name that is no file', [{ ...system, file: 'json:{"driver": "qcow2"}' }, data], null],
])('of a machine that runs with %s the drift is told', (_, running, drifted) => {
  expect(driftOf(disks, running, '/vm/web')?.key ?? null).toBe(drifted)
})

describe('a machine with a disk that was added since it was started', () => {
  const hot = key('hot')
  let home: string
  let monitor: TestMonitor
  let source: SourcePlatform
  let status: string
  const { ref } = tinyDefinition('web', [], 0)

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'us-drift-'))
    const folder = join(home, 'web')
    await mkdir(folder)
    const host = testHost('here', home)
    const [system] = disks
    if (system === undefined) throw new Error('it has a disk')
    await saveMachineDefinition(host, folder, { ...tinyDefinition('web', [], 0, { ref }), disks: [system] })
    status = 'running'
    monitor = await testMonitor(join(folder, 'qmp.sock'), {
      'query-status': () => ({ status, running: status === 'running' }),
      'query-block': () => [
        drive('system', join(folder, 'system.qcow2')),
        drive(hot, join(folder, 'hot.raw')),
      ],
      'query-named-block-nodes': () => [
        node('system', join(folder, 'system.qcow2')),
        node(hot, join(folder, 'hot.raw')),
      ],
    })
    source = kvmSource({
      hosts: [host],
      directory: machineDirectory([host], () => undefined),
      clock: { now: () => 5 },
      bootDeadlineSeconds: 5,
    })
  })
  afterEach(async () => {
    monitor.close()
    await rm(home, { recursive: true, force: true })
  })

  test('is not asked to shut down, and the refusal says what to do', async () => {
    await expect(source.shutDown(ref, { timeoutSeconds: 1 })).rejects.toMatchObject({
      name: 'Refusal',
      code: 'source/disks-not-defined',
      message: expect.stringContaining('Disk hot'),
      remedy: expect.stringContaining('machine.json'),
    })
    expect(monitor.asked).not.toContain('system_powerdown')
  })

  test('is shut down when that disk is excluded', async () => {
    const asking = source.shutDown(ref, { timeoutSeconds: 10, excludedDisks: [hot] })
    await expect.poll(() => monitor.asked).toContain('system_powerdown')
    status = 'shutdown'
    expect((await asking).evidence).toContain('run state shutdown')
  })

  test('keeps its process when it powered off by itself: that alone still knows the disk', async () => {
    status = 'shutdown'
    const child = spawn('sh', ['-c', 'read wait', 'qemu-system-x86_64', '-uuid', ref])
    await writeFile(join(home, 'web', 'pid'), String(child.pid))
    const ask = { excludedDisks: [], trackingId: 'p1', since: null }
    await expect(source.openStoppedDisks(ref, ask)).rejects.toMatchObject({
      code: 'source/disks-not-defined',
    })
    expect(monitor.asked).not.toContain('quit')
    expect(child.exitCode).toBe(null)
    child.stdin.end()
  })
})

const drive = (name: string, file: string) => ({
  device: '',
  qdev: `/machine/peripheral/dev-${name}/virtio-backend`,
  removable: false,
  inserted: node(name, file),
})
const node = (name: string, file: string) => ({
  'node-name': `disk-${name}`,
  drv: 'qcow2',
  ro: false,
  file,
  image: { 'virtual-size': 512, filename: file },
})
