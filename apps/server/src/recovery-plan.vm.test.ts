// The same lab, both of its machines in one recovery plan.
import { afterAll, beforeAll, describe, vi } from 'vitest'
import { type ProtectedLab, protectInLab } from './lab-tests/protected-lab.ts'
import { recoveryPlanTests } from './lab-tests/recovery-plan.ts'

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

describe('a recovery plan', () => recoveryPlanTests(lab))
