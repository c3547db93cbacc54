import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connectGuestAgent, type GuestAgent } from '../guest-agent.ts'
import { localHost } from '../local-host.ts'
import { freezingStream, openThawTimer } from './thaw-timer.ts'
import type { VirshSession } from './virsh-session.ts'

const ref = '11111111-2222-4333-8444-555555555555' as MachineRef
const uri = 'qemu:///system'
let folder: string
let formerPath: string | undefined

/** A virsh that writes down what it was asked. */
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'us-timer-'))
  await writeFile(join(folder, 'virsh'), `#!/bin/sh\necho "$@" >> ${folder}/asked\n`, { mode: 0o755 })
  formerPath = process.env.PATH
  process.env.PATH = `${folder}:${formerPath ?? ''}`
})
afterEach(async () => {
  process.env.PATH = formerPath
  await rm(folder, { recursive: true, force: true })
})

const asked = (): Promise<string> => readFile(join(folder, 'asked'), 'utf8').catch(() => '')
const session = (): VirshSession => {
  const closed = Promise.withResolvers<void>()
  return {
    ask: async (line) => `{"return": ${/"id":(\d+)/.exec(line)?.[1] ?? '1'}}`,
    closed: closed.promise,
    close: () => closed.resolve(),
  }
}

async function freeze(seconds: number): Promise<{ agent: GuestAgent; timerEnds: Promise<void> }> {
  const host = localHost({ name: 'here', machinesFolder: folder })
  const timer = await openThawTimer(host, { uri, ref, seconds })
  const timerEnds = new Promise<void>((resolve) => timer.once('end', () => resolve()))
  const agent = await connectGuestAgent(async () => freezingStream(session(), ref, timer), { name: 'a' })
  await agent.call('guest-fsfreeze-freeze')
  return { agent, timerEnds }
}

test('a domain whose freezer goes away is thawed through libvirt', async () => {
  const { agent } = await freeze(60)
  agent.close()
  await expect
    .poll(asked, { timeout: 5000 })
    .toBe(`-q -c ${uri} qemu-agent-command ${ref} {"execute": "guest-fsfreeze-thaw"} --timeout 5\n`)
})

test('a domain whose freezer hangs is thawed when the time is over', async () => {
  const { agent } = await freeze(1)
  await expect.poll(asked, { timeout: 5000 }).toContain('guest-fsfreeze-thaw')
  agent.close()
})

test('a domain that was thawed in time is left alone', async () => {
  const { agent, timerEnds } = await freeze(60)
  await agent.call('guest-fsfreeze-thaw')
  await timerEnds
  agent.close()
  expect(await asked()).toBe('')
})
