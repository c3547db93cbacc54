import type { Machine } from '@understudy/contract/machine'
import type { Site } from '@understudy/contract/site'
import { MachineFindings } from './MachineFindings.tsx'
import { NetworkMapping } from './NetworkMapping.tsx'
import { groupNetworks, type NetworkChoice, type Suggested } from './network-groups.ts'

type NetworkChoicesProps = {
  readonly machines: readonly Machine[]
  readonly target: Site
  readonly suggested: Suggested
  readonly chosen: Readonly<Record<string, NetworkChoice>>
  readonly findings: Parameters<typeof MachineFindings>[0]['findings']
  readonly onChange: (sourceNetworkId: string, choice: NetworkChoice) => void
}

/** What the networks of the machines become at the target, and what was found about that. */
export function NetworkChoices(props: NetworkChoicesProps) {
  const { machines, target, suggested, chosen, findings, onChange } = props
  return (
    <>
      <NetworkMapping
        groups={groupNetworks(machines, suggested)}
        targetSiteId={target.id}
        targetName={target.name}
        chosen={chosen}
        onChange={onChange}
      />
      <MachineFindings machines={machines} findings={findings} label="About the networks" />
    </>
  )
}
