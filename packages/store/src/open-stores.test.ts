import { randomBytes } from 'node:crypto'
import { accessStoresContract } from '@understudy/simulator/contracts/access-stores-contract'
import { agentStoreContract } from '@understudy/simulator/contracts/agent-store-contract'
import { planStoresContract } from '@understudy/simulator/contracts/plan-stores-contract'
import { siteFailoverStoreContract } from '@understudy/simulator/contracts/site-failover-store-contract'
import { storesContract } from '@understudy/simulator/contracts/stores-contract'
import { testStoresContract } from '@understudy/simulator/contracts/test-stores-contract'
import { samplePlan, samplePlanRun } from '@understudy/simulator/sample-plans'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openStores } from './open-stores.ts'
import { startTestPostgres, type TestPostgres } from './test-postgres.ts'

let postgres: TestPostgres
let databaseUrl: string
beforeAll(async () => {
  postgres = await startTestPostgres()
  databaseUrl = await postgres.newDatabase()
})
afterAll(() => postgres.stop())

const secretKey = randomBytes(32)

const openEmpty = async () => {
  await postgres.empty(databaseUrl)
  const stores = await openStores({ databaseUrl, secretKey })
  const opened = [stores]
  return {
    stores,
    again: async () => {
      const other = await openStores({ databaseUrl, secretKey })
      opened.push(other)
      return other
    },
    close: async () => {
      await Promise.all(opened.map((one) => one.close()))
    },
  }
}

storesContract('PostgreSQL', openEmpty)

planStoresContract('PostgreSQL', openEmpty)

siteFailoverStoreContract('PostgreSQL', openEmpty)

accessStoresContract('PostgreSQL', openEmpty)

testStoresContract('PostgreSQL', openEmpty)

agentStoreContract('PostgreSQL', openEmpty)

test('the hash of a report is in the audit log as soon as the report is there, and once', async () => {
  const { stores, close } = await openEmpty()
  const plan = samplePlan([], { name: 'Shop' })
  const run = samplePlanRun(plan, { state: 'succeeded' })
  await stores.planRuns.create(run, [], {})
  const evidence = {
    planRunId: run.id,
    edition: 1,
    basis: 'as it stands',
    madeAt: Date.parse('2026-01-01T12:00:00Z'),
    sha256: 'abc',
    bytes: 3,
    files: [],
  }
  await stores.evidence.save(evidence, Buffer.from('zip'))
  await stores.evidence.save(evidence, Buffer.from('zip'))
  const { rows } = await stores.audit.list({}, { limit: 10, cursor: null })
  expect(rows).toMatchObject([
    {
      who: 'system',
      action: 'planRuns.evidence',
      subject: run.id,
      subjectName: 'Shop',
      facts: { sha256: 'abc' },
    },
  ])
  expect(rows).toHaveLength(1)
  await close()
})
