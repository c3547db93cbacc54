// The same lab, where processes are killed in the middle of what they do: server, PostgreSQL and QEMU.
import { afterAll, beforeAll, describe, vi } from 'vitest'
import { crashTests } from './lab-tests/crash.ts'
import { guestCrashTests } from './lab-tests/crash-guests.ts'
import { failoverCrashTests } from './lab-tests/failover-crash.ts'
import { type ProtectedLab, protectInLab } from './lab-tests/protected-lab.ts'

// Seconds on an idle computer; guests are emulated, so a busy one takes several times as long.
vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 })

let opened: ProtectedLab | undefined
const lab = (): ProtectedLab => {
  if (opened === undefined) throw new Error('There is no lab')
  return opened
}

beforeAll(async () => {
  opened = await protectInLab()
})
afterAll(() => opened?.close())

describe('kill -9 of server and PostgreSQL', () => crashTests(lab))
describe('kill -9 of what guests depend on', () => guestCrashTests(lab))
describe('kill -9 in the middle of a failover', () => failoverCrashTests(lab))
