import { Outage, Refusal } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ShutDownProof, SourcePlatform } from '@understudy/engine/ports/source-platform'
import { powerDown, powerOn, pullPlug, type SimulatedMachine } from './simulated-machine.ts'
import type { SimulatedSite } from './simulated-site.ts'

export function simulatedPower(
  site: SimulatedSite,
): Pick<SourcePlatform, 'powerState' | 'shutDown' | 'powerOff' | 'start'> {
  const proven = async (evidence: string): Promise<ShutDownProof> => {
    await site.files.saveNow()
    site.changed()
    return { at: site.now(), evidence: `simulated: ${evidence}` }
  }
  return {
    async powerState(ref, signal) {
      await site.answerAsSource('powerState', signal)
      return (await site.find(ref)).state.power
    },
    async shutDown(ref, { timeoutSeconds, signal }) {
      await site.answerAsSource('shutDown', signal)
      const machine = await site.find(ref)
      if (machine.state.power === 'off') return await proven('was off already')
      if (site.settings.faults.ignoresShutDown) {
        await site.deps.sleep(timeoutSeconds * 1000, signal)
        throw stillOn(machine, timeoutSeconds)
      }
      powerDown(machine, site.now())
      return await proven('guest powered down')
    },
    async powerOff(ref, signal) {
      await site.answerAsSource('powerOff', signal)
      pullPlug(await site.find(ref), site.now())
      return await proven('powered off')
    },
    start: (ref, signal) => startMachine(site, ref, signal),
  }
}

async function startMachine(site: SimulatedSite, ref: MachineRef, signal?: AbortSignal): Promise<void> {
  await site.answerAsSource('start', signal)
  const machine = await site.find(ref)
  refuseMixed(machine)
  powerOn(machine, site.now())
  await site.files.saveNow()
  site.changed()
}

export function refuseMixed({ state }: SimulatedMachine): void {
  if (state.mixedBy === null) return
  throw new Refusal({
    code: 'machine/restore-unfinished',
    message: `The disks of ${state.name} are mixed: a restore into it was interrupted`,
    remedy: 'Let the restore finish: retry its job.',
  })
}

export function refuseRunning({ state }: SimulatedMachine): void {
  if (state.power === 'off') return
  throw new Refusal({
    code: 'machine/running',
    message: `${state.name} is running`,
    remedy: 'Shut it down first.',
  })
}

const stillOn = ({ state }: SimulatedMachine, timeoutSeconds: number): Outage =>
  new Outage({
    code: 'machine/still-on',
    message: `${state.name} was still on after ${timeoutSeconds} s`,
    remedy: 'Shut it down by hand, or power it off.',
  })
