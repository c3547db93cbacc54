import type { PlanRunSummary } from '@understudy/contract/recovery-plan'

export const titleOfRun: Record<PlanRunSummary['kind'], string> = {
  test: 'Test failover',
  planned: 'Planned failover',
  unplanned: 'Unplanned failover',
  'fail-back': 'Fail back',
  'clean-up': 'Clean up',
  'change-point': 'Change point',
  'roll-back': 'Roll back',
  commit: 'Commit',
  reprotect: 'Reprotect',
}

/** What a plan can be started as, in the order people meet it. */
export const startKinds = ['test', 'planned', 'unplanned', 'fail-back'] as const
export type StartKind = (typeof startKinds)[number]
