import { toIso } from '@understudy/base/instant'
import type { Hardware, Machine as ShownMachine } from '@understudy/contract/machine'
import type { Machine, MachineHardware } from '@understudy/domain/machines/machine'
import type { Protection } from '@understudy/domain/protection/protection'
import type { Site } from '@understudy/domain/sites/site'
import type { z } from 'zod'

export function showHardware(hardware: MachineHardware): z.infer<typeof Hardware> {
  return {
    cpus: hardware.cpus,
    memoryBytes: hardware.memoryBytes,
    firmware: hardware.firmware,
    disks: hardware.disks.map((disk) => ({ ...disk })),
    adapters: hardware.adapters.map((adapter) => ({ ...adapter })),
  }
}

/** A machine as the API shows it. `protections`: all there are. */
export function showMachine(
  machine: Machine,
  site: Site | undefined,
  protections: readonly Protection[],
): ShownMachine {
  const protection = protections.find(
    (each) => each.sourceSiteId === machine.siteId && each.sourceRef === machine.ref && each.state !== 'gone',
  )
  return {
    id: machine.id,
    siteId: machine.siteId,
    siteName: site?.name ?? '',
    name: machine.name,
    host: machine.host,
    power: machine.power,
    hardware: showHardware(machine.hardware),
    guestAgent: machine.guestAgent,
    present: machine.present,
    seenAt: toIso(machine.seenAt),
    simulated: site?.platform === 'simulated',
    protectionId: protection?.id ?? null,
    runId: machine.ownedBy,
  }
}
