import { InvariantError, Outage, Refusal } from '@understudy/base/errors'
import { expect, test } from 'vitest'
import { createLog, engineLog } from './log.ts'

test('a failure is logged with its message, its code and what caused it', () => {
  const lines: string[] = []
  const log = createLog({ logLevel: 'info', logFormat: 'json' }, { write: (line) => lines.push(line) })
  const cause = new Error('ENOSPC: no space left on device')
  const error = new Outage({ code: 'store/full', message: 'The disk is full', remedy: 'Make room.', cause })
  engineLog(log)('error', 'a cycle could not be recorded', { protection: 'p1', error })
  const [line = ''] = lines
  expect(JSON.parse(line)).toMatchObject({ protection: 'p1', error: { code: 'store/full' } })
  expect(line).toContain('The disk is full')
  expect(line).toContain('ENOSPC')
})

test('only what we did not expect is logged with its stack', () => {
  const lines: string[] = []
  const log = createLog({ logLevel: 'info', logFormat: 'json' }, { write: (line) => lines.push(line) })
  const what = { code: 'machine/untrackable', message: 'It cannot be tracked', remedy: 'Change its disk.' }
  log.warn({ error: new Refusal(what) }, 'refused')
  log.warn({ error: new Outage(what) }, 'away')
  log.error({ error: new InvariantError('we were wrong') }, 'a fault')
  log.error({ error: 'just a text' }, 'thrown by others')
  const [refused, away, fault, text] = lines.map((line) => JSON.parse(line).error)
  expect(refused).toMatchObject({ type: 'Refusal', code: what.code, remedy: what.remedy })
  expect([refused.stack, away.stack]).toEqual([undefined, undefined])
  expect(fault.stack).toContain('log.test.ts')
  expect(text).toBe('just a text')
})
