// npm run bench:plan [-- --quick | --machines=N --groups=N --rounds=N]. A recovery plan of a hundred simulated machines in five groups, each group
// with a step after it: how much longer a test of it takes than its guests need to boot. Then one of two real guests (plan-guests.ts).
import { KiB } from '@understudy/base/bytes'
import type { PlanDetail, PlanRun } from '@understudy/contract/recovery-plan'
import { type Api, finishPlanRun, listAll } from './api-client.ts'
import { median, newBars, numberOption } from './bars.ts'
import { withProduct } from './bench-product.ts'
import { testRealGuests } from './plan-guests.ts'
import { protectSimulated } from './simulated-machines.ts'

const isQuick = process.argv.includes('--quick')
const machines = numberOption('machines', isQuick ? 20 : 100)
const groups = numberOption('groups', 5)
const rounds = numberOption('rounds', isQuick ? 1 : 3)
const bootSeconds = 2
const limitSeconds = 600
const item = { needs: [], whenItFails: 'stop' } as const

type Identified = { readonly id: string }

const bars = newBars(isQuick ? 'plan-quick' : 'plan')
await withProduct(async (api) => {
  const { id } = await drawPlan(api, await protectAll(api))
  const overheads: number[] = []
  for (let round = 0; round < rounds; round += 1) overheads.push(await runOnce(api, id))
  bars.bar('plan-overhead-per-machine', median(overheads), 'ms', { atMost: 100 })
})
await testRealGuests(bars, rounds)
await bars.finish()

async function protectAll(api: Api): Promise<readonly string[]> {
  await protectSimulated(api, {
    machines,
    // What is measured is the plan: replication rests meanwhile.
    intervalSeconds: 3600,
    guests: { usedBytes: 64 * KiB, churnBytesPerSecond: 1, bootSeconds },
    adapters: [{ adapterKey: 'net0', failoverNetworkId: 'sim-lan', testNetworkId: 'sim-isolated' }],
    limitSeconds,
  })
  return (await listAll<Identified>(api, '/protections')).map(({ id }) => id)
}

async function drawPlan(api: Api, protections: readonly string[]): Promise<PlanDetail> {
  const inGroup = Math.ceil(protections.length / groups)
  return await api<PlanDetail>('POST', '/plans', {
    name: 'bench',
    priority: 5,
    targetRtoSeconds: null,
    parameters: [],
    groups: Array.from({ length: groups }, (_, group) => ({
      id: `g${group}`,
      name: `Group ${group + 1}`,
      start: 'in-order',
      before: [],
      machines: protections
        .slice(group * inGroup, (group + 1) * inGroup)
        .map((protectionId, index) => ({ id: `g${group}-m${index}`, ...item, protectionId })),
      after: [
        {
          id: `g${group}-check`,
          name: 'check',
          ...item,
          kinds: ['test', 'planned', 'unplanned', 'fail-back'],
          directions: ['forward', 'reverse'],
          action: {
            kind: 'script',
            where: { kind: 'server' },
            command: process.execPath,
            arguments: ['-e', ''],
            environment: {},
            timeoutSeconds: 60,
          },
        },
      ],
    })),
  })
}

/** Milliseconds for each machine beyond what guests and programs took themselves. */
async function runOnce(api: Api, planId: string): Promise<number> {
  const { id } = await api<PlanRun>('POST', `/plans/${planId}/runs`, { kind: 'test' })
  const run = await finishPlanRun(api, id, limitSeconds)
  const seconds = secondsOf(run.startedAt, run.endedAt)
  const steps = run.activities
    .filter(({ kind }) => kind === 'script')
    .map(({ startedAt, endedAt }) => secondsOf(startedAt, endedAt))
    .reduce((sum, each) => sum + each, 0)
  bars.note('plan-seconds', seconds, 's')
  bars.note('plan-step-seconds', steps, 's')
  const cleanUp = await api<PlanRun>('POST', `/plan-runs/${id}/follow-up`, { kind: 'clean-up' })
  await finishPlanRun(api, cleanUp.id, limitSeconds)
  return ((seconds - groups * bootSeconds - steps) * 1000) / machines
}

function secondsOf(from: string | null, to: string | null): number {
  return (Date.parse(to ?? '') - Date.parse(from ?? '')) / 1000
}
