import { memoryLive } from '@understudy/simulator/memory-live'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { expect, test } from 'vitest'
import { raiseAlert } from './report.ts'

test('an alert is an event when it is new and when it becomes graver, not whenever it is raised', async () => {
  const stores = memoryStores()
  let ids = 0
  const newId = () => `id-${++ids}`
  const parts = { stores, live: memoryLive(), clock: { now: () => ids }, newId }
  const raise = (severity: 'warning' | 'critical') =>
    raiseAlert(parts, {
      severity,
      code: 'failover/hydration',
      message: `It is ${severity}`,
      remedy: 'Look.',
      subject: { id: 'p', name: 'web' },
    })
  for (const severity of ['warning', 'warning', 'critical', 'critical', 'warning'] as const)
    await raise(severity)
  const { rows } = await stores.events.list({}, { limit: 10, cursor: null })
  expect(rows.map(({ message }) => message)).toEqual(['It is critical', 'It is warning'])
})
