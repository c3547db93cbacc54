// What is wrong with a step that changes something in Azure, as far as it does not depend on parameters.
import { namesParameter, parametersIn } from './action-texts.ts'
import type { PlanParameter, PlanStep } from './plan.ts'
import {
  type AzureChangeAction,
  type AzureDnsAction,
  type AzureLoadBalancerAction,
  type AzureRunCommandAction,
  isAzureChange,
  isAzureName,
  type StepAction,
  type TrafficManagerAction,
} from './step-action.ts'
import { checkEndpoint, type Fault, faultsWhere, hasReference, isBlank } from './step-fault.ts'
import { checkRecordValue, isWithinZone, LONGEST_TTL_SECONDS } from './validate-dns.ts'

/** Of Traffic Manager, for weights and priorities. */
const MOST_TRAFFIC = 1000

/** Pure. */
export const checkAzureChange = (action: AzureChangeAction): readonly Fault[] => [
  ...faultsWhere([
    [
      action.site === null,
      'no-site',
      'does not say with the sign-in of which site',
      'Choose a site in Azure in whose subscription it lies.',
    ],
    [
      namesOf(action).some((name) => isBlank(name)),
      'no-azure-resource',
      'does not say what it changes in Azure',
      'Fill in every name as the portal of Azure shows it.',
    ],
    [
      [action.resourceGroup, ...namesOf(action)].some((name) => !isFit(name)),
      'bad-azure-name',
      'names something that nothing in Azure can be called',
      'Give the name alone, as the portal of Azure shows it, and not its resource id.',
    ],
  ]),
  ...checkChange(action),
]

/** What is changed the plan says, not whoever starts a run of it: the sign-in of a site reaches all of its subscription. Pure. */
export function checkPlaces(action: StepAction, parameters: readonly PlanParameter[]): readonly Fault[] {
  if (!isAzureChange(action)) return []
  const places = [
    action.resourceGroup,
    ...namesOf(action),
    ...(action.kind === 'azure-dns' ? [action.recordName] : []),
  ]
  const named = new Set(places.flatMap(parametersIn))
  return faultsWhere([
    [
      parameters.some(({ name, asked }) => asked && named.has(name)),
      'place-parameter',
      'lets whoever starts a run choose what it changes in Azure',
      'Name it in the step itself, or by a parameter that is not asked for at the start.',
    ],
  ])
}

const isFit = (name: string): boolean => isBlank(name) || hasReference(name) || isAzureName(name.trim())

function namesOf(action: AzureChangeAction): readonly string[] {
  switch (action.kind) {
    case 'traffic-manager':
      return [action.profile, action.endpoint]
    case 'azure-load-balancer':
      return [
        action.loadBalancer,
        action.pool,
        ...(action.member.kind === 'entry' ? [action.member.name] : []),
      ]
    case 'azure-dns':
      return [action.zone]
  }
}

function checkChange(action: AzureChangeAction): readonly Fault[] {
  switch (action.kind) {
    case 'traffic-manager':
      return checkTraffic(action)
    case 'azure-load-balancer':
      return checkMember(action)
    case 'azure-dns':
      return checkRecords(action)
  }
}

function checkTraffic({ change }: TrafficManagerAction): readonly Fault[] {
  if (change.kind === 'status') return []
  if (change.kind === 'target') return checkEndpoint(change.to)
  const figure = change.kind === 'weight' ? change.weight : change.priority
  return faultsWhere([
    [
      !Number.isInteger(figure) || figure < 1 || figure > MOST_TRAFFIC,
      'bad-traffic-figure',
      `has a ${change.kind} that Traffic Manager does not allow`,
      `Give one from 1 to ${MOST_TRAFFIC}.`,
    ],
  ])
}

const NETWORK_ID =
  /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.Network\/virtualNetworks\/[^/]+$/i

function checkMember({ member, membership }: AzureLoadBalancerAction): readonly Fault[] {
  if (member.kind === 'adapter')
    return faultsWhere([
      [member.machine === null, 'no-machine', 'names no machine', 'Choose a machine of the plan.'],
    ])
  // Taken out it goes by its name alone.
  if (membership === 'out') return []
  return [
    ...checkEndpoint(member.address),
    ...faultsWhere([
      [
        !hasReference(member.network) && !NETWORK_ID.test(member.network.trim()),
        'no-network-id',
        'does not say of which virtual network the address is',
        'Copy the resource id of the network from its "Properties" in the portal: /subscriptions/…/virtualNetworks/….',
      ],
    ]),
  ]
}

function checkRecords({
  zone,
  recordName,
  recordType,
  ttlSeconds,
  values,
}: AzureDnsAction): readonly Fault[] {
  return [
    ...values.flatMap((value) => [...checkEndpoint(value), ...checkRecordValue(recordType, value)]),
    ...faultsWhere([
      [
        isBlank(recordName),
        'no-record',
        'does not say which record it changes',
        'Give the full name of a record within the zone.',
      ],
      [
        !isWithinZone(recordName, zone),
        'outside-zone',
        `changes "${recordName}", which is not in the zone "${zone}"`,
        'Give the full name of a record within the zone.',
      ],
      [
        values.length === 0,
        'no-address',
        'has no address',
        'Give an address, or choose a machine of the plan.',
      ],
      [
        recordType === 'CNAME' && values.length > 1,
        'many-names',
        'gives a CNAME record more than one name',
        'Leave one name.',
      ],
      [
        !Number.isInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > LONGEST_TTL_SECONDS,
        'bad-ttl',
        'has a time to live that Azure does not allow',
        'Give 1 s or more; 60 s lets clients follow quickly.',
      ],
    ]),
  ]
}

/** Pure. */
export const checkRunCommand = ({ machine, script, variables }: AzureRunCommandAction): readonly Fault[] => [
  ...faultsWhere([
    [machine === null, 'no-machine', 'names no machine', 'Choose a machine of the plan.'],
    [isBlank(script), 'no-script', 'has no script', 'Write down what is to be run.'],
    ...Object.keys(variables).map(
      (name) =>
        [
          !/^[A-Za-z_]\w*$/.test(name),
          'bad-variable',
          `sets a variable "${name}", which no program can read`,
          'Use letters, digits and "_" only.',
        ] as const,
    ),
  ]),
  ...(namesParameter(script)
    ? [
        {
          level: 'warning',
          code: 'parameter-in-script',
          message: 'names a parameter in the text of its script, where it stays as it is written',
          remedy: 'Give the script a variable that holds the parameter, and read that one.',
        } as const,
      ]
    : []),
]

/** Nobody puts back what a step has changed: a test that sends users to its copies is hardly meant. Pure. */
export const checkInTests = ({ action, kinds }: PlanStep): readonly Fault[] =>
  isAzureChange(action) && kinds.includes('test')
    ? [
        {
          level: 'warning',
          code: 'changes-in-tests',
          message: 'runs in tests as well, and changes where users are sent',
          remedy: 'Take "test" away from when it runs, unless what it changes is there for tests only.',
        },
      ]
    : []
