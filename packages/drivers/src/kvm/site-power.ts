// Power as a site with several hosts knows it. One host's "off" is proof only when no other host runs the machine.
import { Outage, Refusal } from '@understudy/base/errors'
import type { MachineRef, PowerState } from '@understudy/domain/machines/machine'
import { hasProcess, judgeElsewhere, lookElsewhere } from './elsewhere.ts'
import type { Host } from './host.ts'
import type { MachineDirectory } from './machine-directory.ts'
import type { MachineLocation } from './monitor.ts'
import { evidenceOfOff, powerState } from './power.ts'

export interface SitePower {
  /** Where the machine runs, else where it is known. Errors as `find`. */
  locate(ref: MachineRef, signal?: AbortSignal): Promise<MachineLocation>
  /** `off` only with proof from every host; `unknown` where a host that may run it cannot be asked. */
  state(ref: MachineRef, signal?: AbortSignal): Promise<PowerState>
  /**
   * Null while it may run on its own host. Outage `source/power-unknown` when another host runs it, or may.
   */
  evidenceOfOff(machine: MachineLocation): Promise<string | null>
}

export function sitePower(hosts: readonly Host[], directory: MachineDirectory): SitePower {
  /** The host that each machine was last seen running on. */
  const ranAt = new Map<MachineRef, Host>()

  const note = ({ ref, host }: MachineLocation, power: PowerState): void => {
    if (power === 'running' || power === 'paused') ranAt.set(ref, host)
  }
  const elsewhere = async ({ host, ref }: MachineLocation, signal?: AbortSignal) => {
    // A QEMU without a uuid can be known by its socket alone, which lies on one host.
    if (ref.startsWith('socket-')) return judgeElsewhere([], true)
    const others = hosts.filter((other) => other !== host)
    const looks = await lookElsewhere(others, (other) => hasProcess(other, ref, signal))
    return judgeElsewhere(looks, ranAt.get(ref) === host)
  }

  /** The place that runs, when the one that was found does not. */
  const locate = async (ref: MachineRef, signal?: AbortSignal): Promise<MachineLocation> => {
    const found = await directory.find(ref, signal)
    if (hosts.length === 1 || (await hasProcessOrIsSilent(found, signal))) return found
    if ((await elsewhere(found, signal)).kind !== 'runs') return found
    const { machines } = await directory.survey(signal)
    return machines.find((machine) => machine.ref === ref) ?? found
  }

  return {
    async locate(ref, signal) {
      const machine = await locate(ref, signal)
      // Only where there are others does it matter where it ran; a QEMU that hangs is not asked for nothing.
      if (hosts.length > 1) note(machine, await powerState(machine, signal))
      return machine
    },
    async state(ref, signal) {
      const machine = await locate(ref, signal)
      const power = await powerState(machine, signal)
      note(machine, power)
      if (power !== 'off') return power
      return (await elsewhere(machine, signal)).kind === 'nowhere' ? 'off' : 'unknown'
    },
    async evidenceOfOff(machine) {
      const here = await evidenceOfOff(machine)
      if (here === null) return null
      const there = await elsewhere(machine)
      switch (there.kind) {
        case 'nowhere':
          return here + there.evidence
        case 'runs':
          throw runsElsewhere(machine, there.host)
        case 'unknown':
          throw there.why
      }
    },
  }
}

async function hasProcessOrIsSilent({ host, ref }: MachineLocation, signal?: AbortSignal): Promise<boolean> {
  try {
    return await hasProcess(host, ref, signal)
  } catch (error) {
    if (error instanceof Outage || error instanceof Refusal) return false
    throw error
  }
}

const runsElsewhere = (machine: MachineLocation, host: string): Outage =>
  new Outage({
    code: 'source/power-unknown',
    message: `${machine.name} is off on host ${machine.host.name}, but a process with its uuid lives on host ${host}`,
    remedy: `Look at that process on ${host}; end it, or let its monitor socket lie in the machines folder there.`,
  })
