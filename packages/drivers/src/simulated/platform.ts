// A site that is not there: machines without processors, for load, demonstrations and tests of the console. It keeps the
// contract of a real platform, and says everywhere that it is simulated.
import { join } from 'node:path'
import type { Site } from '@understudy/domain/sites/site'
import type { SitePlatform } from '@understudy/engine/ports/platforms'
import { type SimulatedControl, simulatedControl } from './control.ts'
import { simulatedHostPrograms } from './host-programs.ts'
import { checkSimulatedSettings } from './settings.ts'
import { openSimulatedSite, type SimulatedDeps } from './simulated-site.ts'
import { simulatedSource } from './source.ts'
import { simulatedTarget } from './target.ts'

export type SimulatedPlatform = Required<Pick<SitePlatform, 'source' | 'target' | 'hostPrograms'>> &
  Pick<SitePlatform, 'checkConnection' | 'close'> & {
    /** What no platform offers: playing the guest, the hardware and the disaster. For tests and demonstrations. */
    readonly control: SimulatedControl
  }

/** Throws Refusal `simulated/settings`. A simulated site needs no secrets. Nothing is read or written before the first call. */
export function openSimulatedPlatform(
  site: Pick<Site, 'id' | 'settings'>,
  _secrets: Readonly<Record<string, string>>,
  deps: SimulatedDeps,
): SimulatedPlatform {
  const opened = openSimulatedSite(site.id, checkSimulatedSettings(site.settings), deps)
  return {
    source: simulatedSource(opened),
    target: simulatedTarget(opened),
    hostPrograms: simulatedHostPrograms(opened, join(deps.folder, site.id, 'programs')),
    control: simulatedControl(opened),
    async checkConnection(signal) {
      // Also while the settings play a disaster: else nobody could ask for one, since settings are checked before they count.
      await opened.answer('checkConnection', signal)
      const machines = [...(await opened.machines()).values()]
      const running = machines.filter(({ state }) => state.power === 'running').length
      const disaster = opened.settings.faults.unreachable ? '; set to be unreachable as a source' : ''
      return { summary: `Simulated site: ${machines.length} machines, ${running} of them running${disaster}` }
    },
    close: () => opened.files.flush(),
  }
}
