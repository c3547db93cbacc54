// What is wrong with one step. Texts that name parameters are judged only where the rest of them is enough to judge by.
import { referencesOf, type TextUse } from './action-texts.ts'
import type { PlanParameter, PlanStep } from './plan.ts'
import { atItem, blocker, type PlanFinding, warning } from './plan-finding.ts'
import type { Command, DnsAction, Endpoint, ProbeAction, ProbeCheck, StepAction } from './step-action.ts'

/** One thing that is wrong, before it is known beside which step it is told. */
type Fault = {
  readonly level?: 'warning'
  readonly code: string
  readonly message: string
  readonly remedy: string
}

/** Dependencies and machines that it names are validateOrder's. Pure. */
export const validateStep = (step: PlanStep, parameters: readonly PlanParameter[]): readonly PlanFinding[] =>
  [...checkFrame(step), ...checkAction(step.action), ...checkUses(step.action, parameters)].map((fault) => {
    const words = {
      ...fault,
      message: `${step.name.trim() === '' ? 'The step' : `"${step.name}"`} ${fault.message}`,
    }
    return fault.level === 'warning' ? warning(atItem(step.id), words) : blocker(atItem(step.id), words)
  })

const faultsWhere = (
  rows: readonly (readonly [condition: boolean, code: string, message: string, remedy: string])[],
): readonly Fault[] =>
  rows.filter(([condition]) => condition).map(([, code, message, remedy]) => ({ code, message, remedy }))

function checkFrame({ name, kinds, directions, action }: PlanStep): readonly Fault[] {
  const never = kinds.length === 0 || directions.length === 0
  return [
    ...faultsWhere([
      [name.trim() === '', 'no-name', 'has no name', 'Name it after what it does.'],
      [
        action.kind !== 'wait' && !(action.timeoutSeconds > 0),
        'no-timeout',
        'has no timeout: it could hold up the plan for ever',
        'Say after how long it counts as failed.',
      ],
    ]),
    ...(never
      ? [
          {
            level: 'warning',
            code: 'never-runs',
            message: 'never runs: it is for no kind of failover or for no direction',
            remedy: 'Choose when it runs, or remove it.',
          } as const,
        ]
      : []),
  ]
}

