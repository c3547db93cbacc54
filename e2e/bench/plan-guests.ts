// Two real guests in two groups: how much longer a test of the plan takes than its parts. The parts are tests of its machines alone, in the same
// rounds; as the second group waits for the first, their sum is the critical path.

import { GiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import type { PlanDetail, PlanRun } from '@understudy/contract/recovery-plan'
import { type Api, finishJob, finishPlanRun } from './api-client.ts'
import { type Bars, median } from './bars.ts'
import { withProduct } from './bench-product.ts'
import { installTools, settleDisks, withFolder } from './bench-site.ts'
import { withCleanUp } from './clean-up.ts'
import { makeGuest, openStageSites, prepareStage } from './failover-stage.ts'

const names = ['db', 'web'] as const
const limitSeconds = 300
const item = { needs: [], whenItFails: 'stop' } as const

export async function testRealGuests(bars: Bars, rounds: number): Promise<void> {
  installTools()
  await withFolder(async (folder) => {
    const image = await makeGuest(folder)
    await withProduct((api) => testIn(folder, { api, image, bars, rounds }))
  })
}

type Testing = {
  readonly api: Api
  readonly image: string
  readonly bars: Bars
  readonly rounds: number
}

async function testIn(folder: string, { api, image, bars, rounds }: Testing): Promise<void> {
  const sites = openStageSites(folder)
  await withCleanUp(sites.close, async () => {
    const variants = names.map((name) => ({ name, bytes: 2 * GiB, points: 50 }))
    const { protections } = await prepareStage(api, sites, { image, variants })
    const ids = names.map((name) => present(protections.get(name), 'both are protected'))
    await measure(api, bars, ids, rounds)
  })
}

async function measure(api: Api, bars: Bars, protections: readonly string[], rounds: number): Promise<void> {
  const plan = await drawPlan(api, protections)
  const shares: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const before = await testAlone(api, protections)
    const whole = await testPlan(api, plan.id)
    const after = await testAlone(api, protections)
    bars.note('plan-guests-parts', (before + after) / 2, 's')
    bars.note('plan-guests', whole, 's')
    shares.push((2 * whole) / (before + after))
  }
  bars.bar('plan-guests-to-critical-path', median(shares), 'x', { atMost: 1.2 })
}

/** Seconds that the machines take one after the other. */
async function testAlone(api: Api, protections: readonly string[]): Promise<number> {
  let seconds = 0
  for (const id of protections) {
    await settleDisks()
    const startedAt = performance.now()
    const test = await api<{ jobId: string }>('POST', `/protections/${id}/test-failover`, {})
    await finishJob(api, test.jobId, limitSeconds)
    seconds += (performance.now() - startedAt) / 1000
    const cleanUp = await api<{ jobId: string }>('POST', `/protections/${id}/clean-up-test`, {})
    await finishJob(api, cleanUp.jobId, limitSeconds)
  }
  return seconds
}

async function testPlan(api: Api, planId: string): Promise<number> {
  await settleDisks()
  const startedAt = performance.now()
  const { id } = await api<PlanRun>('POST', `/plans/${planId}/runs`, { kind: 'test' })
  await finishPlanRun(api, id, limitSeconds)
  const seconds = (performance.now() - startedAt) / 1000
  const cleanUp = await api<PlanRun>('POST', `/plan-runs/${id}/follow-up`, { kind: 'clean-up' })
  await finishPlanRun(api, cleanUp.id, limitSeconds)
  return seconds
}

const drawPlan = (api: Api, protections: readonly string[]): Promise<PlanDetail> =>
  api('POST', '/plans', {
    name: 'Two tiers',
    priority: 5,
    targetRtoSeconds: null,
    parameters: [],
    groups: protections.map((protectionId, index) => ({
      id: `g${index}`,
      name: `Group ${index + 1}`,
      start: 'in-order',
      before: [],
      machines: [{ id: `m${index}`, ...item, protectionId }],
      after: [],
    })),
  })
