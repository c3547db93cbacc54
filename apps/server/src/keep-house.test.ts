import { memoryAccessStores } from '@understudy/simulator/memory-access-stores'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { samplePlan, samplePlanRun } from '@understudy/simulator/sample-plans'
import { sampleEvent, sampleJob } from '@understudy/simulator/sample-rows'
import { pino } from 'pino'
import { expect, test, vi } from 'vitest'
import { keepHouse } from './keep-house.ts'

const day = 24 * 3_600_000
const now = 1_800_000_000_000
const silent = pino({ level: 'silent' })
const all = { limit: 10, cursor: null }

test('what is too old is dropped, what is young or goes on stays', async () => {
  const stores = { ...memoryStores(), ...memoryAccessStores() }
  const young = sampleEvent({ at: now - 89 * day })
  await stores.events.append(sampleEvent({ at: now - 91 * day }))
  await stores.events.append(young)
  const goesOn = sampleJob({ createdAt: now - 500 * day, endedAt: null })
  await stores.jobs.create(sampleJob({ createdAt: now - 500 * day, endedAt: now - 91 * day }))
  await stores.jobs.create(goesOn)
  await keepHouse(stores, { now: () => now }, silent).stop()
  expect((await stores.events.list({}, all)).rows).toEqual([young])
  expect((await stores.jobs.list({}, all)).rows).toEqual([goesOn])
})

test('tests of long ago go with their pictures', async () => {
  const stores = { ...memoryStores(), ...memoryAccessStores() }
  const trim = vi.spyOn(stores.runs, 'trim')
  await keepHouse(stores, { now: () => now }, silent).stop()
  expect(trim).toHaveBeenCalledWith(now - 90 * day)
})

test('runs of recovery plans stay for as long as an auditor asks, and then go', async () => {
  const stores = { ...memoryStores(), ...memoryAccessStores() }
  const ended = (days: number) => ({ state: 'succeeded' as const, endedAt: now - days * day })
  const plan = samplePlan([])
  const [old, young] = [samplePlanRun(plan, ended(801)), samplePlanRun(plan, ended(799))]
  for (const run of [old, young]) await stores.planRuns.create(run, [], {})
  await keepHouse(stores, { now: () => now }, silent).stop()
  expect((await stores.planRuns.list({}, all)).rows).toEqual([young])
})

test('one table that cannot be cleaned keeps no other from being cleaned', async () => {
  const stores = { ...memoryStores(), ...memoryAccessStores() }
  await stores.events.append(sampleEvent({ at: now - 91 * day }))
  const away = async (): Promise<number> => {
    throw new Error('the database is away')
  }
  await keepHouse(
    { ...stores, sessions: { ...stores.sessions, trim: away } },
    { now: () => now },
    silent,
  ).stop()
  expect((await stores.events.list({}, all)).rows).toEqual([])
})
