// The product with its lab of real machines, driven as an operator would and judged by the bytes. One lab for all of it: to make
// one takes as long as most of what is tried on it. What comes later stands on what was left in order before.
import { afterAll, beforeAll, describe, vi } from 'vitest'
import { badInputTests } from './lab-tests/bad-input.ts'
import { deadSiteTests } from './lab-tests/dead-site.ts'
import { firstFailoverTests } from './lab-tests/first-failover.ts'
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

describe('the first failover', () => firstFailoverTests(lab))
describe('bad input', () => badInputTests(lab))
describe('a dead source site', () => deadSiteTests(lab))
