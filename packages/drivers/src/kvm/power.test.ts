import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Host } from './host.ts'
import { listenerHangs, localHost } from './local-host.ts'
import { machineFiles } from './machine-definition.ts'
import { powerOffMachine, powerState } from './power.ts'
import { tinyDefinition } from './tiny-machine.ts'

test('a machine whose monitor takes no connection is unknown, and pulling the plug ends its process', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'us-power-'))
  const definition = tinyDefinition('alpha', [], 0)
  const { ref, name } = definition
  const child = spawn('sh', ['-c', 'read wait', 'qemu-system-x86_64', '-uuid', ref])
  await writeFile(machineFiles(folder).pid, String(child.pid))
  const real = localHost({ name: 'here', machinesFolder: folder })
  const isGone = async (): Promise<boolean> => (await real.commandLineOf(child.pid ?? 0)) === null
  const host: Host = {
    ...real,
    // Its queue is full as long as it lives.
    connect: async (path) => {
      if (await isGone()) return real.connect(path)
      throw listenerHangs('here', path, new Error('EAGAIN'))
    },
  }
  const monitorPath = machineFiles(folder).monitor
  const machine = { ref, name, host, folder, monitorPath, agentPath: null, definition }
  await expect.poll(() => real.commandLineOf(child.pid ?? 0)).toContain(ref)
  expect(await powerState(machine)).toBe('unknown')
  const { evidence } = await powerOffMachine(machine, { now: () => 5 })
  expect(evidence).toContain(`process ${child.pid} killed`)
  expect(await powerState(machine)).toBe('off')
  await rm(folder, { recursive: true })
})
