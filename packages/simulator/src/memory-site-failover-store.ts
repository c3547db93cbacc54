// Failovers of sites without a database: the model that the PostgreSQL store is judged by.
import { Refusal } from '@understudy/base/errors'
import type {
  GivenParameters,
  SiteFailover,
  SiteFailoverId,
} from '@understudy/domain/recovery-plans/site-failover'
import type { SiteFailoverStore } from '@understudy/engine/ports/site-failover-store'
import { copies, copy, type Listed, pageOf } from './memory-rows.ts'

/** Every operation is atomic: nothing awaits between reading and writing. */
export function memorySiteFailoverStore(): SiteFailoverStore {
  const rows = new Map<SiteFailoverId, Listed<SiteFailover>>()
  const givens = new Map<SiteFailoverId, GivenParameters>()
  const running = (): SiteFailover[] =>
    [...rows.values()].map(({ row }) => row).filter(({ state }) => state === 'running')
  return {
    async create(failover, given = {}) {
      if (rows.has(failover.id)) return
      if (failover.state === 'running' && running().some(({ siteId }) => siteId === failover.siteId))
        throw isRunning(failover.siteName)
      rows.set(failover.id, { at: failover.startedAt, order: rows.size, row: copy(failover) })
      givens.set(failover.id, copy(given))
    },
    given: async (id) => copy(givens.get(id) ?? {}),
    find: async (id) => copy(rows.get(id)?.row ?? null),
    list: async (page) => pageOf(rows.values(), page),
    active: async () => copies(running()),
    async save(next) {
      const listed = rows.get(next.id)
      if (listed?.row.state !== 'running' || listed.row.revision !== next.revision - 1) return false
      rows.set(next.id, { ...listed, row: copy(next) })
      if (next.state === 'done') givens.delete(next.id)
      return true
    },
    async trim(before) {
      const old = [...rows.values()].filter(({ row }) => row.endedAt !== null && row.endedAt < before)
      for (const { row } of old) rows.delete(row.id)
      return old.length
    },
  }
}

const isRunning = (name: string): Refusal =>
  new Refusal({
    code: 'site-failover/running',
    message: `The plans of "${name}" are being failed over already`,
    remedy: 'Watch that one, or stop it first.',
  })
