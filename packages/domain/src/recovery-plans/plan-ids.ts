import type { Brand } from '@understudy/base/brand'

export type PlanId = Brand<'PlanId'>
/** Unique within its plan. */
export type GroupId = Brand<'GroupId'>
/** A machine's or step's place in its plan: unique within the plan, and kept when it is moved or edited. */
export type ItemId = Brand<'ItemId'>
