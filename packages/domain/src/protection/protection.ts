import type { Brand } from '@understudy/base/brand'
import type { Instant } from '@understudy/base/instant'
import { stateMachine } from '@understudy/base/state-machine'
import type { DiskKey, MachineHardware, MachineId, MachineRef } from '../machines/machine.ts'
import type { SiteId } from '../sites/site.ts'
import type { PolicyId } from './policy.ts'

export type ProtectionId = Brand<'ProtectionId'>
/** Names one replica in a replica store. A protection gets a new replica whenever its direction turns. */
export type ReplicaId = Brand<'ReplicaId'>
/** Names a consistency group: machines whose points are taken at one instant. */
export type GroupId = Brand<'GroupId'>

export type ProtectionState =
  | 'enabling'
  | 'seeding'
  | 'awaitingSeed'
  | 'protected'
  | 'resyncing'
  | 'paused'
  | 'broken'
  | 'failingOver'
  | 'failedOver'
  | 'rollingBack'
  | 'committing'
  | 'committed'
  | 'reprotecting'
  | 'ending'
  | 'gone'

/** Cycles are run for it. */
export const replicatingStates: readonly ProtectionState[] = ['seeding', 'protected', 'resyncing']

/** Read a row as: from here, only there. */
export const protectionLife = stateMachine<ProtectionState>('protection', {
  enabling: ['seeding', 'broken', 'ending'],
  seeding: ['protected', 'awaitingSeed', 'paused', 'broken', 'failingOver', 'ending'],
  // Its first copy travels on a disk: until it is imported, or given up, nothing goes over the line.
  // Imported, it can be failed over to before anything follows it.
  awaitingSeed: ['seeding', 'protected', 'paused', 'failingOver', 'ending'],
  protected: ['resyncing', 'paused', 'broken', 'failingOver', 'ending'],
  resyncing: ['protected', 'paused', 'broken', 'failingOver', 'ending'],
  paused: ['seeding', 'awaitingSeed', 'protected', 'resyncing', 'broken', 'failingOver', 'ending'],
  broken: ['seeding', 'resyncing', 'failingOver', 'ending'],
  // A failover that stops before its point of no return goes back to where it came from.
  failingOver: [
    'failedOver',
    'seeding',
    'awaitingSeed',
    'protected',
    'resyncing',
    'paused',
    'broken',
    'ending',
  ],
  failedOver: ['failingOver', 'rollingBack', 'committing', 'ending'],
  committing: ['committed', 'failedOver', 'ending'],
  rollingBack: ['protected', 'resyncing', 'failedOver', 'broken', 'ending'],
  committed: ['reprotecting', 'ending'],
  reprotecting: ['protected', 'committed', 'ending'],
  ending: ['gone'],
  gone: [],
})

/** `forward`: as first set up. `reverse`: after a reprotect, from the second site back to the first. */
export type Direction = 'forward' | 'reverse'

export type AdapterMapping = {
  /** Key of the source machine's adapter. */
  readonly adapterKey: string
  readonly failoverNetworkId: string | null
  readonly testNetworkId: string | null
  /** What the adapter is to have there, where the machine was prepared to take it. Left out: it asks for its address. */
  readonly failoverAddress?: AdapterAddress | undefined
  readonly testAddress?: AdapterAddress | undefined
}

/** `prefix`: `10.1.2.3/24`. */
export type AdapterAddress =
  | { readonly method: 'dhcp' }
  | {
      readonly method: 'static'
      readonly prefix: string
      readonly gateway: string | null
      readonly nameServers: readonly string[]
    }

/** One machine's standing order to be replicated from a source site to a target site. */
export type Protection = {
  readonly id: ProtectionId
  readonly name: string
  readonly state: ProtectionState
  /** Why it is in this state when that needs words (broken, resyncing, paused), else null. */
  readonly stateNote: string | null
  /** State to return to from `paused`, or from a `failingOver` that stopped early. */
  readonly resumeState: ProtectionState | null
  readonly direction: Direction
  readonly machineId: MachineId
  /** The machine that is replicated NOW: after a reprotect the one at the former target site. */
  readonly sourceSiteId: SiteId
  readonly sourceRef: MachineRef
  readonly targetSiteId: SiteId
  /** The machine at the target site that the replica may be brought back into (fail back to the original), else null. */
  readonly originalRef: MachineRef | null
  readonly policyId: PolicyId
  /** The consistency group that it belongs to, else null. */
  readonly groupId: GroupId | null
  readonly replicaId: ReplicaId
  /** Rises with every new writer of the replica. */
  readonly epoch: number
  readonly excludedDisks: readonly DiskKey[]
  readonly adapters: readonly AdapterMapping[]
  /** The source machine as last seen: failover must not need the source site. */
  readonly hardware: MachineHardware
  /** When somebody last asked for a cycle without waiting for its turn, else null. */
  readonly cycleAskedAt: Instant | null
  readonly createdAt: Instant
}
