import { siteFailoverStoreContract } from './contracts/site-failover-store-contract.ts'
import { memorySiteFailoverStore } from './memory-site-failover-store.ts'

siteFailoverStoreContract('memory', async () => ({
  stores: { siteFailovers: memorySiteFailoverStore() },
  close: async () => {},
}))
