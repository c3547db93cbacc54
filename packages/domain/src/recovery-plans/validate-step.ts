// What is wrong with one step. Texts that name parameters are judged only where the rest of them is enough to judge by.
import { isChosenByParameter } from './action-texts.ts'
import type { PlanParameter, PlanStep } from './plan.ts'
import { atItem, blocker, type PlanFinding, warning } from './plan-finding.ts'
import {
  type Command,
  isLoadBalancerName,
  type LoadBalancerAction,
  type ProbeAction,
  type ProbeCheck,
  type StepAction,
} from './step-action.ts'
import { checkEndpoint, type Fault, faultsWhere, hasReference, isBlank } from './step-fault.ts'
import { checkAzureChange, checkInTests, checkPlaces, checkRunCommand } from './validate-azure.ts'
import { checkDns } from './validate-dns.ts'
import { checkUses } from './validate-uses.ts'

/** Dependencies and machines that it names are validateOrder's. Pure. */
export const validateStep = (step: PlanStep, parameters: readonly PlanParameter[]): readonly PlanFinding[] =>
  [
    ...checkFrame(step),
    ...checkAction(step.action),
    ...checkInTests(step),
    ...checkUses(step.action, parameters),
    ...checkPlaces(step.action, parameters),
  ].map((fault) => {
    const words = {
      ...fault,
      message: `${step.name.trim() === '' ? 'The step' : `"${step.name}"`} ${fault.message}`,
    }
    return fault.level === 'warning' ? warning(atItem(step.id), words) : blocker(atItem(step.id), words)
  })

function checkFrame({ name, kinds, directions, action, whenItFails }: PlanStep): readonly Fault[] {
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
      [
        action.kind === 'approval' && whenItFails === 'continue',
        'passes-refused',
        'goes on as if it had been approved when it is refused or nobody answers',
        'Choose what happens when it fails: "ask" or "stop".',
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
            !isCallable(action.url),
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
      return checkLoadBalancer(action)
    case 'traffic-manager':
    case 'azure-load-balancer':
    case 'azure-dns':
      return checkAzureChange(action)
    case 'azure-run-command':
      return checkRunCommand(action)
  }
}

/** What a parameter begins with, only the parameter can tell. */
const isCallable = (url: string): boolean =>
  hasReference(url) ? /^(https?:\/\/|\{\{)/i.test(url) : /^https?:\/\//i.test(url) && URL.canParse(url)

function checkLoadBalancer({ socket, backend, server, change }: LoadBalancerAction): readonly Fault[] {
  const incomplete = isBlank(socket) || isBlank(backend) || isBlank(server)
  const isFit = (name: string): boolean => hasReference(name) || isLoadBalancerName(name)
  return [
    ...faultsWhere([
      [
        incomplete,
        'no-server',
        'does not say which server of which load balancer',
        'Give the socket of HAProxy, the backend and the server.',
      ],
      [
        !incomplete && !(isFit(backend) && isFit(server)),
        'bad-server',
        'names a backend or a server that HAProxy cannot have',
        'Use letters, digits, "_", ".", ":" and "-" only.',
      ],
    ]),
    ...(change.kind === 'address' ? [...checkEndpoint(change.to), ...checkPort(change.port)] : []),
  ]
}

const checkCommand = ({ where, command, environment }: Command): readonly Fault[] =>
  faultsWhere([
    [isBlank(command), 'no-command', 'does not say which program to run', 'Give the path of the program.'],
    [
      isChosenByParameter({ where, command }),
      'command-parameter',
      'lets a parameter choose the program that runs on the server or on the host of a site',
      'Name the program in the step itself, and give it the parameter as an argument.',
    ],
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

const checkPort = (port: number): readonly Fault[] =>
  faultsWhere([
    [
      !Number.isInteger(port) || port < 1 || port > 65_535,
      'bad-port',
      'has a port that does not exist',
      'Give a port from 1 to 65535.',
    ],
  ])

const isStatus = (status: number): boolean => Number.isInteger(status) && status >= 100 && status <= 599
