import {
  itemId,
  sampleGroup,
  sampleMachine,
  sampleNames,
  samplePlan,
  sampleStep,
} from '@understudy/simulator/sample-plans'
import { describe, expect, test } from 'vitest'
import { addItem, editGroup, editItem, moveGroup, moveItem, removeItem } from './change-plan.ts'
import { approvalFindings, openApprovals } from './held-by-approval.ts'
import type { PlanStep, RecoveryPlan } from './plan.ts'
import type { ItemId } from './plan-ids.ts'
import { chooseNext, planActivities } from './schedule-plan.ts'

const purpose = { kind: 'planned', direction: 'forward' } as const
const program = (command: string): PlanStep['action'] => ({
  kind: 'script',
  where: { kind: 'server' },
  command,
  arguments: [],
  environment: {},
  timeoutSeconds: 60,
})
const approve = sampleStep('approve', {
  action: { kind: 'approval', question: 'Go?', approverRole: 'owner', timeoutSeconds: 60 },
})
const data = sampleGroup('data', {
  before: [sampleStep('first'), approve, sampleStep('drop', { action: program('drop') })],
  machines: [sampleMachine('db')],
})
const front = sampleGroup('front', { machines: [sampleMachine('web')] })
const free = sampleGroup('free', {
  start: 'at-once',
  before: [
    sampleStep('tell', { action: program('tell') }),
    sampleStep('rehearse', { action: program('drop'), kinds: ['test'] }),
  ],
})
const plan = samplePlan([data, front, free])
const names = sampleNames(plan)
const found = (after: RecoveryPlan, ran: ReadonlySet<ItemId> = new Set()) =>
  approvalFindings(plan, after, { approvals: [approve], ran, names }).map(
    ({ at, code }) => `${at.kind === 'item' ? at.id : at.kind} ${code.slice('plan-run/'.length)}`,
  )
const slot = (groupId: typeof data.id, part: 'before' | 'machines' | 'after', index: number) => ({
  groupId,
  part,
  index,
})
const held = (id: string) => `${id} held-by-approval`

describe('whoever may not give an approval', () => {
  test.each([
    {
      what: 'does not take it out',
      after: removeItem(plan, approve.id).plan,
      spots: ['approve own-approval'],
    },
    {
      what: 'does not make it answerable by others',
      after: editItem(plan, { ...approve, action: { ...approve.action, approverRole: 'operator' } as never }),
      spots: ['approve own-approval'],
    },
    {
      what: 'does not move it behind what waits for it',
      after: moveItem(plan, approve.id, slot(data.id, 'after', 0)),
      spots: [held('drop'), held('db')],
    },
    {
      what: 'moves nothing in front of it',
      after: moveItem(plan, itemId('drop'), slot(data.id, 'before', 0)),
      spots: [held('drop')],
    },
    {
      what: 'moves no group in front of it',
      after: moveGroup(plan, front.id, 0),
      spots: [held('web')],
    },
    {
      what: 'lets no group begin without it',
      after: editGroup(plan, front.id, { start: 'at-once' }),
      spots: [held('web')],
    },
    {
      what: 'takes nothing out that waits for it, which the next edit could put in front of it',
      after: removeItem(plan, itemId('web')).plan,
      spots: [held('web')],
    },
    {
      what: 'puts no copy of it in front',
      after: addItem(
        plan,
        sampleMachine('copy', { protectionId: sampleMachine('web').protectionId }),
        slot(free.id, 'machines', 0),
      ),
      spots: [held('copy')],
    },
    {
      what: 'makes nothing in front do the same',
      after: editItem(plan, sampleStep('tell', { action: program('drop') })),
      spots: [held('tell')],
    },
    {
      what: 'makes nothing in front do the same with more time',
      after: editItem(
        plan,
        sampleStep('tell', { action: { ...program('drop'), timeoutSeconds: 61 } as never }),
      ),
      spots: [held('tell')],
    },
    {
      what: 'lets nothing in front do the same in this run, because it does so in another',
      after: editItem(plan, sampleStep('rehearse', { action: program('drop'), kinds: ['planned'] })),
      spots: [held('rehearse')],
    },
    {
      what: 'does not make what waits do something else',
      after: editItem(plan, sampleStep('drop', { action: program('drop twice') })),
      spots: [held('drop')],
    },
  ])('$what', ({ after, spots }) => {
    expect(found(after)).toEqual(spots)
  })

  test('edits what need not wait for it, and adds to what does', () => {
    const more = addItem(plan, sampleStep('more'), slot(front.id, 'before', 0))
    const renamed = editItem(more, sampleStep('tell', { action: program('tell all') }))
    expect(found(moveItem(renamed, itemId('drop'), slot(front.id, 'after', 0)))).toEqual([])
  })

  test('moves what has begun already, and does it again in front', () => {
    const ran = new Set([itemId('web'), itemId('drop')])
    const again = editItem(plan, sampleStep('tell', { action: program('drop') }))
    expect(found(removeItem(again, itemId('web')).plan, ran)).toEqual([])
  })
})

test.each([
  ['pending', 1],
  ['running', 1],
  ['failed', 1],
  ['succeeded', 0],
  ['skipped', 0],
] as const)('an approval that is %s is open, whatever follows its failure: %i', (state, count) => {
  for (const whenItFails of ['stop', 'ask', 'continue'] as const) {
    const edited = editItem(plan, { ...approve, whenItFails })
    expect(openApprovals(edited, purpose, new Map([[approve.id, state]]))).toHaveLength(count)
  }
})

test('a refused approval of a plan that goes on regardless asks, and nothing behind it starts', () => {
  const activities = planActivities(editItem(plan, { ...approve, whenItFails: 'continue' }), purpose)
  const begun = [
    [itemId('first'), 'succeeded'],
    [itemId('tell'), 'succeeded'],
  ] as const
  expect(chooseNext(activities, new Map([...begun, [approve.id, 'failed']]))).toEqual({
    start: [],
    asking: [approve.id],
    stoppedBy: [],
    finished: false,
  })
})

test('what stands behind an open approval waits for it, although what stands between was skipped', () => {
  const activities = planActivities(plan, purpose)
  const begun = [
    [itemId('first'), 'succeeded'],
    [itemId('drop'), 'skipped'],
    [itemId('db'), 'skipped'],
  ] as const
  const start = (state: 'running' | 'succeeded') =>
    chooseNext(activities, new Map([...begun, [approve.id, state]])).start
  expect(start('running')).toEqual(['tell'])
  expect(start('succeeded')).toEqual(['tell', 'web'])
})
