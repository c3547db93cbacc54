import { testStoresContract } from './contracts/test-stores-contract.ts'
import { memoryPlanStores } from './memory-plan-stores.ts'

testStoresContract('memory', async () => ({ stores: memoryPlanStores(), close: async () => {} }))
