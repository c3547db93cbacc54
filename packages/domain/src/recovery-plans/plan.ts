// A recovery plan: groups of machines in order, with steps before and after. Every value here is plain JSON.
import type { Direction, ProtectionId } from '../protection/protection.ts'
import type { SiteId } from '../sites/site.ts'
import type { GroupId, ItemId, PlanId } from './plan-ids.ts'
import type { StepAction } from './step-action.ts'

/** What a plan is run for. */
export type PlanRunKind = 'test' | 'planned' | 'unplanned' | 'fail-back'

export const isPlanRunKind = (kind: string): kind is PlanRunKind => planRunKinds.some((each) => each === kind)

export const planRunKinds: readonly PlanRunKind[] = ['test', 'planned', 'unplanned', 'fail-back']
export const directions: readonly Direction[] = ['forward', 'reverse']

/**
 * `stop`: nothing more is started. `continue`: as if it had succeeded. `ask`: what needs it waits until somebody has it tried again
 * or skipped; everything else goes on.
 */
export type WhenItFails = 'stop' | 'continue' | 'ask'

type PlanItem = {
  readonly id: ItemId
  /** Items anywhere in the plan that must be done before this one starts, beyond what the order of the groups demands. */
  readonly needs: readonly ItemId[]
  readonly whenItFails: WhenItFails
}

export type PlanMachine = PlanItem & { readonly protectionId: ProtectionId }

export type PlanStep = PlanItem & {
  readonly name: string
  /** A step runs only for these kinds and directions; otherwise it is left out and its place in the order stays. */
  readonly kinds: readonly PlanRunKind[]
  readonly directions: readonly Direction[]
  readonly action: StepAction
}

export type PlanGroup = {
  readonly id: GroupId
  readonly name: string
  /** `in-order`: once every group before it is done. `at-once`: its items wait only for each other and for what they need. */
  readonly start: 'in-order' | 'at-once'
  /** One after the other, then all machines together, then `after` one after the other. */
  readonly before: readonly PlanStep[]
  readonly machines: readonly PlanMachine[]
  readonly after: readonly PlanStep[]
}

export type ParameterType = 'text' | 'number' | 'boolean' | 'choice' | 'secret'
export type ParameterValue = string | number | boolean

export type PlanParameter = {
  /** What `{{name}}` means it: a letter, then letters, digits, `_` and `-`. */
  readonly name: string
  /** For the form, one sentence. */
  readonly description: string
  readonly type: ParameterType
  /** Of a choice; of the other types empty. */
  readonly choices: readonly string[]
  /** Null: none. Always null for a secret: a plan is shown, compared and exported, so secrets are kept apart from it. */
  readonly default: ParameterValue | null
  /** Whoever starts a run is asked for it; the default is what the form begins with. */
  readonly asked: boolean
}

export type RecoveryPlan = {
  readonly id: PlanId
  readonly name: string
  /** Among plans that fail over together the higher goes first. 1 to 9. */
  readonly priority: number
  /** From the start of a run to its end; null: no target. */
  readonly targetRtoSeconds: number | null
  readonly parameters: readonly PlanParameter[]
  readonly groups: readonly PlanGroup[]
}

/** What a plan's machines are called, for people: every protection that there is has its name here. */
export type ProtectionNames = ReadonlyMap<ProtectionId, string>

/** The same, with the sites that steps run programs at. */
export type PlanNames = ReadonlyMap<ProtectionId | SiteId, string>
