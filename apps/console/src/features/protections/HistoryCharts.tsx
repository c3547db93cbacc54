import { SimpleGrid, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { formatBytes } from '@understudy/base/bytes'
import type { Protection } from '@understudy/contract/protection'
import { useMemo } from 'react'
import { api } from '../../api/client.ts'
import { useRecentLag } from '../../api/live.ts'
import { formatDuration } from '../../lib/format.ts'
import { LineChart } from '../../ui/LineChart.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useNow } from '../../ui/use-now.ts'
import { type BulkCopy, greatestOf, lagSeries, writeSeries } from './history-series.ts'
import { useLagSeconds } from './LagMeter.tsx'
import { lagCounts } from './replication-words.ts'

type HistoryChartsProps = {
  readonly protection: Protection
  /** When everything was copied or compared. */
  readonly bulk: readonly BulkCopy[]
}

/** Lag against its target and what the machine writes: the last 24 hours, going on live. */
export function HistoryCharts({ protection, bulk }: HistoryChartsProps) {
  const { data, error } = useQuery({
    ...api.protections.history.queryOptions({ input: { id: protection.id } }),
    refetchInterval: 60_000,
    staleTime: 30_000,
  })
  const recent = useRecentLag(protection.id)
  const now = useNow(1000)
  const seconds = useLagSeconds(protection)
  const counted = lagCounts[protection.state] ? seconds : null
  const lag = useMemo(
    () => lagSeries(data?.items ?? [], recent, counted === null ? null : { at: now, lagSeconds: counted }),
    [data, recent, counted, now],
  )
  const writes = useMemo(() => writeSeries(data?.items ?? [], bulk), [data, bulk])
  if (error) return <ProblemAlert error={error} />
  const worst = greatestOf(lag)
  const most = greatestOf(writes)
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
      <Panel title="Lag, last 24 hours">
        {lag.times.length < 2 ? (
          <Quiet />
        ) : (
          <LineChart
            label="Lag"
            summary={`Lag of ${protection.name} over the last 24 hours: at most ${formatDuration(worst)}, target ${formatDuration(protection.lagTargetSeconds)}.`}
            times={lag.times}
            values={lag.values}
            target={protection.lagTargetSeconds}
            format={formatDuration}
            unit="seconds"
            ink="--busy-fill"
          />
        )}
      </Panel>
      <Panel title="Written by the machine, last 24 hours">
        {writes.times.length < 2 ? (
          <Quiet />
        ) : (
          <LineChart
            label="Change rate"
            summary={`What ${protection.name} changes on its disks: at most ${formatBytes(most)} a second.`}
            times={writes.times}
            values={writes.values}
            format={(value) => `${formatBytes(value)}/s`}
            unit="bytes"
            ink="--accent"
          />
        )}
      </Panel>
    </SimpleGrid>
  )
}

const Quiet = () => (
  <Text size="sm" c="var(--ink-quiet)">
    Not enough measured yet; this fills within minutes.
  </Text>
)
