import { expect, test } from 'vitest'
import { closeDisks } from './open-point.ts'

test('a disk whose read hangs keeps nobody who lets a point go, and the others are closed', async () => {
  let closed = 0
  const hanging = { reader: { close: () => new Promise<void>(() => {}) } }
  const sound = {
    reader: {
      close: async () => {
        closed += 1
      },
    },
  }
  await closeDisks([hanging, sound], 0.05)
  expect(closed).toBe(1)
})

test('what is closed in time is not waited for any longer, and its failure is told', async () => {
  const failing = { reader: { close: () => Promise.reject(new Error('bad')) } }
  await expect(closeDisks([failing], 3600)).rejects.toThrow('bad')
  await closeDisks([], 3600)
})
