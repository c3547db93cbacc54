// What a step does. Every text in an action may name a parameter of the plan: `{{name}}`.
import type { SiteId } from '../sites/site.ts'
import type { ItemId } from './plan-ids.ts'

/**
 * An address that is known, or the one a machine of the plan gets when it comes up. A step that names a machine never starts before
 * that machine is up.
 */
export type Endpoint =
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'machine'; readonly machine: ItemId }

/**
 * On our server, on the host of a site, beside its disks, or in the guest of a machine of the plan through its guest agent. Of a site
 * with several hosts the first one of its settings is meant.
 */
export type ScriptPlace =
  | { readonly kind: 'server' }
  | { readonly kind: 'site'; readonly site: SiteId }
  | { readonly kind: 'guest'; readonly machine: ItemId }

/** A program and its arguments, never a shell's line: nothing that a parameter holds can become a command. */
export type Command = {
  readonly where: ScriptPlace
  readonly command: string
  readonly arguments: readonly string[]
  readonly environment: Readonly<Record<string, string>>
}

/** Who may answer: this role or one that may do more. */
export type AnswererRole = 'operator' | 'contributor' | 'owner'

// A timeout of 0 means that nobody has chosen one: the plan is not valid before somebody has.

/** Succeeds with exit code 0. */
export type ScriptAction = Command & { readonly kind: 'script'; readonly timeoutSeconds: number }

/** Somebody does what is written there and says so. */
export type ManualAction = {
  readonly kind: 'manual'
  readonly instructions: string
  readonly assigneeRole: AnswererRole
  readonly timeoutSeconds: number
  /** When nobody has answered in time. */
  readonly whenTimedOut: 'fail' | 'continue'
}

/** Somebody other than who asked for the run lets it go on. Without an answer in time it has failed: silence approves nothing. */
export type ApprovalAction = {
  readonly kind: 'approval'
  readonly question: string
  readonly approverRole: AnswererRole
  readonly timeoutSeconds: number
}

export type WaitAction = { readonly kind: 'wait'; readonly seconds: number }

export type ProbeCheck =
  | { readonly kind: 'tcp'; readonly target: Endpoint; readonly port: number }
  | {
      readonly kind: 'http'
      readonly target: Endpoint
      readonly scheme: 'http' | 'https'
      readonly port: number
      /** From the slash on, with the query if there is one. */
      readonly path: string
      readonly expectedStatus: number
      /** Somewhere in the body; empty: any body. */
      readonly expectedText: string
    }
  /** The probe is green with exit code 0. */
  | (Command & { readonly kind: 'script' })

/** Repeated every `intervalSeconds` until it is as wished; not within the timeout: failed. */
export type ProbeAction = {
  readonly kind: 'probe'
  readonly check: ProbeCheck
  /** `red`: until it no longer answers, as when an old address has to be free first. */
  readonly until: 'green' | 'red'
  readonly intervalSeconds: number
  readonly timeoutSeconds: number
}

export type HttpAction = {
  readonly kind: 'http'
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** Any other answer is a failure. */
  readonly expectedStatuses: readonly number[]
  readonly timeoutSeconds: number
}

export type DnsRecordType = 'A' | 'AAAA' | 'CNAME' | 'TXT'

/** RFC 8945: who may change the zone. */
export type TsigKey = {
  readonly name: string
  readonly algorithm: 'hmac-sha256' | 'hmac-sha384' | 'hmac-sha512'
  /** Name of the parameter that holds the key in base64. It must be a secret. */
  readonly secretParameter: string
}

/** Replaces what the zone has of this name and type, by an RFC 2136 update. */
export type DnsAction = {
  readonly kind: 'dns'
  /** Name or address, with `:port` when it is not 53. */
  readonly server: string
  readonly zone: string
  /** Fully qualified, within the zone. */
  readonly recordName: string
  readonly recordType: DnsRecordType
  readonly ttlSeconds: number
  readonly value: Endpoint
  readonly tsig: TsigKey | null
  readonly timeoutSeconds: number
}

