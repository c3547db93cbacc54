// Recovery plans and their runs for tests: by hand in few words, and plans at random.
import { randomUUID } from 'node:crypto'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type {
  PlanGroup,
  PlanMachine,
  PlanParameter,
  PlanStep,
  ProtectionNames,
  RecoveryPlan,
} from '@understudy/domain/recovery-plans/plan'
import { directions, planRunKinds } from '@understudy/domain/recovery-plans/plan'
import type { GroupId, ItemId, PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { itemsOf, machinesOf } from '@understudy/domain/recovery-plans/plan-items'
import {
  type PlanActivity,
  type PlanRun,
  type PlanRunId,
  pendingActivity,
} from '@understudy/domain/recovery-plans/plan-run'
import type { CutId } from '@understudy/domain/recovery-points/recovery-point'
import fc from 'fast-check'

export const itemId = (id: string): ItemId => id as ItemId
export const groupId = (id: string): GroupId => id as GroupId

export const sampleMachine = (id: string, more: Partial<PlanMachine> = {}): PlanMachine => ({
  id: itemId(id),
  protectionId: `protection-${id}` as ProtectionId,
  needs: [],
  whenItFails: 'ask',
  ...more,
})

/** One that waits a second, whenever the plan runs. */
export const sampleStep = (id: string, more: Partial<PlanStep> = {}): PlanStep => ({
  id: itemId(id),
  name: id,
  needs: [],
  whenItFails: 'stop',
  kinds: planRunKinds,
  directions,
  action: { kind: 'wait', seconds: 1 },
  ...more,
})

export const sampleGroup = (id: string, more: Partial<PlanGroup> = {}): PlanGroup => ({
  id: groupId(id),
  name: id,
  start: 'in-order',
  before: [],
  machines: [],
  after: [],
  ...more,
})

export const sampleParameter = (name: string, more: Partial<PlanParameter> = {}): PlanParameter => ({
  name,
  description: '',
  type: 'text',
  choices: [],
  default: null,
  asked: true,
  ...more,
})

export const samplePlan = (groups: readonly PlanGroup[], more: Partial<RecoveryPlan> = {}): RecoveryPlan => ({
  id: 'plan' as PlanId,
  name: 'Shop',
  priority: 5,
  targetRtoSeconds: 900,
  parameters: [],
  groups,
  ...more,
})

/** A test of the plan that has just begun. */
export const samplePlanRun = (plan: RecoveryPlan, more: Partial<PlanRun> = {}): PlanRun => ({
  id: randomUUID() as PlanRunId,
  planId: plan.id,
  planName: plan.name,
  version: 1,
  kind: 'test',
  followsUp: null,
  direction: 'forward',
  state: 'running',
  plan,
  planRevision: 1,
  changes: 0,
  point: { kind: 'latest' },
  cuts: { 'protection-1': { cut: 'cut-1' as CutId, instant: Date.parse('2026-01-01T11:59:55Z') } },
  parameters: { domain: 'example.org', retries: 3, quiet: true },
  settings: {
    acceptUnfenced: false,
    allowOpenNetworks: false,
    shutDownTimeoutSeconds: null,
    answerTimeoutSeconds: 600,
    cleanUp: 'by-hand',
  },
  startedBy: 'ada',
  starterId: 'user-1',
  startedAt: Date.parse('2026-01-01T12:00:00Z'),
  endedAt: null,
  note: null,
  ...more,
})

/** Of everything in its plan, as the run begins. */
export const sampleActivities = ({ id, plan }: PlanRun): readonly PlanActivity[] =>
  itemsOf(plan).map(({ item }) => pendingActivity(id, item.id))

/** Every machine of the plan is protected, under the id of its item. */
export const sampleNames = (plan: RecoveryPlan): ProtectionNames =>
  new Map(machinesOf(plan).map(({ id, protectionId }) => [protectionId, id]))

const anyFate = fc.constantFrom('stop' as const, 'continue' as const, 'ask' as const)
const anyStep = fc.record({
  kinds: fc.subarray([...planRunKinds], { minLength: 1 }),
  directions: fc.subarray([...directions], { minLength: 1 }),
  whenItFails: anyFate,
})
const anySteps = fc.array(anyStep, { maxLength: 3 })
const anyGroup = fc.record({
  start: fc.constantFrom('in-order' as const, 'in-order' as const, 'at-once' as const),
  before: anySteps,
  machines: fc.array(anyFate, { maxLength: 5 }),
  after: anySteps,
})

/** A plan without faults, up to 50 items: what needs something needs what stands further up. */
export const anyPlan: fc.Arbitrary<RecoveryPlan> = fc
  .tuple(
    fc.array(anyGroup, { minLength: 1, maxLength: 5 }),
    fc.array(fc.tuple(fc.nat(200), fc.nat(200)), { maxLength: 12 }),
  )
  .map(([groups, pairs]) => {
    const plan = samplePlan(
      groups.map(({ start, before, machines, after }, index) =>
        sampleGroup(`g${index}`, {
          start,
          before: before.map((step, position) => sampleStep(`g${index}-before${position}`, step)),
          machines: machines.map((whenItFails, position) =>
            sampleMachine(`g${index}-machine${position}`, { whenItFails }),
          ),
          after: after.map((step, position) => sampleStep(`g${index}-after${position}`, step)),
        }),
      ),
    )
    return withNeeds(plan, pairs)
  })

function withNeeds(plan: RecoveryPlan, pairs: readonly (readonly [number, number])[]): RecoveryPlan {
  const ids = itemsOf(plan).map(({ item }) => item.id)
  const needs = new Map<ItemId, ItemId[]>()
  for (const [one, other] of pairs) {
    const [early, late] = [Math.min(one, other) % ids.length, Math.max(one, other) % ids.length].sort(
      (a, b) => a - b,
    )
    const [item, need] = [ids[late ?? 0], ids[early ?? 0]]
    if (item === undefined || need === undefined || item === need) continue
    needs.set(item, [...new Set([...(needs.get(item) ?? []), need])])
  }
  const add = <Item extends PlanMachine | PlanStep>(items: readonly Item[]): readonly Item[] =>
    items.map((item) => ({ ...item, needs: needs.get(item.id) ?? [] }))
  return {
    ...plan,
    groups: plan.groups.map((group) => ({
      ...group,
      before: add(group.before),
      machines: add(group.machines),
      after: add(group.after),
    })),
  }
}
