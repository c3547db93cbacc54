// Everything the control plane remembers, in PostgreSQL.
import { invariant } from '@understudy/base/invariant'
import type { ControlPlaneStores } from '@understudy/engine/ports/access-stores'
import type { Stores } from '@understudy/engine/ports/stores'
import { agentStore } from './agent-store.ts'
import { alertStore } from './alert-store.ts'
import { auditStore } from './audit-store.ts'
import { bandwidthStore } from './bandwidth-store.ts'
import { openDatabase, withFailures } from './database.ts'
import { displayLinkStore } from './display-link-store.ts'
import { eventStore } from './event-store.ts'
import { evidenceStore } from './evidence-store.ts'
import { groupStore } from './group-store.ts'
import { historyStore } from './history-store.ts'
import { idempotencyStore } from './idempotency-store.ts'
import { jobStore } from './job-store.ts'
import { leaseStore } from './lease-store.ts'
import { machineStore } from './machine-store.ts'
import { planRunStore } from './plan-run-store.ts'
import { planStore } from './plan-store.ts'
import { policyStore } from './policy-store.ts'
import { protectionStore } from './protection-store.ts'
import { receiverStore } from './receiver-store.ts'
import { runStore } from './run-store.ts'
import { secretKeyBytes } from './secret-box.ts'
import { seedStore } from './seed-store.ts'
import { sessionStore } from './session-store.ts'
import { setupStore } from './setup-store.ts'
import { siteFailoverStore } from './site-failover-store.ts'
import { siteStore } from './site-store.ts'
import { testStore } from './test-store.ts'
import { tokenStore } from './token-store.ts'
import { userStore } from './user-store.ts'

export type StoreOptions = {
  readonly databaseUrl: string
  /** 32 bytes (see secret-key.ts): seals the secrets of sites and of recovery plans, and passphrases. */
  readonly secretKey: Buffer
  /** Most connections of this process's stores; the durable jobs and the sockets have their own. */
  readonly connections?: number
}

export type OpenedStores = Stores & ControlPlaneStores & { close(): Promise<void> }

/**
 * The stores over a database that `migrateDeploy` has brought up to date. Outage when it cannot be reached. All methods throw
 * Refusal, or Outage while the database is away: the same call may be repeated.
 */
export async function openStores({
  databaseUrl,
  secretKey,
  connections = 12,
}: StoreOptions): Promise<OpenedStores> {
  invariant(secretKey.length === secretKeyBytes, 'The secret key has 32 bytes')
  const database = openDatabase(databaseUrl, connections)
  try {
    await withFailures({ ask: () => database.pool.query('SELECT 1') }).ask()
  } catch (error) {
    await database.close()
    throw error
  }
  return {
    sites: siteStore(database, secretKey),
    machines: machineStore(database),
    bandwidth: bandwidthStore(database),
    policies: policyStore(database),
    groups: groupStore(database),
    protections: protectionStore(database),
    runs: runStore(database),
    jobs: jobStore(database),
    events: eventStore(database),
    alerts: alertStore(database),
    leases: leaseStore(database),
    plans: planStore(database, secretKey),
    planRuns: planRunStore(database, secretKey),
    tests: testStore(database),
    evidence: evidenceStore(database),
    siteFailovers: siteFailoverStore(database, secretKey),
    seeds: seedStore(database, secretKey),
    users: userStore(database),
    sessions: sessionStore(database),
    tokens: tokenStore(database),
    displayLinks: displayLinkStore(database),
    audit: auditStore(database),
    idempotency: idempotencyStore(database),
    setup: setupStore(database),
    history: historyStore(database),
    agents: agentStore(database),
    receivers: receiverStore(database),
    close: () => database.close(),
  }
}
