import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { sampleRun } from '@understudy/simulator/sample-rows'
import { expect, test } from 'vitest'
import { placingOf, whereaboutsOf } from './boot-run.ts'

const stores = memoryStores()
const parents = { protectionId: 'p' as ProtectionId, targetSiteId: 'b' as SiteId }

test('a run without a place has no machine, or one that is older than the places', () => {
  expect(whereaboutsOf(sampleRun(parents))).toEqual({ kind: 'nowhere' })
  expect(whereaboutsOf(sampleRun(parents, { place: 'one' }))).toEqual({ kind: 'at', place: 'one' })
  const machineRef = sampleRun(parents).id as unknown as ReturnType<typeof sampleRun>['machineRef']
  expect(whereaboutsOf(sampleRun(parents, { machineRef }))).toEqual({ kind: 'anywhere' })
})

test('an attempt that stood still does not lead away from the place of a later one', async () => {
  const run = sampleRun(parents)
  await stores.runs.create(run)
  const slow = placingOf({ stores }, run)
  await placingOf({ stores }, run).keep('one')
  await expect(slow.keep('two')).rejects.toMatchObject({ code: 'failover/placed-meanwhile' })
  expect((await stores.runs.find(run.id))?.place).toBe('one')
})

test('nothing is begun for a run that is over', async () => {
  const run = sampleRun(parents)
  await stores.runs.create(run)
  await stores.runs.update(run.id, { over: true })
  await expect(placingOf({ stores }, run).keep('one')).rejects.toMatchObject({
    code: 'failover/placed-meanwhile',
  })
})