function checkAction(action: StepAction): readonly Fault[] {
  switch (action.kind) {
    case 'script':
      return checkCommand(action)
    case 'manual':
      return faultsWhere([
        [
          isBlank(action.instructions),
          'no-instructions',
          'does not say what to do',
          'Write down what to do.',
        ],
      ])
    case 'approval':
      return faultsWhere([
        [
          isBlank(action.question),
          'no-question',
          'does not say what to approve',
          'Write down what is approved.',
        ],
      ])
    case 'wait':
      return faultsWhere([
        [!(action.seconds > 0), 'no-wait', 'does not say how long to wait', 'Give the seconds to wait.'],
      ])
    case 'probe':
      return [...checkCheck(action.check), ...checkPace(action)]
    case 'http':
      return [
        ...faultsWhere([
          [
            !/^(https?:\/\/|\{\{)/i.test(action.url),
            'bad-url',
            'has no URL that can be called',
            'Give a URL that begins with https:// or http://.',
          ],
          [
            action.expectedStatuses.length === 0 || !action.expectedStatuses.every(isStatus),
            'bad-status',
            'does not say which HTTP status is a success',
            'Give one or more from 100 to 599, such as 200.',
          ],
        ]),
        ...checkHeaders(action.headers),
      ]
    case 'dns':
      return checkDns(action)
    case 'load-balancer':
      return [
        ...faultsWhere([
          [
            isBlank(action.socket) || isBlank(action.backend) || isBlank(action.server),
            'no-server',
            'does not say which server of which load balancer',
            'Give the socket of HAProxy, the backend and the server.',
          ],
        ]),
        ...(action.change.kind === 'address'
          ? [...checkEndpoint(action.change.to), ...checkPort(action.change.port)]
          : []),
      ]
  }
}

const checkCommand = ({ command, environment }: Command): readonly Fault[] =>
  faultsWhere([
    [isBlank(command), 'no-command', 'does not say which program to run', 'Give the path of the program.'],
    ...Object.keys(environment).map(
      (name) =>
        [
          !/^[A-Za-z_]\w*$/.test(name),
          'bad-variable',
          `sets a variable "${name}", which no program can read`,
          'Use letters, digits and "_" only.',
        ] as const,
    ),
  ])

/** RFC 9110, section 5.1: the name of a field is a token. */
const checkHeaders = (headers: Readonly<Record<string, string>>): readonly Fault[] =>
  faultsWhere(
    Object.keys(headers).map((name) => [
      !/^[\w!#$%&'*+.^`|~-]+$/.test(name),
      'bad-header',
      `sends a header "${name}", which HTTP does not allow`,
      'Correct the name of the header.',
    ]),
  )

function checkCheck(check: ProbeCheck): readonly Fault[] {
  switch (check.kind) {
    case 'tcp':
      return [...checkEndpoint(check.target), ...checkPort(check.port)]
    case 'http':
      return [
        ...checkEndpoint(check.target),
        ...checkPort(check.port),
        ...faultsWhere([
          [
            !/^(\/|\{\{)/.test(check.path),
            'bad-path',
            'asks for a path that does not begin with "/"',
            'Begin the path with "/".',
          ],
          [
            !isStatus(check.expectedStatus),
            'bad-status',
            'expects an HTTP status that does not exist',
            'Give one from 100 to 599, such as 200.',
          ],
        ]),
      ]
    case 'script':
      return checkCommand(check)
  }
}

const checkPace = ({ intervalSeconds, timeoutSeconds }: ProbeAction): readonly Fault[] =>
  faultsWhere([
    [
      !(intervalSeconds > 0),
      'no-interval',
      'does not say how often to try',
      'Give the seconds between two tries.',
    ],
    [
      timeoutSeconds > 0 && intervalSeconds > timeoutSeconds,
      'interval-beyond-timeout',
      `tries every ${intervalSeconds} s but gives up after ${timeoutSeconds} s: it would try only once`,
      'Make the interval shorter than the timeout.',
    ],
  ])

const checkEndpoint = (endpoint: Endpoint): readonly Fault[] =>
  faultsWhere([
    [
      endpoint.kind === 'address' && isBlank(endpoint.address),
      'no-address',
      'has no address',
      'Give an address, or choose a machine of the plan.',
    ],
  ])

const checkPort = (port: number): readonly Fault[] =>
  faultsWhere([
    [
      !Number.isInteger(port) || port < 1 || port > 65_535,
      'bad-port',
      'has a port that does not exist',
      'Give a port from 1 to 65535.',
    ],
  ])

/** RFC 2181, section 8. */
const LONGEST_TTL_SECONDS = 2 ** 31 - 1

function checkDns(action: DnsAction): readonly Fault[] {
  const { server, zone, recordName, ttlSeconds, tsig } = action
  return [
    ...checkEndpoint(action.value),
    ...checkRecordValue(action),
    ...faultsWhere([
      [
        isBlank(server) || isBlank(zone) || isBlank(recordName),
        'no-record',
        'does not say which record of which name server',
        'Give the name server, the zone and the record.',
      ],
      [
        !isWithinZone(recordName, zone),
        'outside-zone',
        `changes "${recordName}", which is not in the zone "${zone}"`,
        'Give the full name of a record within the zone.',
      ],
      [
        !Number.isInteger(ttlSeconds) || ttlSeconds < 0 || ttlSeconds > LONGEST_TTL_SECONDS,
        'bad-ttl',
        'has a time to live that DNS does not allow',
        'Give 0 s or more; 60 s lets clients follow quickly.',
      ],
    ]),
    ...(tsig === null
      ? [
          {
            level: 'warning',
            code: 'dns-unsigned',
            message: 'changes DNS without a key: a name server that takes it takes it from anybody',
            remedy: 'Let the name server demand a TSIG key, and name it here.',
          } as const,
        ]
      : []),
  ]
}

function isWithinZone(recordName: string, zone: string): boolean {
  if (isBlank(recordName) || isBlank(zone) || hasReference(recordName) || hasReference(zone)) return true
  const [name, apex] = [recordName, zone].map((text) => text.trim().toLowerCase().replace(/\.$/, ''))
  return name === apex || `${name}`.endsWith(`.${apex}`)
}

function checkRecordValue({ recordType, value }: DnsAction): readonly Fault[] {
  if (value.kind === 'machine')
    return faultsWhere([
      [
        recordType === 'CNAME' || recordType === 'TXT',
        'bad-record-value',
        `puts the address of a machine into a ${recordType} record`,
        'Use an A or AAAA record, or give the text.',
      ],
    ])
  if (isBlank(value.address) || hasReference(value.address)) return []
  const fits = { A: isIpv4(value.address), AAAA: value.address.includes(':'), CNAME: true, TXT: true }
  return faultsWhere([
    [
      !fits[recordType],
      'bad-record-value',
      `puts "${value.address}" into ${recordType === 'A' ? 'an A' : 'an AAAA'} record`,
      recordType === 'A' ? 'Give an IPv4 address.' : 'Give an IPv6 address.',
    ],
  ])
}

const isIpv4 = (text: string): boolean =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && text.split('.').every((part) => Number(part) <= 255)

function checkUses(action: StepAction, parameters: readonly PlanParameter[]): readonly Fault[] {
  const typeOf = (name: string) => parameters.find((parameter) => parameter.name === name)?.type
  const key = action.kind === 'dns' ? action.tsig?.secretParameter : undefined
  return [
    ...uniqueReferences(action).flatMap(({ name, use }) => {
      const type = typeOf(name)
      if (type === undefined)
        return [
          {
            code: 'unknown-parameter',
            message: `uses the parameter "${name}", which the plan does not have`,
            remedy: 'Correct the name, or add the parameter.',
          },
        ]
      return type === 'secret' ? checkSecretUse(name, use) : []
    }),
    ...faultsWhere([
      [
        key !== undefined && typeOf(key) !== undefined && typeOf(key) !== 'secret',
        'key-not-secret',
        `signs with the parameter "${key}", which is no secret`,
        'Make it a parameter of the type "secret".',
      ],
    ]),
  ]
}

function checkSecretUse(name: string, use: TextUse): readonly Fault[] {
  switch (use) {
    case 'shown':
      return [
        {
          code: 'secret-shown',
          message: `would show the secret "${name}"`,
          remedy: 'Take it out of this text: whoever may know it knows where it is kept.',
        },
      ]
    case 'exposed':
      return [
        {
          level: 'warning',
          code: 'secret-exposed',
          message: `uses the secret "${name}" where process lists or logs of others show it`,
          remedy: 'Pass it in an environment variable, a header or a body instead.',
        },
      ]
    case 'private':
      return []
  }
}

const uniqueReferences = (action: StepAction) => [
  ...new Map(referencesOf(action).map((each) => [`${each.name} ${each.use}`, each])).values(),
]

const isBlank = (text: string): boolean => text.trim() === ''
const hasReference = (text: string): boolean => text.includes('{{')
const isStatus = (status: number): boolean => Number.isInteger(status) && status >= 100 && status <= 599
