// For tests only: plans over the machines of an engine's lab.
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanGroup, PlanMachine, PlanStep, RecoveryPlan } from '@understudy/domain/recovery-plans/plan'
import { directions, planRunKinds } from '@understudy/domain/recovery-plans/plan'
import type { GroupId, ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type { StepAction } from '@understudy/domain/recovery-plans/step-action'

export const machine = (
  id: string,
  protectionId: ProtectionId,
  more: Partial<PlanMachine> = {},
): PlanMachine => ({
  id: id as ItemId,
  protectionId,
  needs: [],
  whenItFails: 'stop',
  ...more,
})

export const step = (id: string, action: StepAction, more: Partial<PlanStep> = {}): PlanStep => ({
  id: id as ItemId,
  name: id,
  needs: [],
  whenItFails: 'stop',
  kinds: planRunKinds,
  directions,
  action,
  ...more,
})

/** A script on the server; the lab's step runner knows it by its command. */
export const script = (command: string, ...given: readonly string[]): StepAction => ({
  kind: 'script',
  where: { kind: 'server' },
  command,
  arguments: given,
  environment: {},
  timeoutSeconds: 300,
})

export const group = (id: string, more: Partial<PlanGroup>): PlanGroup => ({
  id: id as GroupId,
  name: id,
  start: 'in-order',
  before: [],
  machines: [],
  after: [],
  ...more,
})

export const plan = (
  groups: readonly PlanGroup[],
  more: Partial<RecoveryPlan> = {},
): Omit<RecoveryPlan, 'id'> => ({
  name: 'Web shop',
  priority: 5,
  targetRtoSeconds: null,
  parameters: [],
  groups,
  ...more,
})
