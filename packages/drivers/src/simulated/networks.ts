import { chooseFreeName } from '@understudy/domain/machines/choose-free-name'
import type { Finding } from '@understudy/domain/machines/machine'
import type { MachineSpec } from '@understudy/engine/ports/target-platform'
import { simulatedNetworks } from './settings.ts'
import type { SimulatedMachine } from './simulated-machine.ts'

/** Everything that would make a boot fail or surprise. */
export function checkBoot(machines: Iterable<SimulatedMachine>, spec: MachineSpec): readonly Finding[] {
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
  const name = freeName(machines, spec.name)
  if (name !== spec.name)
    found.push({
      level: 'warning',
      code: 'machine/name-taken',
      message: `The simulated site has a machine ${spec.name} already; the replica will be called ${name}`,
      remedy: 'Rename one of the two if the name matters.',
    })
  return found
}

export const freeName = (machines: Iterable<SimulatedMachine>, wished: string): string =>
  chooseFreeName(wished, new Set([...machines].map(({ state }) => state.name)))
