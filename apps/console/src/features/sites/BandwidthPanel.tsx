import { Anchor, Table, Text } from '@mantine/core'
import { IconPlus } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import type { BandwidthLimit } from '@understudy/contract/bandwidth'
import { roleOf } from '@understudy/contract/roles'
import type { Site } from '@understudy/contract/site'
import { useState } from 'react'
import { api } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { When } from '../../ui/When.tsx'
import { BandwidthDrawer } from './BandwidthForm.tsx'

/** What counts changes by the clock alone. */
const refetchInterval = 60_000

/** How much replication may take of the lines between sites. */
export function BandwidthPanel({ sites }: { readonly sites: readonly Site[] }) {
  const refused = useWhyRefused()(roleOf.bandwidth.save)
  const [edited, setEdited] = useState<BandwidthLimit | 'new' | null>(null)
  const { data, error } = useQuery({ ...api.bandwidth.list.queryOptions(), refetchInterval })
  const limits = data?.items ?? []
  return (
    <Panel
      mt="md"
      title="Bandwidth between sites"
      actions={
        <ActionButton
          variant="default"
          reason={refused ?? (sites.length < 2 ? 'It takes two sites' : null)}
          leftSection={<IconPlus size={16} />}
          onClick={() => setEdited('new')}
        >
          Limit a line
        </ActionButton>
      }
    >
      <ProblemAlert error={error} />
      {limits.length === 0 ? (
        <Text size="sm" c="var(--ink-quiet)">
          Replication takes what the lines carry, within the limits of its policies. A limit leaves room for
          the people who work over the same line, by days and hours. A planned failover's last changes and a
          reprotect do not wait for it.
        </Text>
      ) : (
        <LimitTable limits={limits} onEdit={setEdited} />
      )}
      <BandwidthDrawer sites={sites} edited={edited} onClose={() => setEdited(null)} />
    </Panel>
  )
}

type LimitTableProps = {
  readonly limits: readonly BandwidthLimit[]
  readonly onEdit: (limit: BandwidthLimit) => void
}

function LimitTable({ limits, onEdit }: LimitTableProps) {
  return (
    <Table.ScrollContainer minWidth={640}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Line</Table.Th>
            <Table.Th>Calendar</Table.Th>
            <Table.Th>Now</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {limits.map((limit) => (
            <Table.Tr key={`${limit.sourceSiteId} ${limit.targetSiteId}`}>
              <Table.Td>
                <Anchor
                  component="button"
                  type="button"
                  fw={500}
                  c="var(--ink)"
                  onClick={() => onEdit(limit)}
                >
                  {limit.sourceName} → {limit.targetName}
                </Anchor>
              </Table.Td>
              <Table.Td>{limit.words}</Table.Td>
              <Table.Td className="number">
                {limit.megabitsPerSecondNow === null ? 'no limit' : `${limit.megabitsPerSecondNow} Mbit/s`}
                {limit.changesAt !== null && (
                  <Text size="xs" c="var(--ink-quiet)">
                    changes <When at={limit.changesAt} />
                  </Text>
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}
