import { SimpleGrid, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { formatBytes } from '@understudy/base/bytes'
import type { HistorySample, Protection } from '@understudy/contract/protection'
import { useMemo } from 'react'
import type { z } from 'zod'
import { api } from '../../api/client.ts'
import type { LagSample } from '../../api/lag-trails.ts'
import { useRecentLag } from '../../api/live.ts'
import { formatDuration } from '../../lib/format.ts'
import { LineChart } from '../../ui/LineChart.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'

type Sample = z.infer<typeof HistorySample>

/** Lag against its target and what the machine writes: the last 24 hours, going on live. */
export function HistoryCharts({ protection }: { readonly protection: Protection }) {
  const { data, error } = useQuery({
    ...api.protections.history.queryOptions({ input: { id: protection.id } }),
    refetchInterval: 60_000,
    staleTime: 30_000,
  })
  const recent = useRecentLag(protection.id)
  const lag = useMemo(() => lagSeries(data?.items ?? [], recent), [data, recent])
  const writes = useMemo(() => writeSeries(data?.items ?? []), [data])
  if (error) return <ProblemAlert error={error} />
  const worst = Math.max(0, ...lag.values.map((value) => value ?? 0))
  const most = Math.max(0, ...writes.values)
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

function lagSeries(samples: readonly Sample[], recent: readonly LagSample[]) {
  const times: number[] = []
  const values: (number | null)[] = []
  for (const sample of samples) {
    times.push(Date.parse(sample.at) / 1000)
    values.push(sample.lagSeconds)
  }
  const last = times.at(-1) ?? 0
  for (const measurement of recent) {
    if (measurement.at / 1000 <= last) continue
    times.push(measurement.at / 1000)
    values.push(measurement.lagSeconds)
  }
  return { times, values }
}

/** Bytes of each sample over the time since the one before it. */
function writeSeries(samples: readonly Sample[]) {
  const times: number[] = []
  const values: number[] = []
  for (const [index, sample] of samples.entries()) {
    const before = samples[index - 1]
    if (!before) continue
    const seconds = (Date.parse(sample.at) - Date.parse(before.at)) / 1000
    if (seconds <= 0) continue
    times.push(Date.parse(sample.at) / 1000)
    values.push(sample.changedBytes / seconds)
  }
  return { times, values }
}
