import { expect, test } from 'vitest'
import { endMinuteOf, minuteOf } from './time-of-day.ts'

test.each([
  ['00:00', 0],
  ['03:30', 210],
  ['23:59', 1439],
  ['3:05', 185],
  ['0430', 270],
  ['23:59:10', null],
  ['24:00', null],
  ['3', null],
  ['', null],
])('the time %j', (text, expected) => {
  expect(minuteOf(text)).toBe(expected)
})

test.each([
  ['18:00', 1080],
  ['00:00', 1440],
  ['24:00', 1440],
  ['24:30', null],
  ['', null],
])('the end %j', (text, expected) => {
  expect(endMinuteOf(text)).toBe(expected)
})
