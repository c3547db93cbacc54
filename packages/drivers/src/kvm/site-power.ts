// Power as a site with several hosts knows it. One host's "off" is proof only when no other host runs the machine.
import { Outage, Refusal } from '@understudy/base/errors'
import type { MachineRef, PowerState } from '@understudy/domain/machines/machine'
import { type Elsewhere, hasProcess, judgeElsewhere, lookElsewhere } from './elsewhere.ts'
import type { Host } from './host.ts'
import type { MachineDirectory } from './machine-directory.ts'
import type { MachineLocation } from './monitor.ts'
import { ownEnds } from './own-ends.ts'
import { type EndOnHost, type EvidenceOfOff, lookAtEnd, powerState } from './power.ts'

export interface SitePower {
  /** Where the machine runs, else where it is known. Errors as `find`. */
  locate(ref: MachineRef, signal?: AbortSignal): Promise<MachineLocation>
  /** `off` only with proof from every host; `unknown` where a host that may run it cannot be asked. */
  state(ref: MachineRef, signal?: AbortSignal): Promise<PowerState>
  /**
   * Null while it may run on its own host. Outage `source/power-unknown` when another host runs it, or may.
   */
  evidenceOfOff(machine: MachineLocation): Promise<string | null>
  /**
   * The same, for what is about to end the machine. Looks first: when it is on here, its end here will be our doing, and a host that
   * cannot be asked is no obstacle.
   */
  watchEnd(machine: MachineLocation, signal?: AbortSignal): Promise<EvidenceOfOff>
}

export function sitePower(hosts: readonly Host[], directory: MachineDirectory): SitePower {
  /** The host that each machine was last seen running on. */
  const ranAt = new Map<MachineRef, Host>()
  const ends = ownEnds()

  const note = ({ ref, host }: MachineLocation, power: PowerState): boolean => {
    if (power !== 'running' && power !== 'paused') return false
    ranAt.set(ref, host)
    ends.forget(ref)
    return true
  }
  const elsewhere = async (
    { host, ref }: MachineLocation,
    endedHere: boolean,
    signal?: AbortSignal,
  ): Promise<Elsewhere> => {
    // A QEMU without a uuid can be known by its socket alone, which lies on one host.
    if (ref.startsWith('socket-')) return judgeElsewhere([], true)
    const others = hosts.filter((other) => other !== host)
    return judgeElsewhere(await lookElsewhere(others, (other) => hasProcess(other, ref, signal)), endedHere)
  }
  const isOurDoing = ({ ref, host }: MachineLocation, end: EndOnHost, wasOn: boolean): boolean => {
    const seenElsewhere = (ranAt.get(ref) ?? host) !== host
    // As long as its process stays it holds the disks, and it would say so if the guest had moved.
    if (wasOn || (end.kind === 'shut-down' && !seenElsewhere)) ends.note(ref, host)
    return ends.holds(ref, host)
  }
  const prove = async (
    machine: MachineLocation,
    wasOn: boolean,
    signal?: AbortSignal,
  ): Promise<string | null> => {
    const end = await lookAtEnd(machine)
    if (end === null) return null
    const there = await elsewhere(machine, isOurDoing(machine, end, wasOn), signal)
    switch (there.kind) {
      case 'nowhere':
        return end.evidence + there.evidence
      case 'runs':
        throw runsElsewhere(machine, there.host)
      case 'unknown':
        throw there.why
    }
  }

  /** The place that runs, when the one that was found does not. */
  const locate = async (ref: MachineRef, signal?: AbortSignal): Promise<MachineLocation> => {
    const found = await directory.find(ref, signal)
    if (hosts.length === 1 || (await hasProcessOrIsSilent(found, signal))) return found
    if ((await elsewhere(found, false, signal)).kind !== 'runs') return found
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
      if (power !== 'off' || hosts.length === 1) return power
      try {
        return (await prove(machine, false, signal)) === null ? 'unknown' : 'off'
      } catch (error) {
        if (error instanceof Outage && error.code === 'source/power-unknown') return 'unknown'
        throw error
      }
    },
    evidenceOfOff: (machine) => prove(machine, false),
    async watchEnd(machine, signal) {
      const wasOn = hosts.length > 1 && note(machine, await powerState(machine, signal))
      return (ending) => prove(ending, wasOn)
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
