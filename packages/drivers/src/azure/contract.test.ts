// The store against Azurite, corrected to do what Azure does, through Microsoft's own client.
import { replicaStoreContract } from '@understudy/simulator/contracts/replica-store-contract'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { afterAll, beforeAll } from 'vitest'
import { openAzureStore } from './azure-store.ts'
import { type Emulator, startEmulator } from './emulator/start-emulator.ts'

let emulator: Emulator
let count = 0
beforeAll(async () => {
  emulator = await startEmulator()
})
afterAll(async () => {
  await emulator.stop()
})

replicaStoreContract('azure', async () => {
  count += 1
  const container = await emulator.makeContainer(`contract-${count}`)
  const clock = virtualClock()
  const open = () => openAzureStore({ container, clock })
  return { store: open(), restart: async () => open(), close: async () => {} }
})
