import type { PlanRun } from '@understudy/contract/recovery-plan'
import { expect, it } from 'vitest'
import { flowOf, flowOfRun } from './run-flow.ts'

const plan = {
  groups: [{ before: [], machines: [{ protectionId: 'a' }, { protectionId: 'b' }], after: [] }],
} as unknown as PlanRun['plan']
const protection = (id: string, direction: 'forward' | 'reverse' = 'forward') => ({
  id,
  direction,
  source: { name: 'Harbour' },
  target: { name: 'Hillside' },
})

it('a run says between which sites it moves, each way once, and keeps its direction when machines are turned round', () => {
  expect(flowOf(plan, [protection('a'), protection('b'), protection('c')], null)).toBe('Harbour → Hillside')
  expect(flowOf(plan, [protection('a', 'reverse')], 'forward')).toBe('Hillside → Harbour')
  expect(flowOf(plan, [], 'forward')).toBe('')
})

it('a roll back goes back where the failover came from', () => {
  const failover = { plan, kind: 'unplanned', direction: 'forward' } as const
  expect(flowOfRun(failover, [protection('a')])).toBe('Harbour → Hillside')
  expect(flowOfRun({ ...failover, kind: 'change-point' }, [protection('a')])).toBe('Harbour → Hillside')
  expect(flowOfRun({ ...failover, kind: 'roll-back' }, [protection('a')])).toBe('Hillside → Harbour')
})
