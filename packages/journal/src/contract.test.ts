import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { replicaStoreContract } from '@understudy/simulator/contracts/replica-store-contract'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { openJournalStore } from './journal-store.ts'

replicaStoreContract('journal', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-journal-'))
  const clock = virtualClock()
  return {
    store: openJournalStore({ folder, clock }),
    restart: async () => openJournalStore({ folder, clock }),
    close: () => rm(folder, { recursive: true, force: true }),
  }
})
