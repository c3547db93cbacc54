import type { PlanActivity } from '@understudy/contract/recovery-plan'
import { describe, expect, it } from 'vitest'
import { steeringOf, steeringWords } from './steering.ts'

const running = { state: 'running', followsUp: null } as const

describe('steering a run', () => {
  it('tries again only what has failed, and skips whatever is not done', () => {
    const states = ['failed', 'pending', 'running', 'succeeded', 'left-out'] as const
    expect(states.map((state) => steeringOf(running, { state }).retry === null)).toEqual([
      true,
      false,
      false,
      false,
      false,
    ])
    expect(states.map((state) => steeringOf(running, { state }).skip === null)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ])
  })
  it('steers nothing in a run that is over, and says so', () => {
    expect(steeringOf({ ...running, state: 'cancelled' }, { state: 'failed' })).toEqual({
      retry: 'The run is over',
      skip: 'The run is over',
    })
  })
  it('says that a stopped run goes on, and that the job of a machine on its way does too', () => {
    const activity = { name: 'db', kind: 'machine', state: 'running', attempt: 1 } as PlanActivity
    const { effect } = steeringWords('skip', { run: { state: 'failed' }, activity })
    expect(effect).toContain('which has stopped, goes on')
    expect(effect).toContain('its job goes on by itself')
  })
})
