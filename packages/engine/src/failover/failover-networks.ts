import { chooseBootNetworks } from '@understudy/domain/failover/boot-networks'
import type { AdapterMapping } from '@understudy/domain/protection/protection'
import type { TargetPlatform } from '../ports/target-platform.ts'

/** The networks of a failover as they are mapped now; refuses mappings to networks that are not there, as all are where no machine can run. */
export const chooseFailoverNetworks = async (
  target: TargetPlatform | undefined,
  { adapters }: { readonly adapters: readonly AdapterMapping[] },
): Promise<ReadonlyMap<string, string>> =>
  chooseBootNetworks({
    mode: 'failover',
    adapters,
    networks: (await target?.networks()) ?? [],
    allowOpenNetworks: false,
  })
