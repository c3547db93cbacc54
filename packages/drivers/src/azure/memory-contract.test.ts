// The store over the model of Azure's promises: the same suite as over the emulator, at the speed of memory.
import { replicaStoreContract } from '@understudy/simulator/contracts/replica-store-contract'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { replicaStoreOver } from './azure-store.ts'
import { memoryAccount, memoryCalls } from './emulator/memory-calls.ts'

replicaStoreContract('azure, over a model of its promises', async () => {
  const account = memoryAccount()
  const clock = virtualClock()
  const open = () => replicaStoreOver(async () => memoryCalls(account), { clock })
  return { store: open(), restart: async () => open(), close: async () => {} }
})
