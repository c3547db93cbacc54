import type { Instant } from '@understudy/base/instant'
import type { Site } from '@understudy/domain/sites/site'
import type { CloudServices } from './cloud-services.ts'
import type { HostPrograms } from './host-programs.ts'
import type { ReplicaStore } from './replica-store.ts'
import type { SourcePlatform } from './source-platform.ts'
import type { RescuedOriginals, TargetPlatform } from './target-platform.ts'

/** What one registered site can do. What its platform lacks is absent. */
export type SitePlatform = {
  readonly source?: SourcePlatform
  readonly target?: TargetPlatform
  /** Runs programs on the site's own host. Asks nobody yet. */
  readonly hostPrograms?: HostPrograms
  /** In the subscription of the site, with its sign-in. Asks nobody yet. */
  readonly cloudServices?: CloudServices
  /** Where `target` is absent: what can be done with a replica there all the same, for a person who needs its machine. */
  readonly withoutTarget?: string
  /**
   * Where `target` is absent: how its machines come home all the same. Nothing but a person's hand starts one of them meanwhile, so that what
   * cannot be asked about an original does not keep its protection from turning: see `obstacle`.
   */
  readonly originals?: RescuedOriginals
  /** Where replicas that run at this site are kept. Absent: none are kept here. */
  readonly replicas?: ReplicaStore
  /** When its sign-in ends by itself, as far as that is known; absent: it does not. */
  readonly signInEndsAt?: Instant
  /** Throws Refusal (settings, keys, rights) or Outage (not reachable), each saying what to do. Returns what was found. */
  checkConnection(signal?: AbortSignal): Promise<{ readonly summary: string }>
  close(): Promise<void>
}

/** Finds the adapter of a site. compose.ts builds it; the engine never names a platform. */
export interface Platforms {
  /** Its `replicas` is the same object until the site is saved with other settings or secrets: what was opened from it is opened anew then. */
  of(site: Site): Promise<SitePlatform>
  /** The same without registering: for the connection test of a site that is not saved yet. Closed by the caller. */
  preview(site: Site, secrets: Readonly<Record<string, string>>): Promise<SitePlatform>
  /**
   * To whom each secret is shown with these settings, by its name; one that is shown to nobody is absent. A kept secret stays for the same
   * place only. Throws Refusal when the settings are wrong.
   */
  secretPlaces(site: Pick<Site, 'platform' | 'settings'>): Readonly<Record<string, string>>
  /** The site's settings changed or it was removed. */
  forget(siteId: Site['id']): Promise<void>
}
