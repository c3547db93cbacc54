import { Outage } from '@understudy/base/errors'
import type { JobId } from '@understudy/domain/jobs/job'
import { describe, expect, test, vi } from 'vitest'
import { type Ask, by, type Lab, latest, minute, newLab, newProtectedLab } from '../engine-lab.ts'

describe('a request whose answer was lost', () => {
  const away = new Outage({ code: 'store/unreachable', message: 'Away', remedy: 'Wait.' })

  test.each([
    ['a failover', (lab: Lab, ask: Ask, jobId: JobId) => lab.engine.plannedFailover({ ...ask, jobId })],
    [
      'an end',
      (lab: Lab, ask: Ask, jobId: JobId) => lab.engine.endProtection({ ...ask, jobId, deleteReplica: true }),
    ],
  ])('begins %s when it is repeated: it is not refused because of itself', async (_, request) => {
    const { lab, ask } = await newProtectedLab()
    const jobId = 'repeated' as JobId
    vi.spyOn(lab.durable, 'start').mockRejectedValueOnce(away)
    await expect(request(lab, ask, jobId)).rejects.toBe(away)
    await lab.done(request(lab, ask, jobId))
    await request(lab, ask, jobId)
    expect((await lab.job(jobId)).state).toBe('succeeded')
  })

  test('protects a machine when it is repeated', async () => {
    const lab = await newLab()
    const request = {
      by,
      jobId: 'repeated' as JobId,
      machineId: lab.row.id,
      targetSiteId: lab.siteB.id,
      policyId: lab.policy.id,
      adapters: [],
      excludedDisks: [],
    }
    vi.spyOn(lab.durable, 'start').mockRejectedValueOnce(away)
    await expect(lab.engine.protect(request)).rejects.toBe(away)
    const { protectionId } = await lab.engine.protect(request)
    await lab.clock.advance(minute)
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  test('begins nothing that was given up meanwhile', async () => {
    const { lab, ask } = await newProtectedLab()
    const request = { ...ask, jobId: 'repeated' as JobId }
    vi.spyOn(lab.durable, 'start').mockRejectedValueOnce(away)
    await expect(lab.engine.plannedFailover(request)).rejects.toBe(away)
    await lab.clock.advance(3 * minute)
    await lab.engine.plannedFailover(request)
    await lab.clock.advance(minute)
    expect(await lab.job(request.jobId)).toMatchObject({ state: 'failed', failure: { code: 'job/lost' } })
    expect(lab.machine.power).toBe('running')
  })
})

test('a job that succeeds while lost ones are looked for stays as it is', async () => {
  const { lab, ask } = await newProtectedLab()
  lab.b.faults.hang('target.boot')
  const { jobId } = await lab.engine.plannedFailover(ask)
  await lab.clock.advance(3 * minute)
  // The watcher has it in its list; it comes to its end before the watcher asks about it.
  const asked = vi.spyOn(lab.durable, 'isRunning').mockImplementation(async (id) => {
    if (id === jobId) await lab.stores.jobs.update(jobId, { state: 'succeeded' })
    return id !== jobId
  })
  await lab.clock.advance(2 * minute)
  expect(asked).toHaveBeenCalledWith(jobId)
  expect(await lab.job(jobId)).toMatchObject({ state: 'succeeded', failure: null })
})

test('the second of two answers is refused, and the first one counts', async () => {
  const { lab, ask } = await newProtectedLab()
  lab.a.cutOff()
  const waiting = await lab.settle(
    lab.engine.unplannedFailover({ ...ask, choice: latest, acceptUnfenced: false }),
  )
  const answer = (value: string) =>
    lab.engine.answerJob(waiting.id, { by, questionId: waiting.question?.id ?? '', value })
  await answer('go-on')
  await expect(answer('stop')).rejects.toMatchObject({ code: 'job/no-question' })
  expect((await lab.settle(Promise.resolve({ jobId: waiting.id }))).state).toBe('succeeded')
})
