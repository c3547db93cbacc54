import { describe, expect, test } from 'vitest'
import { filterOf, isKnownFormat, lostEvents, parseTraceLine, readEvents } from './trace-text.ts'

/** As kernels 6.18 and 5.10 print it; the command is that of a pass-through request. */
const line = (what: string, place = '409600 + 64', command = '') =>
  `  fio: x (y) + 1-812 [001] d.h1.  71.204178: block_rq_complete: 8,16 ${what} (${command}) ${place} none,0,0 [0]`

describe('a line of the trace', () => {
  test.each(['W', 'WS', 'WFS', 'WSM', 'FWFS', 'D', 'DS', 'DE', 'N', 'WZ', 'ZO'])('%s is a write', (what) => {
    expect(parseTraceLine(line(what))).toEqual({
      kind: 'write',
      device: '8:16',
      extent: { offset: 409_600 * 512, bytes: 64 * 512 },
    })
  })

  test.each(['R', 'RA', 'RSM'])('%s is none', (what) => {
    expect(parseTraceLine(line(what))).toBeNull()
  })

  test('of a flush, or of another event, is none', () => {
    expect(parseTraceLine(line('FF', '0 + 0'))).toBeNull()
    expect(parseTraceLine(' x-1 [000] ..... 1.0: block_rq_issue: 8,16 W 4096 () 8 + 8 [x]')).toBeNull()
  })

  test('of an older kernel, and one with a command in it, say the same', () => {
    const old = 'kworker-12 [000] d.s. 8.1: block_rq_complete: 259,0 WS (2a 00 00) 7 + 1 [-5]'
    expect(parseTraceLine(old)).toMatchObject({ device: '259:0', extent: { offset: 3584, bytes: 512 } })
  })

  test('beyond four gibisectors keeps its place', () => {
    expect(parseTraceLine(line('W', '8589934592 + 8'))).toMatchObject({ extent: { offset: 2 ** 42 } })
  })

  test('is a fence, or that something was lost', () => {
    const fence = ' node-1 [000] ..... 1.0: tracing_mark_write: understudy-fence a-b'
    expect(parseTraceLine(fence)).toEqual({ kind: 'fence', name: 'a-b' })
    expect(parseTraceLine('CPU:1 [LOST 45 EVENTS]')).toEqual({ kind: 'lost' })
  })
})

test('the format is known by its beginning', () => {
  const format = (text: string) => `name: block_rq_complete\nID: 1\n\nprint fmt: ${text}\n`
  expect(isKnownFormat(format('"%d,%d %s (%s) %llu + %u [%d]", x'))).toBe(true)
  expect(isKnownFormat(format('"%d,%d %s (%s) %llu + %u %s,%u,%u [%d]", x'))).toBe(true)
  expect(isKnownFormat(format('"%d:%d %s sector=%llu", x'))).toBe(false)
})

test('events that were lost in any way are counted', () => {
  const stats = (overrun: number, commit: number, dropped: number) =>
    `entries: 0\noverrun: ${overrun}\ncommit overrun: ${commit}\nbytes: 7\ndropped events: ${dropped}\nread events: 9\n`
  expect(lostEvents(stats(0, 0, 0))).toBe(0)
  expect(lostEvents(stats(1, 2, 4))).toBe(7)
  expect(readEvents('dropped events: 3\nread events: 12\n')).toBe(12)
})

test('the filter names devices as the kernel numbers them, and leaves out reads alone', () => {
  expect(filterOf(['8:16', '259:3'])).toBe('(dev == 8388624 || dev == 271581187) && !(rwbs ~ "R*")')
})
