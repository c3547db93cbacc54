// What a group, a machine and each kind of step begin as. Pure.
import {
  addGroup,
  isStep,
  itemsOf,
  machinesOf,
  type PlanGroup,
  type PlanMachine,
  type PlanStep,
  type StepKind,
} from '@understudy/contract/plan-editing'
import {
  type GroupId,
  type ItemId,
  idFor,
  type Plan,
  type ProtectionId,
  type StepAction,
} from './plan-draft.ts'

type Endpoint = Extract<StepAction, { readonly kind: 'dns' }>['value']

export const newMachine = (protectionId: ProtectionId, uuid: string): PlanMachine => ({
  id: idFor('machine', uuid) as ItemId,
  protectionId,
  needs: [],
  whenItFails: 'stop',
})

/**
 * For every kind of run and both directions: whoever wants less says so. What changes where users are sent in Azure is not for tests:
 * nobody puts it back.
 */
export const newStep = (kind: StepKind, uuid: string, machine: ItemId | null): PlanStep => ({
  id: idFor(kind, uuid) as ItemId,
  name: titleOfStepKind[kind],
  needs: [],
  whenItFails: 'stop',
  kinds: isAzureChange(kind) ? realKinds : ['test', ...realKinds],
  directions: ['forward', 'reverse'],
  action: newAction(kind, machine),
})

const realKinds = ['planned', 'unplanned', 'fail-back'] as const

const isAzureChange = (kind: StepKind): boolean =>
  kind === 'traffic-manager' || kind === 'azure-load-balancer' || kind === 'azure-dns'

export const titleOfStepKind: Record<StepKind, string> = {
  script: 'Script',
  probe: 'Probe',
  manual: 'Manual action',
  approval: 'Approval',
  wait: 'Wait',
  http: 'HTTP call',
  dns: 'DNS update',
  'load-balancer': 'Load balancer',
  'traffic-manager': 'Traffic Manager',
  'azure-load-balancer': 'Azure load balancer',
  'azure-dns': 'Azure DNS',
  'azure-run-command': 'Azure run command',
}

export const newGroup = (plan: Plan, uuid: string): PlanGroup => ({
  id: idFor('group', uuid) as GroupId,
  name: freshName(plan),
  start: 'in-order',
  before: [],
  machines: [],
  after: [],
})

export const withNewGroup = (plan: Plan, uuid: string, index = plan.groups.length): Plan =>
  addGroup(plan, newGroup(plan, uuid), index)

/** The same again right behind it, under an id of its own. Of a machine there is only one. */
export function copyOfStep(plan: Plan, id: ItemId, uuid: string): PlanStep | null {
  const item = itemsOf(plan).find((placed) => placed.item.id === id)?.item
  if (!item || !isStep(item)) return null
  return { ...item, id: idFor(item.action.kind, uuid) as ItemId, name: `${item.name} (copy)` }
}

/** Steps mostly look at a machine of their own group, and else at the first one there is. */
export const likelyMachine = (plan: Plan, groupId: GroupId | null): ItemId | null =>
  (plan.groups.find(({ id }) => id === groupId)?.machines[0] ?? machinesOf(plan)[0])?.id ?? null

function freshName({ groups }: Plan): string {
  const taken = new Set(groups.map(({ name }) => name))
  for (let number = groups.length + 1; ; number += 1)
    if (!taken.has(`Group ${number}`)) return `Group ${number}`
}

export function newAction(kind: StepKind, machine: ItemId | null): StepAction {
  const target: Endpoint = machine === null ? { kind: 'address', address: '' } : { kind: 'machine', machine }
  switch (kind) {
    case 'script':
      return { kind, ...newCommand, timeoutSeconds: 300 }
    case 'manual':
      return {
        kind,
        instructions: '',
        assigneeRole: 'operator',
        timeoutSeconds: 1800,
        whenTimedOut: 'fail',
      }
    case 'approval':
      return { kind, question: '', approverRole: 'operator', timeoutSeconds: 1800 }
    case 'wait':
      return { kind, seconds: 30 }
    case 'probe':
      return {
        kind,
        check: { kind: 'tcp', target, port: 443 },
        until: 'green',
        intervalSeconds: 5,
        timeoutSeconds: 300,
      }
    case 'http':
      return {
        kind,
        method: 'POST',
        url: '',
        headers: {},
        body: '',
        expectedStatuses: [200, 204],
        timeoutSeconds: 30,
      }
    case 'dns':
      return {
        kind,
        server: '',
        zone: '',
        recordName: '',
        recordType: 'A',
        ttlSeconds: 60,
        value: target,
        tsig: null,
        timeoutSeconds: 30,
      }
    case 'load-balancer':
      return {
        kind,
        socket: '',
        backend: '',
        server: '',
        change: { kind: 'state', state: 'ready' },
        timeoutSeconds: 30,
      }
    case 'traffic-manager':
      return {
        kind,
        ...nowhere,
        profile: '',
        endpoint: '',
        change: { kind: 'status', status: 'enabled' },
        timeoutSeconds: 120,
      }
    case 'azure-load-balancer':
      return {
        kind,
        ...nowhere,
        loadBalancer: '',
        pool: '',
        membership: 'in',
        member: { kind: 'adapter', machine },
        timeoutSeconds: 300,
      }
    case 'azure-dns':
      return {
        kind,
        ...nowhere,
        zone: '',
        zoneKind: 'public',
        recordName: '',
        recordType: 'A',
        ttlSeconds: 60,
        values: [target],
        timeoutSeconds: 120,
      }
    case 'azure-run-command':
      return { kind, machine, script: '', variables: {}, timeoutSeconds: 600 }
  }
}

/** Somebody has to choose whose sign-in it is. */
const nowhere = { site: null, resourceGroup: '' }

export const newCommand = {
  where: { kind: 'server' },
  command: '',
  arguments: [],
  environment: {},
} as const
