// Sites whose replica stores behave otherwise than their own ones, for one test.
import type { Platforms } from '@understudy/engine/ports/platforms'
import type { ReplicaStore } from '@understudy/engine/ports/replica-store'

/** Each store is changed once: a site has the same one until it is saved with other settings, and what is open relies on that. */
export function changedStores(
  platforms: Platforms,
  change: (store: ReplicaStore) => Partial<ReplicaStore>,
): Platforms {
  const changed = new WeakMap<ReplicaStore, ReplicaStore>()
  return {
    ...platforms,
    async of(site) {
      const platform = await platforms.of(site)
      if (!platform.replicas) return platform
      const replicas = changed.get(platform.replicas) ?? {
        ...platform.replicas,
        ...change(platform.replicas),
      }
      changed.set(platform.replicas, replicas)
      return { ...platform, replicas }
    },
  }
}
