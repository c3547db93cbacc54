import { Stack, Text } from '@mantine/core'
import type { Site } from '@understudy/contract/site'
import type { ReactNode } from 'react'
import { Panel } from '../../ui/Panel.tsx'
import { EmulatedBadge } from '../../ui/SimulatedBadge.tsx'
import { ComputeFacts } from './AzureFacts.tsx'
import { toComputeDraft } from './compute-draft.ts'

/** Whether `AzureOutlook` has something to show for it. */
export const runsInAzure = ({ platform, whyNoTarget }: Site): boolean =>
  platform === 'azure' && whyNoTarget === null

type AzureOutlookProps = {
  readonly site: Site
  /** What stands in the way of that. */
  readonly children: ReactNode
}

/** What a machine becomes when it runs at this site. Shows nothing where it cannot, and for other kinds of site. */
export function AzureOutlook({ site, children }: AzureOutlookProps) {
  if (!runsInAzure(site)) return null
  return (
    <Panel title={`What a machine becomes at ${site.name}`} actions={site.emulated && <EmulatedBadge />}>
      <Stack gap="md">
        <ComputeFacts compute={toComputeDraft(site.settings.compute)} brief />
        <Text size="sm" c="var(--ink-quiet)">
          A size fits when it has at least the processors and the memory of the machine, takes its disks and
          adapters, and starts its firmware. Fixed addresses, security groups, public addresses and load
          balancers are chosen for each adapter on the page of the machine, under Network.
        </Text>
        {children}
      </Stack>
    </Panel>
  )
}
