import {
  anyPlan,
  groupId,
  itemId,
  sampleGroup,
  sampleMachine,
  sampleNames,
  sampleParameter,
  samplePlan,
  sampleStep,
} from '@understudy/simulator/sample-plans'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { ProtectionId } from '../protection/protection.ts'
import {
  addGroup,
  addItem,
  addNeed,
  editGroup,
  editItem,
  editPlan,
  moveGroup,
  moveItem,
  removeItem,
} from './change-plan.ts'
import { diffPlans } from './diff-plans.ts'
import type { RecoveryPlan } from './plan.ts'
import { isStep, itemsOf } from './plan-items.ts'
import type { DnsAction } from './step-action.ts'

const dns: DnsAction = {
  kind: 'dns',
  server: 'ns1',
  zone: 'example.com',
  recordName: 'www.example.com',
  recordType: 'A',
  ttlSeconds: 60,
  value: { kind: 'machine', machine: itemId('web') },
  tsig: null,
  timeoutSeconds: 30,
}
const shop = samplePlan(
  [
    sampleGroup('data', {
      name: 'Data',
      before: [sampleStep('approve'), sampleStep('announce'), sampleStep('drain')],
      machines: [sampleMachine('db'), sampleMachine('cache', { needs: [itemId('db')] })],
    }),
    sampleGroup('front', {
      name: 'Front',
      machines: [sampleMachine('web')],
      after: [sampleStep('dns', { action: dns })],
    }),
    sampleGroup('mail', { name: 'Mail', machines: [sampleMachine('smtp')] }),
  ],
  { parameters: [sampleParameter('zone'), sampleParameter('size', { type: 'number', default: 5 })] },
)
const slot = (group: string, part: 'before' | 'machines' | 'after', index: number) => ({
  groupId: groupId(group),
  part,
  index,
})
const edited = (change: Partial<DnsAction>) =>
  editItem(shop, sampleStep('dns', { action: { ...dns, ...change } }))

const cases: readonly (readonly [string, RecoveryPlan, readonly string[]])[] = [
  [
    'the head of the plan',
    editPlan(shop, { name: 'Store', priority: 9, targetRtoSeconds: null }),
    ['name from "Shop" to "Store"', 'priority from 5 to 9', 'target RTO from 900 s to none'],
  ],
  [
    'parameters',
    editPlan(shop, {
      parameters: [
        sampleParameter('size', { type: 'number', default: 6, asked: false }),
        sampleParameter('key', { type: 'secret' }),
      ],
    }),
    [
      'parameter "zone" removed',
      'parameter "key" added',
      'parameter "size" from number, default 5, asked at the start to number, default 6, not asked',
    ],
  ],
  ['a group that moved', moveGroup(shop, groupId('mail'), 0), ['group "Mail" moved to the top']],
  [
    'a group that moved down',
    moveGroup(shop, groupId('data'), 1),
    ['group "Data" moved after group "Front"'],
  ],
  [
    'a group of another name and start',
    editGroup(shop, groupId('mail'), { name: 'Post', start: 'at-once' }),
    [
      'name of the group from "Mail" to "Post"',
      'start of group "Post" from after the groups before it to at once',
    ],
  ],
  [
    'a group that is new, with what is in it',
    addGroup(shop, sampleGroup('files', { name: 'Files', machines: [sampleMachine('nas')] }), 3),
    ['group "Files" added', 'machine "nas" added among the machines of "Files"'],
  ],
  [
    'an item that is new, and one that has gone with a dependency on it',
    removeItem(addItem(shop, sampleStep('check'), slot('data', 'after', 0)), itemId('db')).plan,
    [
      'machine "db" removed',
      'machine "cache" no longer waits for "db"',
      'step "check" added after the machines of "Data"',
    ],
  ],
  [
    'an item that moved to another group',
    moveItem(shop, itemId('drain'), slot('front', 'after', 0)),
    ['step "drain" moved from before the machines of "Data" to after the machines of "Front"'],
  ],
  [
    'one step that moved past two: one line, not three',
    moveItem(shop, itemId('drain'), slot('data', 'before', 0)),
    ['step "drain" moved to the top of its list'],
  ],
  [
    'a step that moved down its list',
    moveItem(shop, itemId('approve'), slot('data', 'before', 1)),
    ['step "approve" moved after "announce"'],
  ],
  [
    'a dependency and what follows a failure',
    editItem(
      addNeed(shop, { item: itemId('smtp'), need: itemId('db') }),
      sampleMachine('web', { whenItFails: 'stop' }),
    ),
    [
      'what follows a failure of machine "web" from ask what to do to stop the plan',
      'machine "smtp" waits for "db"',
    ],
  ],
  [
    'the settings of an action, with their units',
    edited({ timeoutSeconds: 90, value: { kind: 'address', address: '192.0.2.1' }, ttlSeconds: 5 }),
    [
      'ttl of step "dns" from 60 s to 5 s',
      'value of step "dns" from machine "web" to "192.0.2.1"',
      'timeout of step "dns" from 30 s to 90 s',
    ],
  ],
  [
    'a key that is new',
    edited({ tsig: { name: 'k', algorithm: 'hmac-sha256', secretParameter: 'key' } }),
    [
      'tsig name of step "dns" from none to "k"',
      'tsig algorithm of step "dns" from none to "hmac-sha256"',
      'tsig secret parameter of step "dns" from none to "key"',
    ],
  ],
  [
    'a step that does something else, for other kinds of run',
    editItem(
      shop,
      sampleStep('dns', { name: 'Pause', kinds: ['test'], action: { kind: 'wait', seconds: 9 } }),
    ),
    [
      'name of step "Pause" from "dns" to "Pause"',
      'kinds of run of step "Pause" from test, planned, unplanned, fail-back to test',
      'kind of step "Pause" from DNS update to wait',
    ],
  ],
  [
    'a machine that was protected anew',
    editItem(shop, sampleMachine('smtp', { protectionId: 'protection-2' as ProtectionId })),
    ['protection of machine "smtp2" from machine "smtp" (protection-smtp) to machine "smtp2" (protection-2)'],
  ],
]

