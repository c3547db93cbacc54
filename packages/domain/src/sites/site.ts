import type { Brand } from '@understudy/base/brand'
import type { Instant } from '@understudy/base/instant'

export type SiteId = Brand<'SiteId'>

/** The kind of place a site is. A platform is a folder in `packages/drivers`. */
export type Platform = 'kvm' | 'simulated' | 'azure' | 'physical'

export type SiteHealth = 'unknown' | 'healthy' | 'degraded' | 'unreachable'

/** A place with one platform. `settings` belong to the platform's driver, which checks them; secrets are kept apart, encrypted. */
export type Site = {
  readonly id: SiteId
  readonly name: string
  readonly platform: Platform
  readonly settings: Readonly<Record<string, unknown>>
  readonly health: SiteHealth
  /** Why the health is not `healthy`, for a person. */
  readonly healthNote: string | null
  readonly checkedAt: Instant | null
  readonly createdAt: Instant
}

/** The account that every emulator of Azure Storage has, and no account in Azure may be called. */
const EMULATED_ACCOUNT = 'devstoreaccount1'

/** Not the real thing: said wherever the site is shown. Pure. */
export const isEmulated = ({ settings }: Pick<Site, 'settings'>): boolean =>
  settings.account === EMULATED_ACCOUNT

/** A network that a replica can be connected to. */
export type Network = {
  readonly id: string
  readonly name: string
  /** An isolated network lets nothing out: the only kind that a test failover may use unless the operator insists. */
  readonly isolated: boolean
  readonly description: string
}
