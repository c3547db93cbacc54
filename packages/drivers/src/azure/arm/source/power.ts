// Power of machines in Azure. A machine that we stop is deallocated: one that is only off is charged for, and the time that Azure notes on
// its disks would change once more when somebody deallocates it.
import { isAbort, Outage } from '@understudy/base/errors'
import type { MachineRef, PowerState } from '@understudy/domain/machines/machine'
import type { ShutDownProof, SourcePlatform } from '@understudy/engine/ports/source-platform'
import { bringUp, getMachine, isOn } from '../run-machine.ts'
import type { SourceParts } from './source-parts.ts'
import { loadTracked } from './tracked-machine.ts'

type PowerParts = Pick<SourceParts, 'arm' | 'settings' | 'clock' | 'waits'>

export const isOff = (power: string | null | undefined): boolean =>
  power === 'stopped' || power === 'deallocated'

export const toPowerState = (power: string | null | undefined): PowerState =>
  isOff(power)
    ? 'off'
    : isOn(power) || power === 'stopping' || power === 'deallocating'
      ? 'running'
      : 'unknown'

export async function powerState(
  parts: PowerParts,
  ref: MachineRef,
  signal: AbortSignal | undefined,
): Promise<PowerState> {
  const { name } = await getMachine(parts, ref, signal)
  return toPowerState((await parts.arm.stateOf(name, signal))?.power)
}

/** Azure asks the guest, and pulls the plug when it does not end in Azure's time. */
export async function shutDown(
  parts: PowerParts,
  ref: MachineRef,
  { timeoutSeconds, excludedDisks = [], signal }: Parameters<SourcePlatform['shutDown']>[1],
): Promise<ShutDownProof> {
  const { name } = await loadTracked(parts, ref, excludedDisks, signal)
  const limit = AbortSignal.timeout(timeoutSeconds * 1000)
  const bound = signal === undefined ? limit : AbortSignal.any([signal, limit])
  try {
    return await deallocated(parts, name, bound)
  } catch (error) {
    if (isAbort(error) && signal?.aborted !== true) throw stillOn(name, timeoutSeconds)
    throw error
  }
}

export async function powerOff(
  parts: PowerParts,
  ref: MachineRef,
  signal: AbortSignal | undefined,
): Promise<ShutDownProof> {
  const { name } = await getMachine(parts, ref, signal)
  if (!isOff((await parts.arm.stateOf(name, signal))?.power)) await parts.arm.pullPlug(name, signal)
  return await deallocated(parts, name, signal)
}

async function deallocated(
  { arm, clock }: PowerParts,
  name: string,
  signal: AbortSignal | undefined,
): Promise<ShutDownProof> {
  if ((await arm.stateOf(name, signal))?.power !== 'deallocated') await arm.deallocate(name, signal)
  const power = (await arm.stateOf(name, signal))?.power
  if (power !== 'deallocated')
    throw new Outage({
      code: 'machine/still-on',
      message: `Azure says that it has stopped ${name}, and that it is ${power ?? 'in no known state'}`,
      remedy: 'It is tried again. If it stays, look at the machine in the portal.',
    })
  return { at: clock.now(), evidence: `Azure says that ${name} is deallocated: it has no processor` }
}

export async function start(
  parts: PowerParts,
  ref: MachineRef,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { name } = await getMachine(parts, ref, signal)
  await bringUp(parts, name, signal)
}

const stillOn = (name: string, seconds: number): Outage =>
  new Outage({
    code: 'machine/still-on',
    message: `${name} has not shut down within ${seconds} s`,
    remedy: 'Shut it down by hand, or power it off.',
  })
