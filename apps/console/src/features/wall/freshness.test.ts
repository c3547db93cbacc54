import { describe, expect, it } from 'vitest'
import { freshnessOf } from './freshness.ts'

const now = 1_000_000
const seconds = (count: number): number => now - count * 1000

describe('whether the wall can be believed', () => {
  it('is as old as its oldest part', () => {
    const state = freshnessOf({ connection: 'live', answeredAt: [seconds(1), seconds(45)], now })
    expect(state).toMatchObject({ kind: 'stale', words: 'Old data: this is how it was 45 s ago' })
  })
  it('says so as soon as the live line is lost, and again when the data are old', () => {
    expect(freshnessOf({ connection: 'lost', answeredAt: [seconds(3)], now }).kind).toBe('delayed')
    expect(freshnessOf({ connection: 'lost', answeredAt: [seconds(90)], now }).kind).toBe('stale')
  })
  it('is live with a line and fresh answers, and nothing yet before the first of them', () => {
    expect(freshnessOf({ connection: 'live', answeredAt: [seconds(9)], now })).toEqual({ kind: 'live' })
    expect(freshnessOf({ connection: 'live', answeredAt: [0], now })).toEqual({ kind: 'loading' })
    expect(freshnessOf({ connection: 'lost', answeredAt: [0], now }).kind).toBe('stale')
  })
})
