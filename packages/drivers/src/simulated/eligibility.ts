import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { SimulatedSite } from './simulated-site.ts'

const SHORTEST_INTERVAL_SECONDS = 1

/** Every simulated machine can be protected. */
export function simulatedEligibility(
  site: SimulatedSite,
): Pick<SourcePlatform, 'eligibility' | 'shortestIntervalSeconds'> {
  return {
    shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
    async eligibility(ref, signal) {
      await site.answerAsSource('eligibility', signal)
      const { state } = await site.find(ref)
      return {
        findings: [],
        shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
        applicationConsistent: state.guestAgent,
      }
    },
  }
}
