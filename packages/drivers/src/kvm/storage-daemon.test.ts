import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { expect, test } from 'vitest'
import type { Host } from './host.ts'
import { localHost } from './local-host.ts'
import { openStorageDaemon } from './storage-daemon.ts'

test('a daemon that hears no signal is given up after twice its time, however long we have been up', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'us-daemon-'))
  const monitor = join(folder, 'us-stopped-x.qmp')
  await writeFile(join(folder, 'us-stopped-x.pid'), '4711')
  const signals: string[] = []
  const host: Host = {
    ...localHost({ name: 'here', machinesFolder: folder }),
    commandLineOf: async () => `qemu-storage-daemon ${monitor}`,
    kill: async (_pid, signal) => void signals.push(signal),
  }
  const ref = '00000000-0000-4000-8000-000000000001' as MachineRef
  const machine = { ref, name: 'a', host, folder, monitorPath: '', agentPath: null, definition: null }
  const begun = performance.now()
  await expect(openStorageDaemon(machine, [], 'x', { endMilliseconds: 100 })).rejects.toMatchObject({
    code: 'source/disks-not-readable',
  })
  expect(performance.now() - begun).toBeLessThan(1000)
  expect(new Set(signals)).toEqual(new Set(['SIGTERM', 'SIGKILL']))
  await rm(folder, { recursive: true })
})
