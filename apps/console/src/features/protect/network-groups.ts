// Many machines, few networks: what is chosen for a network of the source holds for every adapter on it. Pure.
import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'

export type Mapping = Protection['adapters'][number]
export type Suggested = Readonly<Record<string, readonly Mapping[]>>
export type NetworkChoice = {
  readonly failoverNetworkId: string | null
  readonly testNetworkId: string | null
}
export type NetworkGroup = NetworkChoice & {
  /** Network of the source; the empty text for adapters that are connected to nothing. */
  readonly sourceNetworkId: string
  readonly adapters: number
  readonly machines: number
}

/** One row for each network of the source that a chosen machine is on, with what the server suggests for it. */
export function groupNetworks(machines: readonly Machine[], suggested: Suggested): NetworkGroup[] {
  const groups = new Map<string, { choice: NetworkChoice; adapters: number; machines: Set<string> }>()
  for (const machine of machines)
    for (const adapter of machine.hardware.adapters) {
      const id = adapter.networkId ?? ''
      const suggestion = suggested[machine.id]?.find((each) => each.adapterKey === adapter.key)
      const group = groups.get(id) ?? {
        choice: {
          failoverNetworkId: suggestion?.failoverNetworkId ?? null,
          testNetworkId: suggestion?.testNetworkId ?? null,
        },
        adapters: 0,
        machines: new Set(),
      }
      group.adapters += 1
      group.machines.add(machine.id)
      groups.set(id, group)
    }
  return [...groups].map(([sourceNetworkId, { choice, adapters, machines: on }]) => ({
    sourceNetworkId,
    ...choice,
    adapters,
    machines: on.size,
  }))
}

/** The adapters of one machine: as the operator chose for their network, else as the server suggests. */
export function mapAdapters(
  machine: Machine,
  suggested: Suggested,
  chosen: Readonly<Record<string, NetworkChoice>>,
): Mapping[] {
  return machine.hardware.adapters.map((adapter) => {
    const suggestion = suggested[machine.id]?.find((each) => each.adapterKey === adapter.key)
    const choice = chosen[adapter.networkId ?? ''] ?? suggestion
    return {
      adapterKey: adapter.key,
      failoverNetworkId: choice?.failoverNetworkId ?? null,
      testNetworkId: choice?.testNetworkId ?? null,
    }
  })
}

/** By machine: what was chosen for its adapters. Nothing of those whose network is as suggested. */
export function chosenAdapters(
  machines: readonly Machine[],
  chosen: Readonly<Record<string, NetworkChoice>>,
): Record<string, Mapping[]> {
  const byMachine = machines.map((machine) => {
    const adapters = machine.hardware.adapters.flatMap(({ key, networkId }) => {
      const choice = chosen[networkId ?? '']
      return choice ? [{ adapterKey: key, ...choice }] : []
    })
    return [machine.id, adapters] as const
  })
  return Object.fromEntries(byMachine.filter(([, adapters]) => adapters.length > 0))
}
