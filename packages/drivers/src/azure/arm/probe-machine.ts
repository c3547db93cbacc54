// Where a machine in Azure can be reached, and whether its guest answers.
import type { ProbeResult } from '@understudy/engine/ports/target-platform'
import { readResourceId } from './resource-id.ts'
import { isOn, type RunMachine } from './run-machine.ts'
import type { TargetParts } from './target-parts.ts'

export async function probeMachine(
  parts: TargetParts,
  { name, machine }: RunMachine,
  signal: AbortSignal | undefined,
): Promise<ProbeResult> {
  const { arm, askService } = parts
  const state = await arm.stateOf(name, signal)
  const addresses = await addressesOf(parts, machine, signal)
  if (!isOn(state?.power))
    return { addresses, answered: false, note: `${name} is ${state?.power ?? 'not there'}` }
  const service = (await askService?.({ name, addresses }, signal)) ?? null
  if (service !== null) return service
  if (state?.agentReady === true)
    return { addresses, answered: true, note: "Azure's agent in the guest reports" }
  return {
    addresses,
    answered: false,
    note: "It runs; no service of it is known here, and Azure's agent in the guest has not reported",
  }
}

/** Public ones first: they can be reached from anywhere. */
async function addressesOf(
  { arm, settings }: TargetParts,
  machine: RunMachine['machine'],
  signal: AbortSignal | undefined,
): Promise<readonly string[]> {
  const own: string[] = []
  const open: string[] = []
  for (const { id = '' } of machine.networkProfile?.networkInterfaces ?? []) {
    const adapter = readResourceId(id)
    const [name] = adapter?.names ?? []
    if (name === undefined || adapter?.resourceGroup.toLowerCase() !== settings.resourceGroup.toLowerCase())
      continue
    const found = await arm.adapters.find(name, signal)
    for (const { privateIPAddress, publicIPAddress } of found?.ipConfigurations ?? []) {
      if (privateIPAddress !== undefined) own.push(privateIPAddress)
      const [publicName] = readResourceId(publicIPAddress?.id ?? '')?.names ?? []
      const address = publicName === undefined ? null : await arm.addresses.find(publicName, signal)
      if (address?.ipAddress !== undefined) open.push(address.ipAddress)
    }
  }
  return [...open, ...own]
}
