import type { PlanActivity } from '@understudy/contract/recovery-plan'
import { describe, expect, it } from 'vitest'
import { askOf, cancelEffects, offeredActions, type RunActionKind, usualAction } from './run-asks.ts'

const machine = (name: string, state: PlanActivity['state']) =>
  ({ name, state, kind: 'machine' }) as PlanActivity
const activities = [machine('db', 'succeeded'), machine('web', 'running'), machine('mail', 'pending')]

describe('cancelling a run', () => {
  it('names what is stopped and what a failover leaves standing', () => {
    const words = cancelEffects({ kind: 'unplanned', planName: 'Shop', activities }).join(' ')
    expect(words).toContain('1 item that has not begun will not start')
    expect(words).toContain('(web)')
    expect(words).toContain('Left standing where they came up: db, web')
  })
  it('says of a test that it is cleaned up, and names nothing as left standing', () => {
    const words = cancelEffects({ kind: 'test', planName: 'Shop', activities }).join(' ')
    expect(words).toContain('removed')
    expect(words).not.toContain('Left standing')
  })
  it('lists only a few of many names', () => {
    const many = Array.from({ length: 30 }, (_, index) => machine(`m${index}`, 'succeeded'))
    expect(cancelEffects({ kind: 'planned', planName: 'Shop', activities: many }).join(' ')).toContain(
      'and 25 more',
    )
  })
})

describe('what can be done with a run', () => {
  it('puts forward what most people do next, never what throws away', () => {
    const offered = (...actions: readonly RunActionKind[]) =>
      actions.map((action) => ({ action, reason: null }))
    expect(usualAction(offered('change-point', 'roll-back', 'commit'))).toBe('commit')
    expect(usualAction([{ action: 'commit', reason: 'Wait' }, ...offered('roll-back')])).toBeUndefined()
  })

  it('offers pause, resume and editing only while they can be, and follow-ups always with their reason', () => {
    const { steering, following } = offeredActions({
      state: 'running',
      actions: [
        { action: 'pause', reason: null },
        { action: 'resume', reason: 'Only while it is paused' },
        { action: 'edit', reason: null },
        { action: 'commit', reason: 'Wait for the end of the run' },
      ],
    })
    expect(steering.map(({ action }) => action)).toEqual(['pause', 'edit'])
    expect(following.map(({ action }) => action)).toEqual(['commit'])
  })
  it('asks for a point only where one is booted', () => {
    const run = { kind: 'unplanned', planName: 'Shop', activities } as const
    expect(askOf('change-point', run).choosesPoint).toBe(true)
    expect(askOf('commit', run).choosesPoint).toBe(false)
  })
})
