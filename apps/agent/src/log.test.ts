import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openHoldGate } from '@understudy/drivers/linux/hold-gate'
import { afterEach, describe, expect, test } from 'vitest'
import { openLog } from './log.ts'
import { openMailbox } from './mailbox.ts'
import { openStateFolder } from './state-folder.ts'

const atEnd: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of atEnd.splice(0)) await end()
})

const standing = { pid: 1, version: '0', connected: true, since: 1, note: null, backlog: 0 }

describe('while the server is held still', () => {
  test('lines wait, stay in order, and of those beyond a thousand it is said how many there were', async () => {
    const gate = openHoldGate()
    const lines: string[] = []
    const log = openLog(gate, (line) => lines.push(line.split('Z ')[1] ?? ''))
    log('before')
    await expect.poll(() => lines).toEqual(['before'])
    const end = await gate.hold(60)
    for (let line = 1; line <= 1005; line += 1) log(`line ${line}`)
    await new Promise((resolve) => setImmediate(resolve))
    expect(lines).toEqual(['before'])
    end()
    await expect.poll(() => lines.length).toBe(1002)
    expect(lines.slice(1, 3)).toEqual(['line 1', 'line 2'])
    expect(lines.slice(-2)).toEqual(['line 1000', '5 more lines were dropped meanwhile'])
  })

  test('nothing of what is kept changes, and the newest of it is there afterwards', async () => {
    const path = await mkdtemp(join(tmpdir(), 'understudy-agent-test-'))
    atEnd.push(() => rm(path, { recursive: true, force: true }))
    const gate = openHoldGate()
    const folder = await openStateFolder(path, gate)
    const mailbox = await openMailbox(folder)
    await folder.saveStanding(standing)
    const end = await gate.hold(60)
    const written = [2, 3, 4].flatMap((since) => [
      folder.saveStanding({ ...standing, since }),
      mailbox.take(since, { id: `order-${since}`, kind: 'report-facts' }),
    ])
    // Longer than writing them takes.
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect((await folder.standing())?.since).toBe(1)
    expect((await folder.progress()).received).toBe(0)
    end()
    await Promise.all(written)
    expect((await folder.standing())?.since).toBe(4)
    expect((await folder.progress()).orders).toHaveLength(3)
  })
})
