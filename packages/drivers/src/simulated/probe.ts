import type { ProbeResult } from '@understudy/engine/ports/target-platform'
import { imageReader, stampOf } from './simulated-disk.ts'
import { imageAt, type SimulatedMachine, writesUntil } from './simulated-machine.ts'
import type { SimulatedSite } from './simulated-site.ts'

/** A simulated guest answers when it has had the time to boot and its first disk can be read. */
export async function probeMachine(
  site: SimulatedSite,
  machine: SimulatedMachine,
  signal?: AbortSignal,
): Promise<ProbeResult> {
  const { state } = machine
  const silent = (note: string): ProbeResult => ({ addresses: [], answered: false, note })
  if (state.power !== 'running') return silent('the simulated machine is off')
  const disk = machine.disks[0]
  const stamp = disk ? await stampOf(imageReader(imageAt(machine, disk, site.now())), signal) : null
  if (stamp === null) return silent('there is no simulated guest on the first disk')
  const seconds = (site.now() - state.since) / 1000
  if (seconds < site.settings.bootSeconds) return silent('the simulated guest is booting')
  return {
    // A reserved name (RFC 2606): nobody can mistake it for an address that leads somewhere.
    addresses: [`http://${state.ref}.invalid`],
    answered: true,
    note: `simulated guest ${stamp.identity} answers; ${writesUntil(machine, site.now())} writes since its boot`,
  }
}