/** A change through the runtime API of HAProxy: it lasts until HAProxy is started again. */
export type LoadBalancerAction = {
  readonly kind: 'load-balancer'
  /** `host:port`, or the path of the UNIX socket. */
  readonly socket: string
  /** HAProxy reads several commands from one line: once parameters are in, isLoadBalancerName must still hold. */
  readonly backend: string
  readonly server: string
  readonly change:
    | { readonly kind: 'state'; readonly state: 'ready' | 'drain' | 'maint' }
    | { readonly kind: 'address'; readonly to: Endpoint; readonly port: number }
  readonly timeoutSeconds: number
}

/**
 * Where something lies in Azure: the sign-in and the subscription are those of a site whose replicas run there. `site` null: nobody has
 * chosen one. `resourceGroup` empty: that of the site.
 */
export type AzurePlace = { readonly site: SiteId | null; readonly resourceGroup: string }

/** One setting of one endpoint of a Traffic Manager profile; the rest of it stays. */
export type TrafficManagerAction = AzurePlace & {
  readonly kind: 'traffic-manager'
  readonly profile: string
  readonly endpoint: string
  readonly change:
    | { readonly kind: 'status'; readonly status: 'enabled' | 'disabled' }
    /** Counts where the profile routes by weight. */
    | { readonly kind: 'weight'; readonly weight: number }
    /** Counts where it routes by priority; the lowest that is well gets everything. */
    | { readonly kind: 'priority'; readonly priority: number }
    /** Of an external endpoint: an address that everybody reaches, or a name. */
    | { readonly kind: 'target'; readonly to: Endpoint }
  readonly timeoutSeconds: number
}

/** A back-end pool of a load balancer of Azure holds network adapters or addresses, never both. */
export type AzureLoadBalancerAction = AzurePlace & {
  readonly kind: 'azure-load-balancer'
  readonly loadBalancer: string
  readonly pool: string
  /** Whether it is in the pool afterwards. */
  readonly membership: 'in' | 'out'
  readonly member: /** The first adapter of a machine of the plan that runs at the site. Null: nobody has chosen one. */
    | { readonly kind: 'adapter'; readonly machine: ItemId | null }
    /** An address of the pool, by its name there. `network`: the resource id of the virtual network that it is of. */
    | {
        readonly kind: 'entry'
        readonly name: string
        readonly address: Endpoint
        readonly network: string
      }
  readonly timeoutSeconds: number
}

export type AzureRecordType = 'A' | 'AAAA' | 'CNAME'

/** Replaces what a zone of Azure DNS has of this name and type. */
export type AzureDnsAction = AzurePlace & {
  readonly kind: 'azure-dns'
  readonly zone: string
  readonly zoneKind: 'public' | 'private'
  /** Fully qualified, within the zone. */
  readonly recordName: string
  readonly recordType: AzureRecordType
  readonly ttlSeconds: number
  readonly values: readonly Endpoint[]
  readonly timeoutSeconds: number
}

/** A script in a machine of the plan that runs in Azure, through Azure's agent in its guest. Succeeds with exit code 0. */
export type AzureRunCommandAction = {
  readonly kind: 'azure-run-command'
  /** Null: nobody has chosen one. */
  readonly machine: ItemId | null
  /** Bash on Linux, PowerShell on Windows. No parameter of the plan is put into it: nothing that one holds can become a command. */
  readonly script: string
  /** By name: variables of the environment on Linux, parameters of the script on Windows. Azure shows them to nobody. */
  readonly variables: Readonly<Record<string, string>>
  readonly timeoutSeconds: number
}

export type StepAction =
  | ScriptAction
  | ManualAction
  | ApprovalAction
  | WaitAction
  | ProbeAction
  | HttpAction
  | DnsAction
  | LoadBalancerAction
  | TrafficManagerAction
  | AzureLoadBalancerAction
  | AzureDnsAction
  | AzureRunCommandAction

