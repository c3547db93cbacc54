import { agentStoreContract } from './contracts/agent-store-contract.ts'
import { memoryAccessStores } from './memory-access-stores.ts'
import { memoryStores } from './memory-stores.ts'

agentStoreContract('memory', async () => ({
  stores: { ...memoryStores(), ...memoryAccessStores() },
  close: async () => {},
}))
