// Kill the process before and after everything that it writes down from a test that becomes due to the report of it: the test is begun once, cleaned
// up, settled and reported once, or is told to have been missed.

import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { activePlanRunStates } from '@understudy/domain/recovery-plans/plan-run'
import { durableLog } from '@understudy/simulator/memory-durable'
import { describe, expect, test } from 'vitest'
import { type CrashLab, protectedCrashLab } from '../crash-lab.ts'
import { minute } from '../engine-lab.ts'
import type { Stores } from '../ports/stores.ts'
import { group, machine, script, step } from '../recovery-plans/plan-lab.ts'
import { scheduledPlan } from './test-lab.ts'

const all = { limit: 50, cursor: null }

type Death = { readonly write: number; readonly moment: 'before' | 'after' }

/** What of the stores writes down how a test goes. */
const writes: Readonly<Record<string, readonly string[]>> = {
  tests: ['claim', 'move'],
  planRuns: ['create', 'move'],
  evidence: ['save'],
  alerts: ['raise'],
  events: ['append'],
}

/** These stores, until the n-th write: then nobody hears of anything any more. */
function dyingStores(stores: Stores, death: Death | null, onDeath: () => void) {
  const seen: string[] = []
  const never = (): Promise<never> => new Promise(() => {})
  const wrapped = Object.fromEntries(
    Object.entries(stores).map(([name, store]) => [
      name,
      new Proxy(store, {
        get(target, method) {
          const work: unknown = Reflect.get(target, method)
          if (typeof work !== 'function' || !writes[name]?.includes(String(method))) return work
          return async (...given: unknown[]) => {
            seen.push(`${name}.${String(method)}`)
            const isLast = death?.write === seen.length
            if (isLast && death.moment === 'before') onDeath()
            if (isLast && death.moment === 'before') return await never()
            const result: unknown = await Reflect.apply(work, target, given)
            if (isLast) onDeath()
            return isLast ? await never() : result
          }
        },
      }),
    ]),
  ) as Stores
  return { wrapped, seen }
}

type Wanted = { readonly fails: boolean; readonly awayMinutes: number }

async function runDue(death: Death | null, { fails, awayMinutes }: Wanted) {
  const lab = await protectedCrashLab([2 ** 14])
  const smoke = step('smoke', script('smoke'))
  const groups = [group('all', { machines: [machine('m', lab.protectionId)], after: [smoke] })]
  const planId = await scheduledPlan(lab.process, lab.protectionId, { groups })
  if (fails) lab.steps.failNext('smoke')
  await lab.process.engine.stop()
  let kill = (): void => {}
  const { wrapped, seen } = dyingStores(lab.stores, death, () => kill())
  const first = await lab.begin({}, { stores: wrapped })
  kill = () => first.outside.kill()
  await settle(lab, planId, () => first.outside.dead)
  const died = first.outside.dead
  if (!died) await first.engine.stop()
  await lab.clock.advance(awayMinutes * minute)
  lab.process = await lab.begin({})
  await settle(lab, planId, () => false)
  await lab.process.engine.stop()
  return { lab, planId, seen, died }
}

async function settle(lab: CrashLab, planId: PlanId, isDead: () => boolean): Promise<void> {
  for (let turn = 0; turn < 60; turn += 1) {
    if (isDead()) return
    const { rows } = await lab.stores.tests.history(planId, all)
    const isOpen = (await lab.stores.tests.open()).length > 0
    if (rows.length > 0 && !isOpen && (await lab.stores.evidence.due(1)).length === 0) return
    await lab.clock.advance(30_000)
  }
  throw new Error('the test is not settled')
}

async function expectWhole({ lab, planId }: Awaited<ReturnType<typeof runDue>>, { fails }: Wanted) {
  const { stores } = lab
  const { rows } = await stores.tests.history(planId, all)
  expect(rows).toHaveLength(1)
  const runs = (await stores.planRuns.list({ planId }, all)).rows
  expect(runs.filter(({ state }) => activePlanRunStates.includes(state))).toEqual([])
  expect(lab.b.machines()).toEqual([])
  const alerts = (await stores.alerts.list({ open: true }, all)).rows.map(({ code }) => code)
  if (rows[0]?.state === 'missed') {
    expect(runs).toEqual([])
    expect(alerts).toContain('recovery-plan/test-missed')
    return 'missed'
  }
  expect(rows).toMatchObject([{ state: 'done', passed: !fails }])
  expect(runs.map(({ kind }) => kind).toSorted()).toEqual(['clean-up', 'test'])
  expect(lab.steps.effects).toHaveLength(1)
  if (fails) expect(alerts).toContain('recovery-plan/test-failed')
  else expect(alerts).not.toContain('recovery-plan/test-failed')
  const tested = runs.find(({ kind }) => kind === 'test')
  const editions = tested ? await stores.evidence.list(tested.id) : []
  expect(editions.map(({ edition }) => edition)).toEqual([1])
  return 'done'
}

test('two servers that look at once begin it once, clean it up once and report it once', async () => {
  const lab = await protectedCrashLab([2 ** 14])
  const smoke = step('smoke', script('smoke'))
  const groups = [group('all', { machines: [machine('m', lab.protectionId)], after: [smoke] })]
  const planId = await scheduledPlan(lab.process, lab.protectionId, { groups })
  const other = await lab.begin({}, { moverId: 'other', log: durableLog() })
  await settle(lab, planId, () => false)
  expect(await expectWhole({ lab, planId, seen: [], died: false }, { fails: false, awayMinutes: 0 })).toBe(
    'done',
  )
  await other.engine.stop()
  await lab.process.engine.stop()
})

describe.each([
  { fails: false, awayMinutes: 0 },
  { fails: true, awayMinutes: 0 },
  { fails: false, awayMinutes: 45 },
])('a scheduled test, %j', (wanted) => {
  test('survives a kill around everything that is written down of it', async () => {
    const whole = await runDue(null, wanted)
    expect(await expectWhole(whole, wanted)).toBe('done')
    const count = whole.seen.length
    expect(new Set(whole.seen)).toEqual(
      new Set([
        'tests.claim',
        'tests.move',
        'planRuns.create',
        'planRuns.move',
        'evidence.save',
        'events.append',
        ...(wanted.fails ? ['alerts.raise'] : []),
      ]),
    )
    const ends = new Map<string, number>()
    for (let write = 1; write <= count; write += 1)
      for (const moment of ['before', 'after'] as const) {
        const ran = await runDue({ write, moment }, wanted)
        expect(ran.died).toBe(true)
        const end = await expectWhole(ran, wanted).catch((error: unknown) => {
          throw new Error(`killed ${moment} write ${write}, ${ran.seen.at(-1)}`, { cause: error })
        })
        ends.set(end, (ends.get(end) ?? 0) + 1)
      }
    // Only a process that comes back too late finds nothing to begin any more.
    expect(ends.has('missed')).toBe(wanted.awayMinutes > 0)
  }, 300_000)
})
