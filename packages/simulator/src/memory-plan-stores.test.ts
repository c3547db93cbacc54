import { planStoresContract } from './contracts/plan-stores-contract.ts'
import { memoryPlanStores } from './memory-plan-stores.ts'

planStoresContract('memory', async () => ({ stores: memoryPlanStores(), close: async () => {} }))
