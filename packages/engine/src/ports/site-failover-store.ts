// How the failovers of whole sites are kept. PostgreSQL in the product, plain memory in tests: same contract suite.
import type { Instant } from '@understudy/base/instant'
import type {
  GivenParameters,
  SiteFailover,
  SiteFailoverId,
} from '@understudy/domain/recovery-plans/site-failover'
import type { Page, PageRequest } from './page.ts'

export interface SiteFailoverStore {
  /** One of this id that is there already stays as it is. Refuses a second one that runs for a site (`site-failover/running`). */
  create(failover: SiteFailover, given?: GivenParameters): Promise<void>
  /** What it was created with, as long as it runs: sealed, and gone with its end. */
  given(id: SiteFailoverId): Promise<GivenParameters>
  find(id: SiteFailoverId): Promise<SiteFailover | null>
  /** From new to old. */
  list(page: PageRequest): Promise<Page<SiteFailover>>
  /** Those that run. */
  active(): Promise<readonly SiteFailover[]>
  /** Compare and set: returns false, changing nothing, unless the one that is kept has the revision before `next.revision` and runs. */
  save(next: SiteFailover): Promise<boolean>
  /** Bounded history: drops those that ended before. Returns how many. */
  trim(before: Instant): Promise<number>
}
