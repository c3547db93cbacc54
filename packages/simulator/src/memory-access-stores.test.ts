import { accessStoresContract } from './contracts/access-stores-contract.ts'
import { memoryAccessStores } from './memory-access-stores.ts'

accessStoresContract('memory', async () => ({ stores: memoryAccessStores(), close: async () => {} }))
