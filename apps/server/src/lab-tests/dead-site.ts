// The source site is gone: a failover needs nothing from it, asks what cannot be proven, and can be undone.

import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { present } from '@understudy/base/invariant'
import type { Job } from '@understudy/contract/job'
import { whileStandingStill } from '@understudy/drivers/kvm/lab/point-differences'
import { beforeAll, expect, test } from 'vitest'
import { addressesOf, type LabProduct, pidOf, waitForGuest } from './lab-product.ts'
import type { ProtectedLab } from './protected-lab.ts'

export function deadSiteTests(lab: () => ProtectedLab): void {
  let product: LabProduct
  let id: string
  beforeAll(() => {
    ;({ product, id } = lab())
  })

  const failOver = async (): Promise<string> => {
    const { jobId } = await product.ask<{ jobId: string }>('POST', `/protections/${id}/failover`, {
      kind: 'unplanned',
    })
    return jobId
  }

  test('with the source site dead, the failover asks, boots a consistent point on one word, and rolls back', async () => {
    const source = await product.machineAt('a', 'lab-db')
    await waitForGuest(addressesOf(source))
    await product.nextPoint(id)
    // Cut off: nothing of the site can be reached by its paths, while its machines run on.
    const [site, away] = [join(product.lab, 'site-a'), join(product.lab, 'site-a.away')]
    await rename(site, away)
    try {
      const jobId = await failOver()
      const asking = await product.waitForJob(jobId, ['waiting', 'succeeded', 'failed'])
      expect(asking.state).toBe('waiting')
      const question = present(asking.question, 'the job asks')
      expect(question.text).toMatch(/could not be proven off/)
      expect(question.answers.map(({ value, danger }) => [value, danger])).toEqual([
        ['again', false],
        ['go-on', true],
        ['stop', false],
      ])
      // Nothing boots before somebody has answered.
      expect(await product.machinesAt('b')).toEqual([])

      await product.ask<Job>('POST', `/jobs/${jobId}/answer`, { questionId: question.id, value: 'go-on' })
      const job = await product.waitForJob(jobId)
      expect(job.failure).toBeNull()
      expect(job.state).toBe('succeeded')
      const run = present((await product.protection(id)).failover, 'the failover is up')
      const chain = await product.chainOf('b', run.pointId)
      expect(chain).toMatchObject({ ok: true, reason: null })
      const guest = await waitForGuest(run.addresses)
      expect(guest.chain).toMatchObject({ state: 'ok', bootCheck: `chain ok up to ${chain.newestRecord}` })
      expect(guest.database?.integrity).toBe('ok')
      const accepted = (await product.events(id)).find(({ code }) => code === 'failover/unfenced-accepted')
      expect(accepted).toMatchObject({ severity: 'critical', facts: { answeredBeforehand: false } })
    } finally {
      await rename(away, site)
    }

    // The site is back and its machine never stopped: undone, replication goes on from there.
    await product.finish('POST', `/protections/${id}/roll-back`)
    expect(await product.machinesAt('b')).toEqual([])
    expect(await pidOf(source)).not.toBeNull()
    await product.ask('POST', `/protections/${id}/replicate-now`)
    await product.nextPoint(id)
    await whileStandingStill(source, async () => {
      const point = await product.nextPoint(id)
      expect(await product.differencesTo(source, 'b', point.id)).toEqual([])
    })
  })

  test('an unplanned failover that nobody vouches for is stopped, and everything is as before', async () => {
    const source = await product.machineAt('a', 'lab-db')
    const [site, away] = [join(product.lab, 'site-a'), join(product.lab, 'site-a.away')]
    await rename(site, away)
    try {
      const jobId = await failOver()
      const question = present((await product.waitForJob(jobId, ['waiting'])).question, 'the job asks')
      await product.ask<Job>('POST', `/jobs/${jobId}/answer`, { questionId: question.id, value: 'stop' })
      const job = await product.waitForJob(jobId)
      expect(job.failure).toMatchObject({ code: 'failover/not-fenced' })
      expect(job.failure?.remedy).not.toBe('')
    } finally {
      await rename(away, site)
    }
    expect(await product.machinesAt('b')).toEqual([])
    expect(await pidOf(source)).not.toBeNull()
    expect((await product.points(id)).filter(({ held }) => held)).toEqual([])
    // It would go on by itself, within minutes; whoever has brought the site back does not wait.
    await product.ask('POST', `/protections/${id}/replicate-now`)
    await product.nextPoint(id)
  })

  test('a source that can be reached is switched off before its replica boots, and no question is asked', async () => {
    const source = await product.machineAt('a', 'lab-db')
    await product.nextPoint(id)
    const job = await product.waitForJob(await failOver())
    expect(job.failure).toBeNull()
    expect(job.state).toBe('succeeded')
    expect(await pidOf(source)).toBeNull()
    const run = present((await product.protection(id)).failover, 'the failover is up')
    const chain = await product.chainOf('b', run.pointId)
    const guest = await waitForGuest(run.addresses)
    expect(guest.chain).toMatchObject({ state: 'ok', bootCheck: `chain ok up to ${chain.newestRecord}` })
  })
}
