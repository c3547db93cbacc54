// What every implementation of the store of site failovers must do. Apply it to memory and to the database alike.
import { randomUUID } from 'node:crypto'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import type { PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import type { SiteFailover, SiteFailoverId } from '@understudy/domain/recovery-plans/site-failover'
import type { SiteId } from '@understudy/domain/sites/site'
import type { Stores } from '@understudy/engine/ports/stores'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

type Kept = Pick<Stores, 'siteFailovers'>
export type SiteFailoverStoreHarness = {
  readonly stores: Kept
  /** The same data through another process, where there is such a thing. */
  readonly again?: () => Promise<Kept>
  close(): Promise<void>
}

const noon = Date.parse('2026-01-01T12:00:00Z')
const all = { limit: 100, cursor: null }

const sampleSiteFailover = (more: Partial<SiteFailover> = {}): SiteFailover => ({
  id: randomUUID() as SiteFailoverId,
  siteId: 'site-1' as SiteId,
  siteName: 'Harbour',
  state: 'running',
  revision: 1,
  plans: [
    {
      planId: 'plan-1' as PlanId,
      planName: 'Web shop',
      priority: 7,
      planRunId: randomUUID() as PlanRunId,
      state: 'waiting',
      why: null,
      atStart: null,
    },
    {
      planId: 'plan-2' as PlanId,
      planName: 'Mail',
      priority: 5,
      planRunId: randomUUID() as PlanRunId,
      state: 'refused',
      why: { message: 'No point', remedy: 'Wait' },
      atStart: { elsewhere: ['protection-1' as ProtectionId], siteHealthy: true },
    },
  ],
  point: { kind: 'at', instant: noon },
  acceptUnfenced: true,
  atOnce: 3,
  startedBy: 'olga',
  starterId: 'u-1',
  startedAt: noon,
  endedAt: null,
  stoppedBy: null,
  ...more,
})

export function siteFailoverStoreContract(name: string, make: () => Promise<SiteFailoverStoreHarness>): void {
  describe(`store of site failovers: ${name}`, () => {
    let harness: SiteFailoverStoreHarness
    beforeEach(async () => {
      harness = await make()
    })
    afterEach(() => harness.close())
    const here = () => harness.stores.siteFailovers
    const there = async () => (harness.again ? (await harness.again()).siteFailovers : here())

    test('one comes back as it was created, and creating it again changes nothing', async () => {
      const one = sampleSiteFailover()
      await here().create(one)
      await here().create({ ...one, atOnce: 9 })
      expect(await here().find(one.id)).toEqual(one)
      expect(await here().active()).toEqual([one])
      expect(await here().find('none' as SiteFailoverId)).toBeNull()
    })

    test('what was filled in for its plans comes back, sealed from its row, until it is done', async () => {
      const one = sampleSiteFailover()
      const given = { 'plan-1': { key: 'hunter2', count: 3 } }
      await here().create(one, given)
      await here().create(one, { 'plan-1': { key: 'other' } })
      expect(await (await there()).given(one.id)).toEqual(given)
      const read = [await here().find(one.id), await here().active(), await here().list(all)]
      expect(JSON.stringify(read)).not.toContain('hunter2')
      expect(await here().find(one.id)).toEqual(one)
      await here().save({ ...one, revision: 2 })
      expect(await here().given(one.id)).toEqual(given)
      await here().save({ ...one, revision: 3, state: 'done', endedAt: noon })
      expect(await here().given(one.id)).toEqual({})
      expect(await here().given('none' as SiteFailoverId)).toEqual({})
    })

    test('a second one that runs for a site is refused, also at the same moment; another site is free', async () => {
      const other = await there()
      const ends = await Promise.allSettled([
        here().create(sampleSiteFailover()),
        other.create(sampleSiteFailover()),
      ])
      expect(ends.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
      const refusal = ends.find((end) => end.status === 'rejected')
      expect(refusal?.reason).toMatchObject({ name: 'Refusal', code: 'site-failover/running' })
      await here().create(sampleSiteFailover({ siteId: 'site-2' as SiteId }))
      await here().create(sampleSiteFailover({ state: 'done', endedAt: noon }))
      expect(await here().active()).toHaveLength(2)
    })

    test('of two that change the same one only the first does, and one that is done stays as it is', async () => {
      const one = sampleSiteFailover()
      await here().create(one)
      const other = await there()
      const next = { ...one, revision: 2 }
      const saved = await Promise.all([
        here().save({ ...next, atOnce: 1 }),
        other.save({ ...next, atOnce: 2 }),
      ])
      expect(saved.toSorted()).toEqual([false, true])
      const done = { ...one, revision: 3, state: 'done', endedAt: noon + 1 } as const
      expect(await here().save(done)).toBe(true)
      expect(await here().save({ ...done, revision: 4 })).toBe(false)
      expect(await here().find(one.id)).toEqual(done)
      expect(await here().active()).toEqual([])
      expect(await here().save(sampleSiteFailover({ revision: 2 }))).toBe(false)
    })

    test('they are listed from new to old, page by page, and trimmed once they have ended', async () => {
      const made = [0, 1, 2].map((minute) => {
        const at = noon + minute * 60_000
        return sampleSiteFailover({ state: 'done', startedAt: at, endedAt: at })
      })
      for (const each of made) await here().create(each)
      const first = await here().list({ limit: 2, cursor: null })
      const rest = await here().list({ limit: 2, cursor: first.next })
      expect([...first.rows, ...rest.rows].map(({ id }) => id)).toEqual(made.map(({ id }) => id).toReversed())
      expect(await here().trim(noon + 60_000)).toBe(1)
      expect((await here().list(all)).rows).toHaveLength(2)
    })
  })
}
