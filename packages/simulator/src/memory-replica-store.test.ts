import { replicaStoreContract } from './contracts/replica-store-contract.ts'
import { memoryReplicaStore } from './memory-replica-store.ts'
import { virtualClock } from './virtual-clock.ts'

replicaStoreContract('memory', async () => {
  const store = memoryReplicaStore(virtualClock())
  return { store, restart: async () => store, close: async () => {} }
})
