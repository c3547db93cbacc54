import { SimpleGrid } from '@mantine/core'
import { formatBytes } from '@understudy/base/bytes'
import type { Overview } from '@understudy/contract/overview'
import { formatCount } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { Stat } from '../../ui/Stat.tsx'

/** The numbers of the first glance. */
export function HealthTiles({ overview }: { readonly overview: Overview }) {
  const { counts, neverTested, readiness, storedBytes } = overview
  const proven = { machines: readiness.machines.proven ?? 0, plans: readiness.plans.proven ?? 0 }
  const plans = Object.values(readiness.plans).reduce((sum, count) => sum + (count ?? 0), 0)
  const healthy = counts.byHealth.good ?? 0
  const troubled = (counts.byHealth['at-risk'] ?? 0) + (counts.byHealth.bad ?? 0)
  return (
    <Panel>
      <SimpleGrid cols={{ base: 2, sm: 4, lg: 7 }} spacing="md">
        <Stat
          label="Protected and on time"
          value={<Count of={healthy} health="good" label="Machines that are protected and on time" />}
          note={`of ${formatCount(counts.protections)} protections`}
          ink={healthy > 0 ? 'var(--good)' : 'var(--ink)'}
        />
        <Stat
          label="At risk or broken"
          value={<Count of={troubled} health="at-risk,bad" label="Machines that are at risk or broken" />}
          note={troubled === 0 ? 'nothing to do' : 'needs a look'}
          ink={troubled > 0 ? 'var(--at-risk)' : 'var(--ink)'}
        />
        <Stat
          label="Not replicating"
          value={
            <Count of={counts.byHealth.off ?? 0} health="off" label="Machines that are not replicating" />
          }
          note="paused or ending"
        />
        <Stat
          label="Never tested"
          value={formatCount(neverTested)}
          note={noteOfTests(overview)}
          ink={neverTested > 0 ? 'var(--at-risk)' : 'var(--ink)'}
        />
        <Stat
          label="Proven to come up"
          value={`${formatCount(proven.machines)} of ${formatCount(counts.protections)}`}
          note={`${formatCount(proven.plans)} of ${formatCount(plans)} ${plans === 1 ? 'plan' : 'plans'}`}
          ink={
            proven.machines < counts.protections || proven.plans < plans ? 'var(--at-risk)' : 'var(--good)'
          }
        />
        <Stat
          label="Machines"
          value={formatCount(counts.machines)}
          note={`at ${formatCount(counts.sites)} ${counts.sites === 1 ? 'site' : 'sites'}`}
        />
        <Stat label="Stored" value={formatBytes(storedBytes)} note="recovery points" />
      </SimpleGrid>
    </Panel>
  )
}

function noteOfTests({ counts, neverTested }: Overview): string {
  if (counts.protections === 0) return 'nothing is protected yet'
  if (neverTested === 0) return 'each has been tested'
  return `of ${formatCount(counts.protections)}: nothing proves yet that they come up`
}

type CountProps = { readonly of: number; readonly health: string; readonly label: string }

/** The number leads to the machines that it counts. */
const Count = ({ of, health, label }: CountProps) =>
  of === 0 ? (
    formatCount(of)
  ) : (
    <LinkAnchor
      to="/machines"
      search={{ health }}
      inherit
      c="inherit"
      aria-label={`${label}: ${formatCount(of)}`}
    >
      {formatCount(of)}
    </LinkAnchor>
  )
