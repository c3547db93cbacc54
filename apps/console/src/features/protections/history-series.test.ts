import { expect, test } from 'vitest'
import { greatestOf, lagSeries, type Sample, writeSeries } from './history-series.ts'

const second = (at: number): string => new Date(at * 1000).toISOString()
const sample = (at: number, changedBytes: number, lagSeconds: number | null = 1): Sample => ({
  at: second(at),
  lagSeconds,
  changedBytes,
})

test('the greatest lag is that of all that is drawn: what was recorded, heard since, and of this moment', () => {
  const samples = [sample(100, 0, 1.6), sample(160, 0, 1.5)]
  const recent = [
    { at: 150_000, lagSeconds: 9 },
    { at: 170_000, lagSeconds: 11 },
  ]
  const series = lagSeries(samples, recent, { at: 400_000, lagSeconds: 240 })
  expect(series.times).toEqual([100, 160, 170, 400])
  expect(greatestOf(series)).toBe(240)
  expect(greatestOf(lagSeries(samples, recent, null))).toBe(11)
})

test('a machine whose lag counts for nothing has no lag of this moment', () => {
  expect(lagSeries([sample(100, 0, null)], [], null).values).toEqual([null])
})

test('what a comparison of everything has read is not said to be written by the machine', () => {
  const samples = [sample(0, 0), sample(60, 600), sample(120, 1_300_000_000), sample(180, 1200)]
  const series = writeSeries(samples, [{ from: 70_000, to: 110_000 }])
  expect(series).toEqual({ times: [60, 120, 180], values: [10, null, 20] })
  expect(greatestOf(series)).toBe(20)
})

test('a copy that began before a sample and ended after it takes both of its stretches', () => {
  const samples = [sample(0, 0), sample(60, 600), sample(120, 600), sample(180, 600)]
  expect(writeSeries(samples, [{ from: 50_000, to: 70_000 }]).values).toEqual([null, null, 10])
})
