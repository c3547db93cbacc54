import { randomBytes } from 'node:crypto'
import { accessStoresContract } from '@understudy/simulator/contracts/access-stores-contract'
import { planStoresContract } from '@understudy/simulator/contracts/plan-stores-contract'
import { storesContract } from '@understudy/simulator/contracts/stores-contract'
import { afterAll, beforeAll } from 'vitest'
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

accessStoresContract('PostgreSQL', openEmpty)
