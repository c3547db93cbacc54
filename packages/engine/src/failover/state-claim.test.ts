import type { Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { MachineId, MachineRef } from '@understudy/domain/machines/machine'
import type { PolicyId } from '@understudy/domain/protection/policy'
import type { ProtectionId, ProtectionState } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { sampleProtection } from '@understudy/simulator/sample-rows'
import { expect, test, vi } from 'vitest'
import type { EngineContext } from '../engine-context.ts'
import type { JobScope } from '../jobs/job-scope.ts'
import { pause } from '../protection/steer.ts'
import { claimedBy, claimForFailover, giveBackState } from './state-claim.ts'

/** As much of a context as a claim needs. */
async function newContext(state: ProtectionState) {
  const stores = memoryStores()
  const parents = {
    machineId: 'machine' as MachineId,
    sourceRef: 'ref' as MachineRef,
    sourceSiteId: 'A' as SiteId,
    targetSiteId: 'B' as SiteId,
    policyId: 'gold' as PolicyId,
  }
  const protection = sampleProtection(parents, { state })
  await stores.protections.create(protection)
  const mover = { quiesce: async () => true, look: () => {} }
  const context = { parts: { stores, live: memoryLive() }, mover } as unknown as EngineContext
  return { context, stores, protectionId: protection.id }
}

/** A job whose tasks simply run. */
function newJob(id: string): JobScope {
  const task: JobScope['task'] = (_, work) =>
    work({
      signal: new AbortController().signal,
      note: () => {},
      warn: () => {},
      heldUpBy: async () => {},
      progress: () => {},
      at: () => {},
    })
  return { id: id as JobId, task } as unknown as JobScope
}

test('a claim forgets what an earlier failover knew; repeated, it keeps what it has noted since', async () => {
  const { context, stores, protectionId } = await newContext('protected')
  const former = 'former-run' as RunId
  await stores.protections.updateNotes(protectionId, { sourceStoppedByRun: former })
  const claimIt = () =>
    claimForFailover(context, newJob('job-1'), 'Claim', {
      protectionId,
      from: ['protected'],
      note: 'At work',
    })
  const claim = await claimIt()
  expect((await stores.protections.notes(protectionId)).sourceStoppedByRun).toBeNull()
  await stores.protections.updateNotes(protectionId, { sourceStoppedByRun: 'run-1' as RunId })
  expect(await claimIt()).toEqual(claim)
  expect((await stores.protections.notes(protectionId)).sourceStoppedByRun).toBe('run-1')
  await giveBackState(context, {
    protectionId,
    to: 'failingOver',
    claim,
    stillOurs: claimedBy(context, protectionId, 'job-1' as JobId),
  })
  expect(await stores.protections.find(protectionId)).toMatchObject({ state: 'protected', stateNote: null })
})

const claimBy = (context: EngineContext, protectionId: ProtectionId, job: string) =>
  claimForFailover(context, newJob(job), 'Claim', { protectionId, from: ['protected'], note: 'At work' })

test.each(['before', 'after'])(
  'a process that stands still right %s it gives a claim back takes nothing from the next job',
  async (moment) => {
    const { context, stores, protectionId } = await newContext('protected')
    const claim = await claimBy(context, protectionId, 'job-1')
    const stillOurs = claimedBy(context, protectionId, 'job-1' as JobId)
    const giveBack = () => giveBackState(context, { protectionId, to: 'failingOver', claim, stillOurs })
    const { releaseState } = stores.protections
    vi.spyOn(stores.protections, 'releaseState').mockImplementationOnce(async (...release) => {
      const early = moment === 'after' && (await releaseState(...release))
      await giveBack()
      await claimBy(context, protectionId, 'job-2')
      return early || (await releaseState(...release))
    })
    const end = await giveBack().then(
      () => 'given back',
      ({ code }: Refusal) => code,
    )
    expect(end).toBe(moment === 'after' ? 'given back' : 'protection/claim-lost')
    expect((await stores.protections.find(protectionId))?.state).toBe('failingOver')
    expect((await stores.protections.notes(protectionId)).claim?.jobId).toBe('job-2')
  },
)

test('of two jobs that claim a protection one is refused', async () => {
  const { context, protectionId } = await newContext('protected')
  const claims = ['job-1', 'job-2'].map((jobId) =>
    claimForFailover(context, newJob(jobId), 'Claim', {
      protectionId,
      from: ['protected'],
      note: 'At work',
    }),
  )
  const ends = await Promise.allSettled(claims)
  expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
})

test.each<ProtectionState>(['failingOver', 'rollingBack', 'committing', 'broken', 'ending'])(
  'a pause does not take a protection that is %s out of the hands of whoever works on it',
  async (state) => {
    const { context, stores, protectionId } = await newContext(state)
    await expect(pause(context, { by: 'olga', protectionId })).rejects.toMatchObject({
      code: 'protection/state-changed',
    })
    expect((await stores.protections.find(protectionId))?.state).toBe(state)
  },
)
