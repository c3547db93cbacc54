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

export type StepAction =
  | ScriptAction
  | ManualAction
  | ApprovalAction
  | WaitAction
  | ProbeAction
  | HttpAction
  | DnsAction
  | LoadBalancerAction

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
}

/** What HAProxy takes as the name of a backend or a server: none of its separators. Pure. */
export const isLoadBalancerName = (name: string): boolean => /^[\w.:-]+$/.test(name)

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

/** The site on whose host the action runs a program; null: it does not. Pure. */
export function siteOfAction(action: StepAction): SiteId | null {
  const where = commandOf(action)?.where
  return where?.kind === 'site' ? where.site : null
}

/** The action with the site that it runs a program at said otherwise. Pure. */
export function mapSite(action: StepAction, change: (site: SiteId) => SiteId): StepAction {
  const moved = <Place extends ScriptPlace>(where: Place): Place =>
    where.kind === 'site' ? { ...where, site: change(where.site) } : where
  if (action.kind === 'script') return { ...action, where: moved(action.where) }
  if (action.kind !== 'probe' || action.check.kind !== 'script') return action
  return { ...action, check: { ...action.check, where: moved(action.check.where) } }
}

const machineOf = (place: Endpoint | ScriptPlace): readonly ItemId[] =>
  place.kind === 'machine' || place.kind === 'guest' ? [place.machine] : []
