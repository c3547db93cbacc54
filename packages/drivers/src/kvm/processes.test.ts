import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { tmpdir } from 'node:os'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { expect, test } from 'vitest'
import type { Host } from './host.ts'
import { localHost } from './local-host.ts'
import { runningUuids } from './processes.ts'

const host = localHost({ name: 'here', machinesFolder: tmpdir() })

test('a process is found by the uuid that it was given, in either case, until it ends', async () => {
  const ref = randomUUID() as MachineRef
  // Waits for the end of its input.
  const child = spawn('sh', ['-c', 'read wait', 'sh', '-uuid', ref.toUpperCase(), '-smp', '1'])
  await expect.poll(async () => (await runningUuids(host)).get(ref)).toEqual([child.pid])
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.stdin.end()
  await ended
  expect((await runningUuids(host)).has(ref)).toBe(false)
})

test('a word that only speaks of a uuid is no machine', async () => {
  const ref = randomUUID() as MachineRef
  const child = spawn('sh', ['-c', 'read wait', 'sh', `virsh domstate ${ref}`, ref])
  await expect.poll(() => host.commandLineOf(child.pid ?? 0)).toContain(ref)
  expect((await runningUuids(host)).has(ref)).toBe(false)
  child.stdin.end()
})

test.each([
  [44, 'does not show us the processes'],
  [127, 'Cannot look at the processes'],
])('a look that ends with %i proves nothing', async (code, message) => {
  const blind: Host = { ...host, run: async () => ({ code, stdout: '', stderr: 'grep: not found' }) }
  await expect(runningUuids(blind)).rejects.toMatchObject({
    name: 'Outage',
    code: 'source/power-unknown',
    message: expect.stringContaining(message),
  })
})
