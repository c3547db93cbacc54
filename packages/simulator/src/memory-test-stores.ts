// Scheduled tests and evidence without a database: the model that the PostgreSQL stores are judged by.
import { Refusal } from '@understudy/base/errors'
import type { Instant } from '@understudy/base/instant'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { activePlanRunStates, type PlanRun, type PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import {
  openTestStates,
  type ScheduledTest,
  scheduledTestLife,
  type TestSettings,
} from '@understudy/domain/recovery-plans/test-schedule'
import type { Evidence, EvidenceStore, TestStore } from '@understudy/engine/ports/test-stores'
import { copies, copy, pageOf } from './memory-rows.ts'

/** Every operation is atomic: nothing awaits between reading and writing. `plans`: those that there are. */
export function memoryTestStore(plans: ReadonlyMap<PlanId, object>): TestStore {
  const settings = new Map<PlanId, TestSettings>()
  const tests = new Map<string, ScheduledTest>()
  const keyOf = (planId: PlanId, dueAt: Instant): string => `${planId} ${dueAt}`
  /** They go with their plan. */
  const kept = (planId: PlanId): TestSettings | null =>
    plans.has(planId) ? (settings.get(planId) ?? null) : null
  return {
    list: async () => copies([...settings.values()].filter(({ planId }) => plans.has(planId))),
    find: async (planId) => copy(kept(planId)),
    async save(next) {
      if (!plans.has(next.planId)) throw planIsGone(next.planId)
      if ((kept(next.planId)?.revision ?? 0) !== next.revision - 1) return false
      settings.set(next.planId, copy(next))
      return true
    },
    async noteWaiting(planId, dueAt, waitsFor) {
      const known = kept(planId)
      if (known?.nextAt === dueAt) settings.set(planId, { ...known, waitsFor })
    },
    async claim(test, next, most) {
      const known = kept(test.planId)
      if (!known || known.revision !== next.revision || known.nextAt !== test.dueAt) return 'taken'
      const open = [...tests.values()].filter(({ state }) => openTestStates.includes(state))
      if (most !== null && open.length >= most) return 'full'
      settings.set(test.planId, { ...known, nextAt: next.nextAt, waitsFor: null })
      const key = keyOf(test.planId, test.dueAt)
      if (tests.has(key)) return 'taken'
      tests.set(key, copy(test))
      return 'claimed'
    },
    open: async () =>
      copies([...tests.values()].filter(({ state }) => openTestStates.includes(state))).sort(
        (a, b) => a.dueAt - b.dueAt,
      ),
    async move(planId, dueAt, from, to, change = {}) {
      scheduledTestLife.move(from, to)
      const found = tests.get(keyOf(planId, dueAt))
      if (found?.state !== from) return false
      tests.set(keyOf(planId, dueAt), copy({ ...found, ...change, state: to }))
      return true
    },
    history: async (planId, page) =>
      pageOf(
        [...tests.values()]
          .filter((test) => test.planId === planId)
          .map((row) => ({ at: row.dueAt, order: 0, row })),
        page,
      ),
    async trim(before) {
      const old = [...tests].filter(
        ([, { dueAt, state }]) => dueAt < before && !openTestStates.includes(state),
      )
      for (const [key] of old) tests.delete(key)
      return old.length
    },
  }
}

type RunRows = ReadonlyMap<PlanRunId, { readonly row: PlanRun }>

export function memoryEvidenceStore(runs: RunRows, tests: Pick<TestStore, 'open'>): EvidenceStore {
  const rows = new Map<PlanRunId, readonly { readonly evidence: Evidence; readonly bundle: Buffer }[]>()
  const of = (id: PlanRunId) => (runs.has(id) ? (rows.get(id) ?? []) : [])
  const isActive = ({ state }: PlanRun): boolean => activePlanRunStates.includes(state)
  return {
    async due(limit) {
      const open = new Set((await tests.open()).map(({ planRunId }) => planRunId))
      const all = [...runs.values()].map(({ row }) => row)
      return all
        .filter((run) => run.followsUp === null && !isActive(run) && !open.has(run.id))
        .flatMap((run) => {
          const followers = all.filter(({ followsUp }) => followsUp === run.id)
          const basis = [run, ...followers]
            .map(({ id, state, changes }) => `${id} ${state} ${changes}`)
            .join()
          const newest = of(run.id).at(-1)?.evidence
          if (followers.some(isActive) || newest?.basis === basis) return []
          return [{ planRunId: run.id, edition: (newest?.edition ?? 0) + 1, basis }]
        })
        .reverse()
        .slice(0, limit)
    },
    async save(evidence, bundle) {
      const { planRunId, edition } = evidence
      const known = of(planRunId)
      if (!runs.has(planRunId) || known.some((each) => each.evidence.edition === edition)) return false
      rows.set(planRunId, [...known, { evidence: copy(evidence), bundle: Buffer.from(bundle) }])
      return true
    },
    list: async (id) => copies(of(id).map(({ evidence }) => evidence)).reverse(),
    newest: async (ids) =>
      new Map(
        ids.flatMap((id) => {
          const last = of(id).at(-1)
          return last ? [[id, copy(last.evidence)] as const] : []
        }),
      ),
    async bundle(id, edition) {
      const found = of(id).find(({ evidence }) => evidence.edition === edition)
      return found ? Buffer.from(found.bundle) : null
    },
  }
}

const planIsGone = (id: PlanId): Refusal =>
  new Refusal({
    code: 'recovery-plan/not-found',
    message: `There is no recovery-plan ${id}`,
    remedy: 'Reload the list; somebody may have removed it.',
  })
