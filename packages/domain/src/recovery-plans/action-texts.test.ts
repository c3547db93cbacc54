import { itemId } from '@understudy/simulator/sample-plans'
import { expect, test } from 'vitest'
import { mapTexts, referencesOf, type TextUse } from './action-texts.ts'
import type { StepAction } from './step-action.ts'

const command = {
  where: { kind: 'server' as const },
  command: '{{a}}',
  arguments: ['{{b}}', 'plain'],
  environment: { KEY: '{{c}}' },
}
const place = { kind: 'address' as const, address: '{{a}}' }

const cases: readonly (readonly [string, StepAction, readonly (readonly [string, TextUse])[]])[] = [
  [
    'script',
    { kind: 'script', ...command, timeoutSeconds: 1 },
    [
      ['a', 'exposed'],
      ['b', 'exposed'],
      ['c', 'private'],
    ],
  ],
  [
    'manual action',
    {
      kind: 'manual',
      instructions: 'Call {{a}}, then {{ b }}',
      assigneeRole: 'operator',
      timeoutSeconds: 1,
      whenTimedOut: 'fail',
    },
    [
      ['a', 'shown'],
      ['b', 'shown'],
    ],
  ],
  [
    'approval',
    { kind: 'approval', question: '{{a}}?', approverRole: 'owner', timeoutSeconds: 1 },
    [['a', 'shown']],
  ],
  ['wait', { kind: 'wait', seconds: 1 }, []],
  [
    'TCP probe',
    {
      kind: 'probe',
      check: { kind: 'tcp', target: place, port: 1 },
      until: 'green',
      intervalSeconds: 1,
      timeoutSeconds: 1,
    },
    [['a', 'exposed']],
  ],
  [
    'HTTP probe',
    {
      kind: 'probe',
      check: {
        kind: 'http',
        target: place,
        scheme: 'https',
        port: 1,
        path: '/{{b}}',
        expectedStatus: 200,
        expectedText: '{{c}}',
      },
      until: 'green',
      intervalSeconds: 1,
      timeoutSeconds: 1,
    },
    [
      ['a', 'exposed'],
      ['b', 'exposed'],
      ['c', 'private'],
    ],
  ],
  [
    'script probe',
    {
      kind: 'probe',
      check: { kind: 'script', ...command },
      until: 'red',
      intervalSeconds: 1,
      timeoutSeconds: 1,
    },
    [
      ['a', 'exposed'],
      ['b', 'exposed'],
      ['c', 'private'],
    ],
  ],
  [
    'HTTP call',
    {
      kind: 'http',
      method: 'POST',
      url: 'https://{{a}}/',
      headers: { Authorization: 'Bearer {{b}}' },
      body: '{"key":"{{c}}"}',
      expectedStatuses: [200],
      timeoutSeconds: 1,
    },
    [
      ['a', 'exposed'],
      ['b', 'private'],
      ['c', 'private'],
    ],
  ],
  [
    'DNS update',
    {
      kind: 'dns',
      server: '{{a}}',
      zone: '{{b}}',
      recordName: 'www.{{b}}',
      recordType: 'A',
      ttlSeconds: 60,
      value: { kind: 'address', address: '{{c}}' },
      tsig: { name: 'key', algorithm: 'hmac-sha256', secretParameter: 'd' },
      timeoutSeconds: 1,
    },
    [
      ['a', 'exposed'],
      ['b', 'shown'],
      ['b', 'shown'],
      ['c', 'shown'],
      ['d', 'private'],
    ],
  ],
  [
    'load balancer change',
    {
      kind: 'load-balancer',
      socket: '{{a}}',
      backend: '{{b}}',
      server: '{{c}}',
      change: { kind: 'address', to: { kind: 'address', address: '{{d}}' }, port: 80 },
      timeoutSeconds: 1,
    },
    [
      ['a', 'exposed'],
      ['b', 'exposed'],
      ['c', 'exposed'],
      ['d', 'exposed'],
    ],
  ],
]

test.each(cases)('every parameter that a %s names is found, with who sees it', (_words, action, expected) => {
  expect(referencesOf(action).map(({ name, use }) => [name, use])).toEqual(expected)
})

test.each(cases)('texts of a %s that stay the same leave all of it the same', (_words, action) => {
  expect(mapTexts(action, (text) => text)).toEqual(action)
})

test('a machine of the plan is no text', () => {
  const action: StepAction = {
    kind: 'probe',
    check: { kind: 'tcp', target: { kind: 'machine', machine: itemId('db') }, port: 1 },
    until: 'green',
    intervalSeconds: 1,
    timeoutSeconds: 1,
  }
  expect(mapTexts(action, () => 'changed')).toEqual(action)
})

test("other programs' braces name no parameter", () => {
  const action: StepAction = {
    kind: 'script',
    where: { kind: 'server' },
    command: 'docker',
    arguments: ['ps', '--format', '{{.Names}} {{#if x}} {{ a b }} {{1x}} {x}'],
    environment: {},
    timeoutSeconds: 1,
  }
  expect(referencesOf(action)).toEqual([])
})
