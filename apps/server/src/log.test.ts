import { Outage } from '@understudy/base/errors'
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
