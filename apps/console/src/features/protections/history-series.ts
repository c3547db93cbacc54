// What the charts of a machine draw. Pure; times are seconds since 1970.
import type { HistorySample } from '@understudy/contract/protection'
import type { z } from 'zod'

export type Sample = z.infer<typeof HistorySample>
type Lag = { readonly at: number; readonly lagSeconds: number | null }
type Series = { readonly times: readonly number[]; readonly values: readonly (number | null)[] }

/** Recorded samples, then what this page has heard since, then the lag of this moment; `at` in milliseconds. */
export function lagSeries(samples: readonly Sample[], recent: readonly Lag[], current: Lag | null): Series {
  const all: Lag[] = samples.map(({ at, lagSeconds }) => ({ at: Date.parse(at), lagSeconds }))
  for (const each of [...recent, ...(current ? [current] : [])])
    if (each.at > (all.at(-1)?.at ?? 0)) all.push(each)
  return { times: all.map(({ at }) => at / 1000), values: all.map(({ lagSeconds }) => lagSeconds) }
}

/** A stretch in which everything was copied or compared, in milliseconds. */
export type BulkCopy = { readonly from: number; readonly to: number }

/**
 * Bytes of each sample over the time since the one before it. Null where a bulk copy ran: its bytes are what we read,
 * and nobody can tell from them what the machine wrote.
 */
export function writeSeries(samples: readonly Sample[], bulk: readonly BulkCopy[]): Series {
  const times: number[] = []
  const values: (number | null)[] = []
  for (const [index, sample] of samples.entries()) {
    const before = samples[index - 1]
    if (!before) continue
    const [from, to] = [Date.parse(before.at), Date.parse(sample.at)]
    if (to <= from) continue
    times.push(to / 1000)
    const isBulk = bulk.some((copy) => copy.from < to && copy.to > from)
    values.push(isBulk ? null : (sample.changedBytes / (to - from)) * 1000)
  }
  return { times, values }
}

export const greatestOf = ({ values }: Series): number =>
  values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0)
