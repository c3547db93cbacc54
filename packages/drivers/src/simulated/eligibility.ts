import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { SimulatedSite } from './simulated-site.ts'

/** Every simulated machine can be protected. */
export function simulatedEligibility(site: SimulatedSite): Pick<SourcePlatform, 'eligibility'> {
  return {
    async eligibility(ref, signal) {
      await site.answerAsSource('eligibility', signal)
      const { state } = await site.find(ref)
      return { findings: [], shortestIntervalSeconds: 1, applicationConsistent: state.guestAgent }
    },
  }
}
