import { Group, SimpleGrid } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Overview } from '@understudy/contract/overview'
import { formatCount } from '../../lib/format.ts'
import { Panel } from '../../ui/Panel.tsx'
import { Stat } from '../../ui/Stat.tsx'

/** The numbers of the first glance. */
export function HealthTiles({ overview }: { readonly overview: Overview }) {
  const { counts, neverTested, storedBytes } = overview
  const healthy = counts.byHealth.good ?? 0
  const troubled = (counts.byHealth['at-risk'] ?? 0) + (counts.byHealth.bad ?? 0)
  return (
    <Panel>
      <SimpleGrid cols={{ base: 2, sm: 3, lg: 6 }} spacing="md">
        <Stat
          label="Protected and on time"
          value={formatCount(healthy)}
          note={`of ${formatCount(counts.protections)} protections`}
          ink={healthy > 0 ? 'var(--good)' : 'var(--ink)'}
        />
        <Stat
          label="At risk or broken"
          value={formatCount(troubled)}
          note={troubled === 0 ? 'nothing to do' : 'needs a look'}
          ink={troubled > 0 ? 'var(--at-risk)' : 'var(--ink)'}
        />
        <Stat label="Not replicating" value={formatCount(counts.byHealth.off ?? 0)} note="paused or ending" />
        <Stat
          label="Never tested"
          value={formatCount(neverTested)}
          note="no test failover yet"
          ink={neverTested > 0 ? 'var(--at-risk)' : 'var(--ink)'}
        />
        <Stat
          label="Machines"
          value={formatCount(counts.machines)}
          note={`at ${formatCount(counts.sites)} sites`}
        />
        <Group wrap="nowrap">
          <Stat label="Stored" value={formatBytes(storedBytes)} note="recovery points" />
        </Group>
      </SimpleGrid>
    </Panel>
  )
}
