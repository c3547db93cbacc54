import { Alert, Text } from '@mantine/core'
import { IconClockPause } from '@tabler/icons-react'
import type { Site } from '@understudy/contract/site'
import { formatCount, formatDuration } from '../../lib/format.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { Stat } from '../../ui/Stat.tsx'
import { When } from '../../ui/When.tsx'

/** Whether the account asks for fewer requests: the reason why cycles take longer than their interval. */
export function SlowedDown({ slowedDown }: { readonly slowedDown: NonNullable<Site['slowedDown']> }) {
  const { timesLastHour, lastAt, affectedCount } = slowedDown
  const isSlow = timesLastHour > 0
  return (
    <Stat
      label="Slowed down by the account"
      value={isSlow ? `${formatCount(timesLastHour)} times` : 'no'}
      ink={isSlow ? 'var(--at-risk)' : 'var(--ink)'}
      note={
        isSlow ? (
          <>
            in the last hour, last <When at={lastAt} />; {machinesSlower(affectedCount)}
          </>
        ) : (
          'in the last hour'
        )
      }
    />
  )
}

const machinesSlower = (count: number): string =>
  count === 0
    ? 'every machine keeps its interval'
    : `${formatCount(count)} ${count === 1 ? 'machine keeps' : 'machines keep'} a longer interval`

/** Which machines get fewer points because of it, the slowest first, and what to do. */
export function SlowedMachines({ slowedDown }: { readonly slowedDown: NonNullable<Site['slowedDown']> }) {
  const { affected, affectedCount, remedy } = slowedDown
  if (affectedCount === 0) return null
  const left = affectedCount - affected.length
  return (
    <Alert
      color="yellow"
      variant="light"
      icon={<IconClockPause size={18} />}
      title={`The account asks for fewer requests: ${machinesSlower(affectedCount)}`}
    >
      <Text size="sm">{remedy}</Text>
      <Text size="sm" component="ul" my={6} pl={18}>
        {affected.map(({ machineId, name, wantedSeconds, carriedSeconds }) => (
          <li key={machineId}>
            <LinkAnchor to="/machines/$machineId" params={{ machineId }} underline="always">
              {name}
            </LinkAnchor>
            : a point every {formatDuration(carriedSeconds)} instead of {formatDuration(wantedSeconds)}
          </li>
        ))}
      </Text>
      {left > 0 && <Text size="sm">and {formatCount(left)} more.</Text>}
    </Alert>
  )
}
