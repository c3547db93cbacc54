// The recovery points of all machines of a plan on one line: whatever is clicked there is an instant for all of them.
import { Alert, Group, Skeleton, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { api } from '../../api/client.ts'
import { formatWithZone } from '../../lib/format.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { commonLine } from './common-line.ts'
import { TimeLine } from './TimeLine.tsx'

type CommonTimeLineProps = {
  readonly planId: string
  /** Milliseconds; null: none yet. */
  readonly instant: number | null
  readonly onChoose: (instant: number) => void
}

export function CommonTimeLine({ planId, instant, onChoose }: CommonTimeLineProps) {
  const { data, error } = useQuery({
    ...api.plans.timeLine.queryOptions({ input: { id: planId } }),
    // A line that moves under the pointer is no help; what is newer is found by "latest".
    refetchInterval: false,
    staleTime: 60_000,
  })
  const line = useMemo(() => commonLine(data?.machines ?? []), [data])
  if (!data) return error ? <ProblemAlert error={error} /> : <Skeleton h={190} />
  const unread = data.machines.filter(({ problem }) => problem !== null)
  const selected = instant === null ? undefined : line.points.find(({ at }) => at === instant)
  return (
    <div>
      {unread.length > 0 && (
        <Alert color="yellow" variant="light" mb="xs" title="Not all machines are on the line">
          {unread.map(({ name, problem }) => `${name}: ${problem}`).join('; ')}
        </Alert>
      )}
      <TimeLine
        label="Recovery points of all machines"
        points={line.points}
        selectedId={selected?.point.id ?? null}
        markedAt={instant}
        ownerOf={line.ownerOf}
        onSelect={(id) => {
          const chosen = line.points.find(({ point }) => point.id === id)
          if (chosen) onChoose(chosen.at)
        }}
      />
      <Group gap="lg" mt={4}>
        {data.earliestCommon !== null && (
          <Text size="xs" c="var(--ink-quiet)">
            All machines have a point since {formatWithZone(data.earliestCommon)}
          </Text>
        )}
        {data.machines.some(({ left }) => left > 0) && (
          <Text size="xs" c="var(--ink-quiet)">
            The line leaves out points that lie close together; any instant can be typed.
          </Text>
        )}
      </Group>
    </div>
  )
}
