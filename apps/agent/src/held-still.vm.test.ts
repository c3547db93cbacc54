// The agent's own files on the very disk that it holds still, while it is spoken to.
import { appendFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { MiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { openHoldGate } from '@understudy/drivers/linux/hold-gate'
import { defaultLinuxSettings } from '@understudy/drivers/linux/settings'
import { openLinuxSource } from '@understudy/drivers/linux/source'
import { makeTestDisk, requireLinuxSource } from '@understudy/drivers/linux/test-disk'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { openLog } from './log.ts'
import { openMailbox } from './mailbox.ts'
import { openStateFolder } from './state-folder.ts'

const atEnd: (() => Promise<unknown>)[] = []
beforeAll(requireLinuxSource)
afterEach(async () => {
  for (const end of atEnd.splice(0).reverse()) await end()
})

/** More than there are threads for files. */
const MANY = 8

test('what an agent keeps waits for the end of the hold, which none of it delays, and all of it is there', async () => {
  const scripts = await mkdtemp(join(tmpdir(), 'understudy-agent-test-'))
  atEnd.push(() => rm(scripts, { recursive: true, force: true }))
  const disk = await makeTestDisk('ext4', 64 * MiB)
  atEnd.push(() => disk.remove())
  const gate = openHoldGate()
  const folder = await openStateFolder(join(disk.mountPoint, 'agent'), gate)
  const mailbox = await openMailbox(folder)
  const logPath = join(disk.mountPoint, 'agent.log')
  const log = openLog(gate, (line) => appendFileSync(logPath, `${line}\n`))
  log('before')

  const written: Promise<unknown>[] = []
  let early = 0
  const whileHeld = async (): Promise<void> => {
    for (let count = 1; count <= MANY; count += 1) {
      log(`line ${count}`)
      const standing = { pid: 1, version: '0', connected: true, since: count, note: null, backlog: 0 }
      written.push(
        mailbox.take(count, { id: `order-${count}`, kind: 'report-facts' }),
        mailbox.say({ kind: 'started', version: '0', at: count }),
        folder.saveStanding(standing),
      )
    }
    for (const each of written)
      void each.then(() => {
        early += 1
      })
    await sleep(500)
    expect(early).toBe(0)
  }
  const source = await openLinuxSource({
    settings: {
      ...defaultLinuxSettings,
      devices: [disk.path],
      scripts: { folder: scripts, seconds: 20 },
      limits: { ...defaultLinuxSettings.limits, holdSeconds: 20 },
    },
    now: Date.now,
    whileHeld,
    gate,
  })
  atEnd.push(() => source.close())
  const { ref } = present((await source.inventory())[0], 'it finds itself')
  const machines = [{ ref, trackingId: 'us-agent-held', since: null, excludedDisks: [] }]
  const result = await source.openPoint({ machines, consistency: 'crash' })
  if (result.kind !== 'opened') throw new Error(result.reason.message)
  const machine = present(result.point.machines[0], 'it has the machine')
  const settled = await present(machine.settle, 'it settles')(async () => {})
  await machine.release(true)
  // What waits for the guardian waits for all of its seconds.
  expect(settled.pauseMilliseconds).toBeLessThan(15_000)

  await Promise.all(written)
  log('after')
  const kept = await openMailbox(await openStateFolder(folder.path))
  expect(kept.received()).toBe(MANY)
  expect(kept.orders()).toHaveLength(MANY)
  expect(kept.waiting()).toHaveLength(MANY)
  expect((await folder.standing())?.since).toBe(MANY)
  const lines = async () =>
    (await readFile(logPath, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => line.split('Z ')[1])
  const expected = ['before', ...Array.from({ length: MANY }, (_, index) => `line ${index + 1}`), 'after']
  await expect.poll(lines).toEqual(expected)
})
