// Recovery plans and their runs without a database: the model that the PostgreSQL stores are judged by.

import { Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { ItemId, PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import {
  activePlanRunStates,
  type PlanActivity,
  type PlanRun,
  type PlanRunId,
  pendingActivity,
  planRunLife,
} from '@understudy/domain/recovery-plans/plan-run'
import { activityLife } from '@understudy/domain/recovery-plans/schedule-plan'
import type { PlanRunStore, PlanStore, PlanVersion } from '@understudy/engine/ports/plan-stores'
import type { RunStore, Stores } from '@understudy/engine/ports/stores'
import { copies, copy, findOrRefuse, type Listed, pageOf } from './memory-rows.ts'
import { memoryEvidenceStore, memoryTestStore } from './memory-test-stores.ts'

type Secrets = Readonly<Record<string, string>>
type PlanRow = { versions: readonly PlanVersion[]; secrets: Secrets }
export type RunRow = Listed<PlanRun> & {
  readonly activities: ReadonlyMap<ItemId, PlanActivity>
  readonly secrets: Secrets
}

/**
 * Every operation is atomic: nothing awaits between reading and writing. `boots`: those that runs have made; without them none has
 * waited for anybody.
 */
export function memoryPlanStores(
  boots: Pick<RunStore, 'find'> = { find: async () => null },
): Pick<Stores, 'plans' | 'planRuns' | 'tests' | 'evidence'> {
  const plans = new Map<PlanId, PlanRow>()
  const runs = new Map<PlanRunId, RunRow>()
  const tests = memoryTestStore(plans)
  return {
    plans: memoryPlanStore(plans, runs),
    planRuns: memoryPlanRunStore(runs, boots),
    tests,
    evidence: memoryEvidenceStore(runs, tests),
  }
}

function memoryPlanStore(rows: Map<PlanId, PlanRow>, runs: ReadonlyMap<PlanRunId, RunRow>): PlanStore {
  const newest = (): PlanVersion[] => [...rows.values()].flatMap(({ versions }) => versions.slice(-1))
  const refuseTakenName = ({ id, name }: PlanVersion['plan']): void => {
    if (newest().some(({ plan }) => plan.id !== id && toKey(plan.name) === toKey(name))) throw nameTaken(name)
  }
  return {
    list: async () => copies(newest().sort((a, b) => compare(toKey(a.plan.name), toKey(b.plan.name)))),
    find: async (id) => copy(rows.get(id)?.versions.at(-1) ?? null),
    async create(first) {
      refuseTakenName(first.plan)
      rows.set(first.plan.id, { versions: [copy(first)], secrets: {} })
    },
    async save(next) {
      const row = rows.get(next.plan.id)
      if (row?.versions.at(-1)?.version !== next.version - 1) return false
      refuseTakenName(next.plan)
      row.versions = [...row.versions, copy(next)]
      return true
    },
    versions: async (id) =>
      copies((rows.get(id)?.versions ?? []).map(({ plan: _plan, ...version }) => version)).reverse(),
    version: async (id, version) =>
      copy(rows.get(id)?.versions.find((each) => each.version === version) ?? null),
    async remove(id) {
      if (activeRunOf(runs, id)) throw isRunning()
      rows.delete(id)
    },
    secrets: async (id) => copy(rows.get(id)?.secrets ?? {}),
    async changeSecrets(id, change) {
      const row = findOrRefuse(rows, 'recovery-plan', id)
      const changed = Object.entries({ ...row.secrets, ...change })
      row.secrets = Object.fromEntries(
        changed.flatMap(([name, value]) => (value === null ? [] : [[name, value]])),
      )
    },
  }
}

function memoryPlanRunStore(rows: Map<PlanRunId, RunRow>, boots: Pick<RunStore, 'find'>): PlanRunStore {
  const waitedSeconds = async (bootId: string | null): Promise<number> =>
    bootId === null ? 0 : ((await boots.find(bootId as RunId))?.waitedSeconds ?? 0)
  let order = 0
  const change = (row: RunRow, run: Partial<PlanRun>, more: Partial<RunRow> = {}): void => {
    rows.set(row.row.id, { ...row, ...more, row: copy({ ...row.row, ...run }) })
  }
  /** Whoever has read the run before finds by `changes` that it is not as it was. */
  const changeActivity = (row: RunRow, activity: PlanActivity): void =>
    change(
      row,
      { changes: row.row.changes + 1 },
      { activities: new Map([...row.activities, [activity.itemId, copy(activity)]]) },
    )
  return {
    async create(run, activities, secrets) {
      if (rows.has(run.id)) return
      if (activeRunOf(rows, run.planId, run.kind === 'clean-up' ? run.followsUp : null)) throw isRunning()
      order += 1
      rows.set(run.id, {
        at: run.startedAt,
        order,
        row: copy(run),
        activities: new Map(activities.map((activity) => [activity.itemId, copy(activity)])),
        secrets: copy(secrets),
      })
    },
    find: async (id) => copy(rows.get(id)?.row ?? null),
    async list({ planId, states, kinds }, page) {
      const matches = [...rows.values()].filter(
        ({ row }) =>
          (planId === undefined || row.planId === planId) &&
          (states === undefined || states.includes(row.state)) &&
          (kinds === undefined || kinds.includes(row.kind)),
      )
      return pageOf(matches, page)
    },
    active: async () =>
      copies([...rows.values()].map(({ row }) => row)).filter(({ state }) =>
        activePlanRunStates.includes(state),
      ),
    async move(id, from, to, fields = {}, ifChanges) {
      planRunLife.move(from, to)
      const found = rows.get(id)
      if (found?.row.state !== from) return false
      if (ifChanges !== undefined && found.row.changes !== ifChanges) return false
      if (from === 'failed' && activeRunOf(rows, found.row.planId)) throw isRunning()
      const keepsSecrets = to !== 'succeeded' && to !== 'cancelled'
      change(found, { ...fields, state: to }, keepsSecrets ? {} : { secrets: {} })
      return true
    },
    async replacePlan(id, fromRevision, { plan, added, removed, changed, cuts }) {
      const found = rows.get(id)
      if (!found || found.row.planRevision !== fromRevision) return false
      const { state, planRevision, changes } = found.row
      if (!activePlanRunStates.includes(state) && state !== 'failed') return false
      const activities = new Map(found.activities)
      if ([...removed, ...changed].some((itemId) => activities.get(itemId)?.state !== 'pending')) return false
      for (const itemId of removed) activities.delete(itemId)
      for (const itemId of added) activities.set(itemId, pendingActivity(id, itemId))
      const fields = {
        plan,
        planRevision: planRevision + 1,
        changes: changes + 1,
        cuts: cuts ?? found.row.cuts,
      }
      change(found, fields, { activities })
      return true
    },
    secrets: async (id) => copy(rows.get(id)?.secrets ?? {}),
    activities: async (id) => copies(rows.get(id)?.activities.values() ?? []),
    async moveActivity(id, itemId, from, fields) {
      if (fields.state !== undefined && fields.state !== from.state)
        activityLife.move(from.state, fields.state)
      const found = rows.get(id)
      const activity = found?.activities.get(itemId)
      if (!found || !activity || !from.run.includes(found.row.state)) return false
      if (from.planRevision !== undefined && found.row.planRevision !== from.planRevision) return false
      if (activity.state !== from.state || activity.attempt !== from.attempt) return false
      changeActivity(found, { ...activity, ...fields })
      return true
    },
    async answer(id, itemId, attempt, answer) {
      const found = rows.get(id)
      const activity = found?.activities.get(itemId)
      if (!found || activity?.state !== 'running') return false
      if (activity.attempt !== attempt || activity.answer !== null) return false
      changeActivity(found, { ...activity, answer })
      return true
    },
    async ofBoots(bootIds) {
      const wanted = new Set<string>(bootIds)
      const all = [...rows.values()].flatMap(({ activities }) => [...activities.values()])
      return new Map(
        all.flatMap(({ bootId, planRunId }) =>
          bootId !== null && wanted.has(bootId) ? [[bootId as RunId, planRunId] as const] : [],
        ),
      )
    },
    async ofJobs(jobIds) {
      const wanted = new Set<string>(jobIds)
      const all = [...rows.values()].flatMap(({ activities }) => [...activities.values()])
      return new Map(
        all.flatMap(({ jobId, planRunId }) =>
          jobId !== null && wanted.has(jobId) ? [[jobId as JobId, planRunId] as const] : [],
        ),
      )
    },
    async durations(planId, kinds, limit) {
      const newest = [...rows.values()]
        .filter(({ row }) => row.planId === planId && kinds.includes(row.kind))
        .sort((a, b) => b.at - a.at || b.order - a.order)
        .slice(0, limit)
      const seconds = new Map<ItemId, number[]>()
      for (const { activities } of newest.reverse())
        for (const { itemId, state, startedAt, endedAt, bootId } of [...activities.values()])
          if (state === 'succeeded' && startedAt !== null && endedAt !== null) {
            const took = Math.max(0, (endedAt - startedAt) / 1000 - (await waitedSeconds(bootId)))
            seconds.set(itemId, [...(seconds.get(itemId) ?? []), took])
          }
      return seconds
    },
    async trim(before) {
      const old = [...rows.values()].filter(
        ({ row: { state, endedAt } }) =>
          !activePlanRunStates.includes(state) && endedAt !== null && endedAt < before,
      )
      for (const { row } of old) rows.delete(row.id)
      return old.length
    },
  }
}

const activeRunOf = (
  runs: ReadonlyMap<PlanRunId, RunRow>,
  planId: PlanId,
  except: PlanRunId | null = null,
): boolean =>
  [...runs.values()].some(
    ({ row }) => row.planId === planId && row.id !== except && activePlanRunStates.includes(row.state),
  )

const toKey = (name: string): string => name.normalize('NFC').toLowerCase()

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const nameTaken = (name: string): Refusal =>
  new Refusal({
    code: 'recovery-plan/name-taken',
    message: `There is a recovery plan called "${name}" already`,
    remedy: 'Choose another name.',
  })

const isRunning = (): Refusal =>
  new Refusal({
    code: 'recovery-plan/running',
    message: 'A run of the recovery plan is under way',
    remedy: 'Wait for its end, or cancel it first.',
  })
