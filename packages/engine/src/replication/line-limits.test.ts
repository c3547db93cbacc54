import type { BandwidthLimit } from '@understudy/domain/sites/bandwidth'
import type { SiteId } from '@understudy/domain/sites/site'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { expect, test, vi } from 'vitest'
import { openLineLimits } from './line-limits.ts'

const there = { sourceSiteId: 'a' as SiteId, targetSiteId: 'b' as SiteId }
/** 8 Mbit/s are a million bytes a second. */
const slow: BandwidthLimit = {
  ...there,
  calendar: { timeZone: 'UTC', rules: [], otherwiseMegabitsPerSecond: 8 },
}

async function newLines(limit: BandwidthLimit | null = slow) {
  const clock = virtualClock()
  const stores = memoryStores()
  if (limit) await stores.bandwidth.save(limit)
  const lines = openLineLimits({ stores, clock, sleep: clock.sleep })
  await lines.refresh()
  const take = (bytes: number) => lines.of(there).take(bytes)
  return { clock, stores, lines, take }
}

test('everything that goes over a line shares its limit, and other lines have none', async () => {
  const { clock, lines, take } = await newLines()
  const startedAt = clock.now()
  await clock.until(Promise.all(Array.from({ length: 5 }, () => take(1_000_000))))
  // The last one is not waited for.
  expect((clock.now() - startedAt) / 1000).toBeGreaterThan(3.7)
  expect((clock.now() - startedAt) / 1000).toBeLessThan(4.3)
  const back = lines.of({ sourceSiteId: there.targetSiteId, targetSiteId: there.sourceSiteId })
  expect(back.bytesPerSecond).toBeNull()
})

test('what is copied now feels a limit that is set, changed by the clock or removed', async () => {
  const night = { weekdays: [4 as const], fromMinute: 1, toMinute: 1440, megabitsPerSecond: 80 }
  const { clock, stores, lines, take } = await newLines({
    ...slow,
    calendar: { ...slow.calendar, rules: [night] },
  })
  expect(lines.of(there).bytesPerSecond).toBe(1_000_000)
  await clock.advance(60_000)
  await lines.refresh()
  expect(lines.of(there).bytesPerSecond).toBe(10_000_000)
  await stores.bandwidth.save(slow)
  await lines.refresh()
  const copying = Promise.all([take(3_600_000_000), take(1)])
  await clock.advance(60_000)
  await stores.bandwidth.remove(there.sourceSiteId, there.targetSiteId)
  await lines.refresh()
  await clock.until(copying, 1000)
  expect(lines.of(there).bytesPerSecond).toBeNull()
})

test('what began before anything was limited feels the first limit as well', async () => {
  const { clock, stores, lines, take } = await newLines(null)
  const copying = lines.of(there)
  await copying.take(1_000_000)
  await stores.bandwidth.save(slow)
  await lines.refresh()
  expect(copying.bytesPerSecond).toBe(1_000_000)
  const startedAt = clock.now()
  await clock.until(Promise.all([take(3_000_000), copying.take(1)]))
  expect((clock.now() - startedAt) / 1000).toBeGreaterThan(2.5)
})

test('processes that replicate share a line evenly; one that does nothing, or is gone, takes no part of it', async () => {
  const { clock, stores, lines } = await newLines()
  const soon = clock.now() + 60_000
  const mover = { beatAt: clock.now(), expiresAt: soon, protections: 3 }
  vi.spyOn(stores.leases, 'movers').mockResolvedValue([
    { id: 'one', ...mover },
    { id: 'two', ...mover },
    { id: 'idle', ...mover, protections: 0 },
    { id: 'gone', ...mover, expiresAt: clock.now() - 1 },
  ])
  await lines.refresh()
  expect(lines.of(there).bytesPerSecond).toBe(500_000)
})
