import { describe, expect, test } from 'vitest'
import { judgePace, lagTargetAt, type Pace, type PaceFacts, type PointGap } from './carried-pace.ts'

const gap = (seconds: number, more: Partial<PointGap> = {}): PointGap => ({
  seconds,
  cycleSeconds: seconds,
  throttled: false,
  ...more,
})
const judge = (facts: Partial<PaceFacts>): Pace | null =>
  judgePace({ former: null, gaps: [], wantedSeconds: 5, shortestSeconds: 1, now: 1000, ...facts })
const behind: Pace = { wantedSeconds: 5, carriedSeconds: 23, cause: 'throttled', since: 7 }

describe('the pace that is carried', () => {
  test('one late point, or two, are nothing; three in a row are a pace of their own', () => {
    const late = gap(23, { throttled: true })
    expect(judge({ gaps: [gap(5), late, late] })).toBeNull()
    expect(judge({ gaps: [late, late, gap(5), late] })).toBeNull()
    expect(judge({ gaps: [gap(5), late, gap(20), gap(26)] })).toEqual({
      wantedSeconds: 5,
      carriedSeconds: 23,
      cause: 'throttled',
      since: 1000,
    })
  })

  test('only three points in time in a row end it, and what is neither late nor in time ends nothing', () => {
    expect(judge({ former: behind, gaps: [gap(23), gap(5), gap(5)] })).not.toBeNull()
    expect(judge({ former: behind, gaps: [gap(5), gap(7), gap(5)] })?.since).toBe(7)
    expect(judge({ former: behind, gaps: [gap(5), gap(6), gap(5)] })).toBeNull()
    // A mover that has just taken over has seen nothing yet.
    expect(judge({ former: behind, gaps: [] })).toBe(behind)
  })

  test.each<[string, readonly PointGap[]]>([
    ['throttled', [gap(23), gap(23, { throttled: true }), gap(23)]],
    ['waiting', [gap(23, { cycleSeconds: 1 }), gap(23, { cycleSeconds: 2 }), gap(23, { cycleSeconds: 1 })]],
    ['slow', [gap(23), gap(23), gap(23)]],
  ])('why points come late: %s', (cause, gaps) => {
    expect(judge({ gaps })?.cause).toBe(cause)
  })

  test('a figure that hardly moves is no news', () => {
    const throttled = { throttled: true }
    expect(judge({ former: behind, gaps: [gap(22, throttled), gap(24), gap(25)] })).toBe(behind)
    expect(judge({ former: behind, gaps: [gap(42, throttled), gap(44), gap(45)] })?.carriedSeconds).toBe(44)
  })

  test('a policy with another interval is judged anew', () => {
    expect(judge({ former: behind, wantedSeconds: 60, gaps: [] })).toBeNull()
  })

  test('what the source cannot give is known before the first point, and late is only what is later than that', () => {
    const source = { wantedSeconds: 5, carriedSeconds: 120, cause: 'source', since: 1000 }
    expect(judge({ shortestSeconds: 120 })).toEqual(source)
    expect(judge({ shortestSeconds: 120, gaps: [gap(120), gap(125), gap(130)] })).toEqual(source)
    expect(judge({ shortestSeconds: 120, gaps: [gap(300), gap(300), gap(300)] })?.cause).toBe('slow')
    expect(judge({ shortestSeconds: 120, wantedSeconds: 300 })).toBeNull()
  })
})

test('the lag target gives way to what the source cannot do, and to nothing else', () => {
  const policy = { lagTargetSeconds: 30 }
  expect(lagTargetAt(policy, null)).toBe(30)
  expect(lagTargetAt(policy, behind)).toBe(30)
  expect(lagTargetAt(policy, { ...behind, carriedSeconds: 120, cause: 'source' })).toBe(145)
})
