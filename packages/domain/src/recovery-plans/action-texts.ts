// The texts of an action: the places where `{{name}}` means a parameter.
import {
  type AzureLoadBalancerAction,
  type Command,
  type Endpoint,
  isOurs,
  type ProbeCheck,
  type StepAction,
} from './step-action.ts'

/**
 * Who sees a text while the step runs. `private`: only what it is for. `exposed`: also the process list or somebody's log, as with
 * arguments and URLs. `shown`: people, or everybody who asks a name server.
 */
export type TextUse = 'private' | 'exposed' | 'shown'

type ChangeText = (text: string, use: TextUse) => string

/** The action with every text that may name parameters changed. Names of variables and headers, and paths of ids, stay. Pure. */
export function mapTexts(action: StepAction, change: ChangeText): StepAction {
  switch (action.kind) {
    case 'script':
      return { ...action, ...mapCommand(action, change) }
    case 'manual':
      return { ...action, instructions: change(action.instructions, 'shown') }
    case 'approval':
      return { ...action, question: change(action.question, 'shown') }
    case 'wait':
      return action
    case 'probe':
      return { ...action, check: mapCheck(action.check, change) }
    case 'http':
      return {
        ...action,
        url: change(action.url, 'exposed'),
        headers: mapValues(action.headers, change),
        body: change(action.body, 'private'),
      }
    case 'dns':
      return {
        ...action,
        server: change(action.server, 'exposed'),
        zone: change(action.zone, 'shown'),
        recordName: change(action.recordName, 'shown'),
        value: mapEndpoint(action.value, change, 'shown'),
      }
    case 'load-balancer':
      return {
        ...action,
        socket: change(action.socket, 'exposed'),
        backend: change(action.backend, 'exposed'),
        server: change(action.server, 'exposed'),
        change:
          action.change.kind === 'address'
            ? { ...action.change, to: mapEndpoint(action.change.to, change, 'exposed') }
            : action.change,
      }
    case 'traffic-manager':
      return {
        ...action,
        resourceGroup: change(action.resourceGroup, 'exposed'),
        profile: change(action.profile, 'exposed'),
        endpoint: change(action.endpoint, 'exposed'),
        change:
          action.change.kind === 'target'
            ? { ...action.change, to: mapEndpoint(action.change.to, change, 'shown') }
            : action.change,
      }
    case 'azure-load-balancer':
      return {
        ...action,
        resourceGroup: change(action.resourceGroup, 'exposed'),
        loadBalancer: change(action.loadBalancer, 'exposed'),
        pool: change(action.pool, 'exposed'),
        member: mapMember(action.member, change),
      }
    case 'azure-dns':
      return {
        ...action,
        resourceGroup: change(action.resourceGroup, 'exposed'),
        zone: change(action.zone, 'shown'),
        recordName: change(action.recordName, 'shown'),
        values: action.values.map((value) => mapEndpoint(value, change, 'shown')),
      }
    case 'azure-run-command':
      // Not the script: whoever sets a parameter would write a part of a program.
      return { ...action, variables: mapValues(action.variables, change) }
  }
}

const mapMember = (
  member: AzureLoadBalancerAction['member'],
  change: ChangeText,
): AzureLoadBalancerAction['member'] =>
  member.kind === 'adapter'
    ? member
    : {
        ...member,
        name: change(member.name, 'exposed'),
        address: mapEndpoint(member.address, change, 'exposed'),
        network: change(member.network, 'exposed'),
      }

function mapCheck(check: ProbeCheck, change: ChangeText): ProbeCheck {
  switch (check.kind) {
    case 'tcp':
      return { ...check, target: mapEndpoint(check.target, change, 'exposed') }
    case 'http':
      return {
        ...check,
        target: mapEndpoint(check.target, change, 'exposed'),
        path: change(check.path, 'exposed'),
        expectedText: change(check.expectedText, 'private'),
      }
    case 'script':
      return { ...check, ...mapCommand(check, change) }
  }
}

const mapCommand = (
  { command, arguments: given, environment }: Command,
  change: ChangeText,
): Pick<Command, 'command' | 'arguments' | 'environment'> => ({
  command: change(command, 'exposed'),
  arguments: given.map((argument) => change(argument, 'exposed')),
  environment: mapValues(environment, change),
})

const mapEndpoint = (endpoint: Endpoint, change: ChangeText, use: TextUse): Endpoint =>
  endpoint.kind === 'address' ? { ...endpoint, address: change(endpoint.address, use) } : endpoint

const mapValues = (
  values: Readonly<Record<string, string>>,
  change: ChangeText,
): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value, 'private')]))

export type ParameterReference = { readonly name: string; readonly use: TextUse }

/** `{{ name }}`, blanks or none. Other programs' `{{.Name}}` and `{{#if}}` are left alone. */
const reference = /\{\{\s*([A-Za-z][\w-]*)\s*\}\}/g

/** Whether a text names a parameter, as `replaceReferences` would find it. Pure. */
export const namesParameter = (text: string): boolean => text.search(reference) >= 0

/** The names of the parameters in a text. Pure. */
export const parametersIn = (text: string): readonly string[] =>
  [...text.matchAll(reference)].flatMap(([, name]) => (name === undefined ? [] : [name]))

/** On our own server, or on a host: whoever may set the parameter could then run anything there. Pure. */
export const isChosenByParameter = ({ where, command }: Pick<Command, 'where' | 'command'>): boolean =>
  isOurs(where) && namesParameter(command)

export const isParameterName = (name: string): boolean => /^[A-Za-z][\w-]*$/.test(name)

/** Each text once over, from left to right; what is put in is not read again. Pure. */
export const replaceReferences = (text: string, toValue: (name: string) => string): string =>
  text.replaceAll(reference, (_whole, name: string) => toValue(name))

/** Every parameter that the texts of an action name, and the key of a DNS update. Pure. */
export function referencesOf(action: StepAction): readonly ParameterReference[] {
  const found: ParameterReference[] = []
  mapTexts(action, (text, use) => {
    for (const name of parametersIn(text)) found.push({ name, use })
    return text
  })
  if (action.kind === 'dns' && action.tsig) found.push({ name: action.tsig.secretParameter, use: 'private' })
  return found
}
