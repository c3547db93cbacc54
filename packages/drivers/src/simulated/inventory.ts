import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { toDiscovered } from './simulated-machine.ts'
import type { SimulatedSite } from './simulated-site.ts'

export function simulatedInventory(site: SimulatedSite): Pick<SourcePlatform, 'inventory' | 'watch'> {
  return {
    async inventory(signal) {
      await site.answerAsSource('inventory', signal)
      return [...(await site.machines()).values()].map(toDiscovered)
    },
    watch(onChange, signal) {
      if (signal.aborted) return
      signal.addEventListener('abort', site.onChange(onChange), { once: true })
    },
  }
}