export type StepKind = StepAction['kind']

/** What each kind is called, for people. */
export const wordsOfStepKind: Record<StepKind, string> = {
  script: 'script',
  manual: 'manual action',
  approval: 'approval',
  wait: 'wait',
  probe: 'probe',
  http: 'HTTP call',
  dns: 'DNS update',
  'load-balancer': 'load balancer change',
  'traffic-manager': 'Traffic Manager change',
  'azure-load-balancer': 'Azure load balancer change',
  'azure-dns': 'Azure DNS change',
  'azure-run-command': 'Azure run command',
}

/** What HAProxy takes as the name of a backend or a server: none of its separators. Pure. */
export const isLoadBalancerName = (name: string): boolean => /^[\w.:-]+$/.test(name)

/** Of a resource or its group: nothing that could mean another place in a path. Pure. */
export const isAzureName = (name: string): boolean => /^(?!\.+$)[\p{L}\p{N}_().-]{1,90}$/u.test(name)

/** The machines of the plan that an action names. Pure. */
export function machinesOfAction(action: StepAction): readonly ItemId[] {
  switch (action.kind) {
    case 'script':
      return machineOf(action.where)
    case 'probe':
      return machineOf(action.check.kind === 'script' ? action.check.where : action.check.target)
    case 'dns':
      return machineOf(action.value)
    case 'load-balancer':
      return action.change.kind === 'address' ? machineOf(action.change.to) : []
    case 'traffic-manager':
      return action.change.kind === 'target' ? machineOf(action.change.to) : []
    case 'azure-load-balancer':
      if (action.member.kind === 'entry') return machineOf(action.member.address)
      return action.member.machine === null ? [] : [action.member.machine]
    case 'azure-dns':
      return action.values.flatMap(machineOf)
    case 'azure-run-command':
      return action.machine === null ? [] : [action.machine]
    case 'manual':
    case 'approval':
    case 'wait':
    case 'http':
      return []
  }
}

/** The program that the action runs, if it runs one. Pure. */
export function commandOf(action: StepAction): Command | null {
  if (action.kind === 'script') return action
  return action.kind === 'probe' && action.check.kind === 'script' ? action.check : null
}

/** Where a program may do what Understudy itself may, and not only what a guest may. Pure. */
export const isOurs = ({ kind }: ScriptPlace): boolean => kind !== 'guest'

/** An action that changes what sends users somewhere, with the sign-in of a site. */
export type AzureChangeAction = TrafficManagerAction | AzureLoadBalancerAction | AzureDnsAction

/** Pure. */
export const isAzureChange = (action: StepAction): action is AzureChangeAction =>
  action.kind === 'traffic-manager' || action.kind === 'azure-load-balancer' || action.kind === 'azure-dns'

/** The site on whose host the action runs a program, or whose sign-in it uses; null: none. Pure. */
export function siteOfAction(action: StepAction): SiteId | null {
  if (isAzureChange(action)) return action.site
  const where = commandOf(action)?.where
  return where?.kind === 'site' ? where.site : null
}

/** The action with its site (`siteOfAction`) said otherwise. Pure. */
export function mapSite(action: StepAction, change: (site: SiteId) => SiteId): StepAction {
  const moved = <Place extends ScriptPlace>(where: Place): Place =>
    where.kind === 'site' ? { ...where, site: change(where.site) } : where
  if (isAzureChange(action)) return action.site === null ? action : { ...action, site: change(action.site) }
  if (action.kind === 'script') return { ...action, where: moved(action.where) }
  if (action.kind !== 'probe' || action.check.kind !== 'script') return action
  return { ...action, check: { ...action.check, where: moved(action.check.where) } }
}

const machineOf = (place: Endpoint | ScriptPlace): readonly ItemId[] =>
  place.kind === 'machine' || place.kind === 'guest' ? [place.machine] : []