test.each(cases)('what differs is told in words: %s', (_words, after, expected) => {
  const names = new Map([
    ...sampleNames(shop),
    ...sampleNames(after),
    ['protection-2' as ProtectionId, 'smtp2'],
  ])
  expect(diffPlans(shop, after, names).map(({ words }) => words)).toEqual(expected)
})

test('variables and headers go by the names that somebody gave them', () => {
  const call = (headers: Readonly<Record<string, string>>) =>
    samplePlan([
      sampleGroup('a', {
        before: [
          sampleStep('call', {
            action: {
              kind: 'http',
              method: 'GET',
              url: 'https://x/',
              headers,
              body: '',
              expectedStatuses: [200],
              timeoutSeconds: 5,
            },
          }),
        ],
      }),
    ])
  expect(diffPlans(call({}), call({ 'X-Key': '{{key}}' }), new Map()).map(({ words }) => words)).toEqual([
    'headers X-Key of step "call" from none to "{{key}}"',
  ])
})

test('a plan does not differ from itself, nor from one whose needs are in another order', () => {
  fc.assert(
    fc.property(anyPlan, (plan) => {
      const turned: RecoveryPlan = {
        ...plan,
        groups: plan.groups.map((group) => ({
          ...group,
          machines: group.machines.map((machine) => ({ ...machine, needs: machine.needs.toReversed() })),
        })),
      }
      expect(diffPlans(plan, turned, sampleNames(plan))).toEqual([])
    }),
  )
})

test('every move that changes the order is told, in one line, and no other is', () => {
  fc.assert(
    fc.property(
      anyPlan,
      fc.nat(100),
      fc.nat(10),
      fc.nat(5),
      fc.boolean(),
      (plan, which, where, index, early) => {
        const items = itemsOf(plan)
        const item = items[which % Math.max(1, items.length)]?.item
        const group = plan.groups[where % plan.groups.length]
        if (!item || !group) return
        const part = isStep(item) ? (early ? 'before' : 'after') : 'machines'
        const after = moveItem(plan, item.id, { groupId: group.id, part, index })
        const order = (each: RecoveryPlan) =>
          itemsOf(each).map((placed) => `${placed.groupId} ${placed.part} ${placed.item.id}`)
        const isMoved = order(plan).join() !== order(after).join()
        expect(diffPlans(plan, after, sampleNames(plan))).toHaveLength(isMoved ? 1 : 0)
      },
    ),
  )
})
