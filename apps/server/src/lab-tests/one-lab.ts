// One lab for all of a file: to make one takes as long as most of what is tried on it.
import { afterAll, beforeAll, vi } from 'vitest'
import { type ProtectedLab, protectInLab } from './protected-lab.ts'

/** Made before the tests of the file that calls this, taken away after them. */
export function oneLab(): () => ProtectedLab {
  // Seconds on an idle computer; guests are emulated, so a busy one takes several times as long.
  vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 })
  let opened: ProtectedLab | undefined
  beforeAll(async () => {
    opened = await protectInLab()
  })
  afterAll(() => opened?.close())
  return () => {
    if (opened === undefined) throw new Error('There is no lab')
    return opened
  }
}
