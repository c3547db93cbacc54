// What the steps of plans ask of a cloud: what sends users somewhere, and scripts in machines that run there.
import type { Instant } from '@understudy/base/instant'
import type { Finding, MachineRef } from '@understudy/domain/machines/machine'
import type { AzureRecordType, TrafficManagerAction } from '@understudy/domain/recovery-plans/step-action'

/** Names are checked (`isAzureName`). */
export type CloudPlace = {
  /** Empty: that of the site. */
  readonly resourceGroup: string
}

export type TrafficChange = CloudPlace & {
  readonly profile: string
  readonly endpoint: string
  readonly change:
    | Exclude<TrafficManagerAction['change'], { readonly kind: 'target' }>
    /** The first one that everybody can reach is taken; a name is one, too. */
    | { readonly kind: 'target'; readonly addresses: readonly string[] }
}

export type PoolChange = CloudPlace & {
  readonly loadBalancer: string
  readonly pool: string
  readonly membership: 'in' | 'out'
  readonly member:
    | { readonly kind: 'adapter'; readonly machine: MachineRef }
    | {
        readonly kind: 'entry'
        readonly name: string
        /** Left out where it is taken out. */
        readonly address?: string
        readonly network: string
      }
}

export type RecordSet = CloudPlace & {
  readonly zone: string
  readonly zoneKind: 'public' | 'private'
  /** Within the zone; `@`: the zone itself. */
  readonly name: string
  readonly type: AzureRecordType
  readonly ttlSeconds: number
  readonly values: readonly string[]
}

/** What a step is to change or use. */
export type CloudThing = CloudPlace &
  (
    | { readonly kind: 'traffic'; readonly profile: string; readonly endpoint: string }
    | {
        readonly kind: 'pool'
        readonly loadBalancer: string
        readonly pool: string
        /** The adapter of a machine joins it; else an address is written into it. */
        readonly ofAdapters: boolean
      }
    | {
        readonly kind: 'records'
        readonly zone: string
        readonly zoneKind: 'public' | 'private'
        readonly type: AzureRecordType
      }
    | { readonly kind: 'script' }
  )

export type CloudScript = {
  readonly text: string
  readonly variables: Readonly<Record<string, string>>
  /** The cloud ends it then, whether we live or not. Like all else the same whenever an id is begun, or a cloud would take it for another one. */
  readonly limitSeconds: number
  /** When we end it. */
  readonly deadline: Instant
}

export type CloudScriptState =
  /** Also while the cloud has yet to bring it to the guest. */
  | { readonly kind: 'running' }
  /** It was not begun there, or what was known of it has been removed. */
  | { readonly kind: 'unknown' }
  /** The cloud could not have it run, or says no more than that it failed. */
  | { readonly kind: 'failed'; readonly message: string }
  | {
      readonly kind: 'ended'
      readonly exitCode: number
      /** Both streams, one after the other; the cloud keeps little of them. */
      readonly output: string
    }
  | { readonly kind: 'timeout' | 'cancelled'; readonly output: string }

/**
 * `id`: `[a-z0-9-]{1,36}`, unique for ever. Every call is a Refusal when the cloud does not allow it or knows no such machine, and an
 * Outage while it does not answer.
 */
export interface CloudScripts {
  /** Has it run once for this id, however often it is asked; resolves when the cloud has taken it on. */
  begin(id: string, machine: MachineRef, script: CloudScript, signal: AbortSignal): Promise<void>
  state(id: string, machine: MachineRef, signal: AbortSignal): Promise<CloudScriptState>
  /** Has it ended; resolves when the cloud has taken that on. One that has ended, or is not there, is fine. */
  end(id: string, machine: MachineRef, signal: AbortSignal): Promise<void>
}

/**
 * The changes set a state and read it back, so they may be repeated, and return what is so now, in one line for a person. Refusal: it
 * cannot be done as things stand. Outage: it may be done by now, or later; ask again.
 */
export interface CloudServices {
  /** What would keep a step from its work as things stand: what is not there, or may not be changed. Touches nothing, and is kept for a minute. */
  check(thing: CloudThing): Promise<readonly Finding[]>
  changeTraffic(change: TrafficChange, signal: AbortSignal): Promise<string>
  changePool(change: PoolChange, signal: AbortSignal): Promise<string>
  setRecords(records: RecordSet, signal: AbortSignal): Promise<string>
  readonly scripts: CloudScripts
}
