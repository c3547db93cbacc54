import type { Finding } from '@understudy/domain/machines/machine'
import type { BootSpec } from '@understudy/engine/ports/target-platform'
import { simulatedNetworks } from './settings.ts'
import type { SimulatedMachine } from './simulated-machine.ts'

/** Everything that would make a boot fail or surprise. `runId`: the run whose own machine does not count as a clash. */
export function checkBoot(
  machines: Iterable<SimulatedMachine>,
  spec: Omit<BootSpec, 'disks' | 'runId'>,
  runId: BootSpec['runId'] | null,
): readonly Finding[] {
  const found: Finding[] = []
  for (const networkId of spec.networks.values()) {
    const network = simulatedNetworks.find(({ id }) => id === networkId)
    if (!network)
      found.push({
        level: 'blocker',
        code: 'network/not-found',
        message: `The simulated site has no network ${networkId}`,
        remedy: 'Choose another network in the protection.',
      })
    else if (spec.mode === 'test' && !network.isolated)
      found.push({
        level: 'warning',
        code: 'network/not-isolated',
        message: `A test on ${network.name} could be reached by others`,
        remedy: 'Choose an isolated network for tests.',
      })
  }
  for (const { state } of machines)
    if (state.name === spec.name && (runId === null || state.run?.id !== runId))
      found.push({
        level: 'blocker',
        code: 'machine/name-taken',
        message: `The simulated site has a machine ${spec.name} already`,
        remedy: 'Rename or remove that machine.',
      })
  return found
}
