import { storesContract } from './contracts/stores-contract.ts'
import { memoryStores } from './memory-stores.ts'

storesContract('memory', async () => ({ stores: memoryStores(), close: async () => {} }))
