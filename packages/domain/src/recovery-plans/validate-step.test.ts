import { itemId, sampleParameter, sampleStep } from '@understudy/simulator/sample-plans'
import { describe, expect, test } from 'vitest'
import type { PlanStep } from './plan.ts'
import type {
  ApprovalAction,
  DnsAction,
  HttpAction,
  LoadBalancerAction,
  ManualAction,
  ProbeAction,
  ScriptAction,
  StepAction,
} from './step-action.ts'
import { validateStep } from './validate-step.ts'

const script: ScriptAction = {
  kind: 'script',
  where: { kind: 'server' },
  command: '/bin/true',
  arguments: [],
  environment: {},
  timeoutSeconds: 60,
}
const manual: ManualAction = {
  kind: 'manual',
  instructions: 'Turn the key',
  assigneeRole: 'operator',
  timeoutSeconds: 60,
  whenTimedOut: 'fail',
}
const approval: ApprovalAction = {
  kind: 'approval',
  question: 'Leave the site?',
  approverRole: 'owner',
  timeoutSeconds: 60,
}
const address = (text: string) => ({ kind: 'address' as const, address: text })
const tcp = { kind: 'tcp', target: address('192.0.2.1'), port: 80 } as const
const page = {
  ...tcp,
  kind: 'http',
  scheme: 'https',
  path: '/',
  expectedStatus: 200,
  expectedText: '',
} as const
const probe: ProbeAction = {
  kind: 'probe',
  check: tcp,
  until: 'green',
  intervalSeconds: 5,
  timeoutSeconds: 60,
}
const http: HttpAction = {
  kind: 'http',
  method: 'POST',
  url: 'https://example.com/',
  headers: {},
  body: '',
  expectedStatuses: [200],
  timeoutSeconds: 60,
}
const dns: DnsAction = {
  kind: 'dns',
  server: 'ns.example.com',
  zone: 'example.com',
  recordName: 'www.example.com',
  recordType: 'A',
  ttlSeconds: 60,
  value: address('192.0.2.1'),
  tsig: { name: 'key', algorithm: 'hmac-sha256', secretParameter: 'key' },
  timeoutSeconds: 60,
}
const balancer: LoadBalancerAction = {
  kind: 'load-balancer',
  socket: '192.0.2.1:9999',
  backend: 'web',
  server: 'web1',
  change: { kind: 'address', to: address('192.0.2.1'), port: 80 },
  timeoutSeconds: 60,
}
const wait: StepAction = { kind: 'wait', seconds: 1 }

const parameters = [sampleParameter('key', { type: 'secret' }), sampleParameter('zone')]

const faultsOf = (action: StepAction, more: Partial<PlanStep> = {}) =>
  validateStep(sampleStep('x', { name: 'Switch', action, ...more }), parameters).map(
    ({ at, level, code }) => {
      expect(at).toEqual({ kind: 'item', id: 'x' })
      return `${level} ${code.replace('recovery-plan/', '')}`
    },
  )

const sound: readonly StepAction[] = [
  script,
  manual,
  approval,
  probe,
  { ...probe, check: page },
  { ...probe, check: { ...script, kind: 'script' } },
  { ...script, command: '/opt/{{.Name}}', arguments: ['{{zone}}'] },
  { ...script, command: '{{zone}}', where: { kind: 'guest', machine: itemId('web') } },
  http,
  dns,
  balancer,
  { ...balancer, change: { kind: 'state', state: 'drain' } },
  wait,
]

test.each(sound.map((action) => [action.kind, action] as const))(
  'a sound %s has no faults',
  (_kind, action) => {
    expect(faultsOf(action)).toEqual([])
  },
)

test.each(
  [script, manual, approval, probe, http, dns, balancer].map((action) => [action.kind, action] as const),
)('a %s without a timeout is refused: it could hold up the plan for ever', (_kind, action) => {
  expect(faultsOf({ ...action, timeoutSeconds: 0 })).toEqual(['blocker no-timeout'])
  expect(faultsOf({ ...action, timeoutSeconds: Number.NaN })).toEqual(['blocker no-timeout'])
})

test('a step without a name is refused, one that never runs is pointed out', () => {
  expect(faultsOf(wait, { name: '' })).toEqual(['blocker no-name'])
  expect(faultsOf(wait, { kinds: [] })).toEqual(['warning never-runs'])
  expect(faultsOf(wait, { directions: [] })).toEqual(['warning never-runs'])
})

test('an approval that lets everything pass when it is refused is itself refused; any other step may', () => {
  expect(faultsOf(approval, { whenItFails: 'continue' })).toEqual(['blocker passes-refused'])
  expect(faultsOf(approval, { whenItFails: 'ask' })).toEqual([])
  expect(faultsOf(manual, { whenItFails: 'continue' })).toEqual([])
})

