// The machine of a run, and its state.
import type { VirtualMachine } from '@azure/arm-compute'
import { Outage } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { RunId } from '@understudy/domain/failover/failover'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { machineNotFound, runNotFound } from './arm-failures.ts'
import { settled } from './ensure-resource.ts'
import { readResourceId } from './resource-id.ts'
import { isOfRun } from './run-names.ts'
import type { TargetParts } from './target-parts.ts'

export type RunMachine = {
  readonly name: string
  readonly ref: MachineRef
  readonly machine: VirtualMachine
}

/** Null: it has none. Waits while Azure is at work on it. */
export async function findRunMachine(
  { arm, waits }: Pick<TargetParts, 'arm' | 'waits'>,
  runId: RunId,
  signal?: AbortSignal,
): Promise<RunMachine | null> {
  const listed = (await arm.machines.list(signal)).filter((machine) => isOfRun(machine, runId))
  for (const { name } of listed) {
    const machine = await settled(arm.machines, present(name, 'a machine has a name'), waits, signal)
    if (machine !== null && isOfRun(machine, runId)) return toRunMachine(machine)
  }
  return null
}

export const toRunMachine = (machine: VirtualMachine): RunMachine => ({
  name: present(machine.name, 'a machine has a name'),
  ref: present(machine.id, 'a machine has an id').toLowerCase() as MachineRef,
  machine,
})

export async function getRunMachine(
  parts: Pick<TargetParts, 'arm' | 'waits'>,
  runId: RunId,
  signal?: AbortSignal,
): Promise<RunMachine> {
  const found = await findRunMachine(parts, runId, signal)
  if (found === null) throw runNotFound(runId)
  return found
}

/** Any machine of the resource group. */
export async function getMachine(
  { arm, settings }: Pick<TargetParts, 'arm' | 'settings'>,
  ref: MachineRef,
  signal?: AbortSignal,
): Promise<RunMachine> {
  const id = readResourceId(ref)
  const [name] = id?.names ?? []
  if (name === undefined || id?.resourceGroup.toLowerCase() !== settings.resourceGroup.toLowerCase())
    throw machineNotFound(ref)
  const machine = await arm.machines.find(name, signal)
  if (machine === null) throw machineNotFound(ref)
  return toRunMachine(machine)
}

export const isOn = (power: string | null | undefined): boolean => power === 'running' || power === 'starting'

export async function isRunning(
  { arm }: Pick<TargetParts, 'arm'>,
  name: string,
  signal?: AbortSignal,
): Promise<boolean> {
  return isOn((await arm.stateOf(name, signal))?.power)
}

/** A machine that is off is started, and one that was started is looked at. */
export async function bringUp(
  parts: Pick<TargetParts, 'arm' | 'waits'>,
  name: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (await isRunning(parts, name, signal)) return
  await parts.arm.start(name, signal)
  if (await isRunning(parts, name, signal)) return
  throw new Outage({
    code: 'azure/not-running',
    message: `Azure says that it has started ${name}, and that it does not run`,
    remedy: 'It is tried again. If it stays, look at the machine in the portal.',
  })
}