const faulty: readonly (readonly [string, StepAction, string])[] = [
  ['a script without a program', { ...script, command: ' ' }, 'no-command'],
  [
    'a program on the server that a parameter chooses',
    { ...script, command: '{{zone}}' },
    'command-parameter',
  ],
  [
    'a probing program on the server that a parameter chooses',
    { ...probe, check: { ...script, kind: 'script', command: '/opt/{{ zone }}' } },
    'command-parameter',
  ],
  ['a variable that cannot be', { ...script, environment: { 'A B': '' } }, 'bad-variable'],
  ['a manual action that asks for nothing', { ...manual, instructions: '' }, 'no-instructions'],
  ['an approval of nothing', { ...approval, question: '' }, 'no-question'],
  ['a wait of nothing', { kind: 'wait', seconds: 0 }, 'no-wait'],
  ['a probe that never tries again', { ...probe, intervalSeconds: 61 }, 'interval-beyond-timeout'],
  ['a probe without a pause', { ...probe, intervalSeconds: 0 }, 'no-interval'],
  ['a probe of nowhere', { ...probe, check: { ...tcp, target: address('') } }, 'no-address'],
  ['a probe of port 0', { ...probe, check: { ...tcp, port: 0 } }, 'bad-port'],
  ['a page without a slash', { ...probe, check: { ...page, path: 'x' } }, 'bad-path'],
  ['a status of 99', { ...probe, check: { ...page, expectedStatus: 99 } }, 'bad-status'],
  [
    'a probing script without a program',
    { ...probe, check: { ...script, kind: 'script', command: '' } },
    'no-command',
  ],
  ['a call of nobody', { ...http, url: 'https://' }, 'bad-url'],
  ['a call of a file', { ...http, url: 'file:///etc/passwd' }, 'bad-url'],
  ['a call without an expectation', { ...http, expectedStatuses: [] }, 'bad-status'],
  ['a call with a broken header', { ...http, headers: { 'a b': '' } }, 'bad-header'],
  ['a record without a zone', { ...dns, zone: '' }, 'no-record'],
  ['a record of another zone', { ...dns, recordName: 'www.badexample.com' }, 'outside-zone'],
  ['a negative time to live', { ...dns, ttlSeconds: -1 }, 'bad-ttl'],
  ['a name in an A record', { ...dns, value: address('web.example.com') }, 'bad-record-value'],
  ['an IPv4 address in an AAAA record', { ...dns, recordType: 'AAAA' }, 'bad-record-value'],
  [
    'a machine in a CNAME record',
    { ...dns, recordType: 'CNAME', value: { kind: 'machine', machine: itemId('web') } },
    'bad-record-value',
  ],
  ['a second command for a load balancer', { ...balancer, server: 'web1; shutdown sessions' }, 'bad-server'],
  ['a load balancer without a server', { ...balancer, server: '' }, 'no-server'],
  [
    'a load balancer sent to port 70000',
    { ...balancer, change: { kind: 'address', to: address('x'), port: 70_000 } },
    'bad-port',
  ],
]

test.each(faulty)('a fault that is told beside its step: %s', (_words, action, code) => {
  expect(faultsOf(action)).toEqual([`blocker ${code}`])
})

test('an update of DNS that nobody signs is pointed out', () => {
  expect(faultsOf({ ...dns, tsig: null })).toEqual(['warning dns-unsigned'])
})

test('the top of a zone and names that end in a dot or in capitals are within it', () => {
  for (const recordName of ['example.com', 'example.com.', 'WWW.Example.COM.'])
    expect(faultsOf({ ...dns, recordName }), recordName).toEqual([])
})

describe('parameters in a step', () => {
  test('one that the plan does not have is refused, once however often it is used', () => {
    expect(
      faultsOf({ ...script, arguments: ['{{typo}}', '{{typo}}'], environment: { A: '{{typo}}' } }),
    ).toEqual(['blocker unknown-parameter'])
  })

  test('what only a parameter will say is not judged before', () => {
    expect(
      faultsOf({ ...dns, zone: '{{zone}}', recordName: 'www.{{zone}}', value: address('{{zone}}') }),
    ).toEqual([])
    expect(faultsOf({ ...http, url: '{{zone}}/x' })).toEqual([])
    expect(faultsOf({ ...http, url: 'https://{{zone}}:443/x' })).toEqual([])
    expect(faultsOf({ ...balancer, backend: '{{zone}}' })).toEqual([])
  })

  test('a secret in instructions or in DNS would be shown and is refused', () => {
    expect(faultsOf({ ...manual, instructions: 'Type {{key}}' })).toEqual(['blocker secret-shown'])
    expect(faultsOf({ ...approval, question: '{{key}}?' })).toEqual(['blocker secret-shown'])
    expect(faultsOf({ ...dns, recordType: 'TXT', value: address('{{key}}') })).toEqual([
      'blocker secret-shown',
    ])
  })

  test('a secret in arguments or a URL is pointed out; in the environment, a header or a body it is fine', () => {
    expect(faultsOf({ ...script, arguments: ['--key={{key}}'] })).toEqual(['warning secret-exposed'])
    expect(faultsOf({ ...http, url: 'https://x/?key={{key}}' })).toEqual(['warning secret-exposed'])
    expect(faultsOf({ ...script, environment: { KEY: '{{key}}' } })).toEqual([])
    expect(faultsOf({ ...http, headers: { Authorization: '{{key}}' }, body: '{{key}}' })).toEqual([])
  })

  test('the key of a DNS update is a secret of the plan', () => {
    const signedWith = (secretParameter: string): DnsAction => ({
      ...dns,
      tsig: { name: 'key', algorithm: 'hmac-sha512', secretParameter },
    })
    expect(faultsOf(signedWith('zone'))).toEqual(['blocker key-not-secret'])
    expect(faultsOf(signedWith('typo'))).toEqual(['blocker unknown-parameter'])
  })
})

test('a fault is told in words, with what to do', () => {
  const [finding] = validateStep(
    sampleStep('x', { name: 'Notify', action: { ...script, timeoutSeconds: 0 } }),
    [],
  )
  expect(finding).toEqual({
    at: { kind: 'item', id: 'x' },
    level: 'blocker',
    code: 'recovery-plan/no-timeout',
    message: '"Notify" has no timeout: it could hold up the plan for ever',
    remedy: 'Say after how long it counts as failed.',
  })
})
