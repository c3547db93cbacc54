// Small pure parts of the editor.
import type { PlanTimetable } from '@understudy/contract/recovery-plan'
import { expect, test } from 'vitest'
import { wordsOfAction } from './action-words.ts'
import { createAnnouncer } from './announcer.ts'
import { fileNameOf } from './download-text.ts'
import { clockOf } from './expected-clock.ts'
import { newAction } from './new-items.ts'
import { newParameter, withChoices, withType } from './parameter-edits.ts'
import { machineId, planOfTwoGroups } from './plan-lab.ts'
import { rtoOf, testOf, verdictOf } from './plan-verdict.ts'
import { statusesIn } from './step-forms/statuses.ts'
import { recordOf, rowsOf } from './step-forms/word-rows.ts'
import { rowsOfTimetable, ticksOf } from './timetable-rows.ts'

test.each([
  [42, '0:42'],
  [725, '12:05'],
  [3723, '1:02:03'],
  [59.7, '1:00'],
])('%d seconds after the start are %s', (seconds, words) => {
  expect(clockOf(seconds)).toBe(words)
})

test('a card says what its step does, and shows what nobody has filled in yet', () => {
  const words = (action: Parameters<typeof wordsOfAction>[0]) => wordsOfAction(action, () => 'DB')
  expect(words(newAction('probe', machineId('db')))).toBe('tcp://DB:443')
  expect(words(newAction('http', null))).toBe('POST …')
  expect(words(newAction('wait', null))).toBe('30 s')
  expect(words(newAction('dns', machineId('db')))).toBe('… A → DB')
  expect(words({ ...newAction('script', null), kind: 'script', command: '/opt/bin/warm-up' } as never)).toBe(
    'warm-up on the server',
  )
  expect(words(newAction('traffic-manager', null))).toBe('…/… → enabled')
  expect(words(newAction('azure-load-balancer', machineId('db')))).toBe('DB into …/…')
  expect(words(newAction('azure-load-balancer', null))).toBe('… into …/…')
  expect(words(newAction('azure-dns', machineId('db')))).toBe('… A → DB')
  const shellLines = { ...newAction('azure-run-command', machineId('db')), script: 'warm-up\nexit 0' }
  expect(words(shellLines as never)).toBe('warm-up in DB')
  const onHost = { kind: 'script', command: '/opt/bin/warm-up', where: { kind: 'site', site: 'harbour' } }
  expect(words({ ...newAction('script', null), ...onHost } as never)).toBe('warm-up on the host of DB')
})

test('a file name is one everywhere', () => {
  expect(fileNameOf('Web shop / EU')).toBe('web-shop-eu.plan.yaml')
  expect(fileNameOf('///')).toBe('plan.plan.yaml')
})

test('a row of the environment without a name yet is not in the plan', () => {
  expect(recordOf([...rowsOf({ A: '1' }), { name: ' ', value: 'x' }, { name: ' B ', value: '2' }])).toEqual({
    A: '1',
    B: '2',
  })
})

test('a parameter that becomes a secret keeps no default in the plan', () => {
  const text = { ...newParameter([]), default: 'hunter2' }
  expect(withType(text, 'secret')).toMatchObject({ type: 'secret', default: null, asked: false })
  expect(withType(text, 'number').default).toBeNull()
  expect(withType(text, 'text').default).toBe('hunter2')
})

test('a default that is no longer offered goes', () => {
  const choice = { ...newParameter([]), type: 'choice' as const, choices: ['a', 'b'], default: 'b' }
  expect(withChoices(choice, ['a', 'b', 'c']).default).toBe('b')
  expect(withChoices(choice, ['a']).default).toBeNull()
})

test('a new parameter has a name that no other has', () => {
  const first = newParameter([])
  expect(newParameter([{ ...first, name: 'parameter-2' }]).name).toBe('parameter-3')
})

test('a plan that may take less than it would is told as that, and a close one as close', () => {
  const tone = (predictedSeconds: number | null) => rtoOf({ predictedSeconds, targetRtoSeconds: 100 }).tone
  expect([tone(50), tone(95), tone(101), tone(null)]).toEqual(['good', 'at-risk', 'bad', 'off'])
})

test('only a passed test is good, and no test is not good', () => {
  const lastTest = { runId: 'r', at: '2026-01-01T00:00:00Z' }
  expect([
    testOf({ lastTest: null }).tone,
    testOf({ lastTest: { ...lastTest, passed: true } }).tone,
    testOf({ lastTest: { ...lastTest, passed: false } }).tone,
  ]).toEqual(['off', 'good', 'bad'])
  expect([
    verdictOf({ blockers: 2, warnings: 1 }).words,
    verdictOf({ blockers: 0, warnings: 0 }).words,
  ]).toEqual(['2 blockers', 'can run'])
})

test('the timetable follows the order of the plan and leaves out what does not run', () => {
  const timing = { startSeconds: 0, endSeconds: 1, slackSeconds: 0, critical: true }
  const timetable: PlanTimetable = {
    totalSeconds: 1,
    spreadSeconds: 0,
    criticalPath: [],
    measured: 0,
    items: ['b', 'db', 'a'].map((name) => ({ ...timing, itemId: machineId(name) })),
  }
  expect(rowsOfTimetable(planOfTwoGroups, timetable).map(({ id, group }) => [id, group])).toEqual([
    [machineId('db'), 'Data'],
    [machineId('a'), 'Web'],
    [machineId('b'), null],
  ])
})

test.each([5, 90, 900, 7200, 200_000])('the axis of %d seconds has a handful of round moments', (seconds) => {
  const ticks = ticksOf(seconds)
  expect(ticks.length).toBeGreaterThanOrEqual(2)
  expect(ticks.length).toBeLessThanOrEqual(10)
})

test('the same words twice are said twice', () => {
  const announcer = createAnnouncer()
  announcer.say('Moved')
  const first = announcer.last()
  announcer.say('Moved')
  expect(announcer.last()).not.toBe(first)
  expect(announcer.last().trim()).toBe('Moved')
})

test('what is typed as statuses counts as far as it is some', () => {
  expect(statusesIn('200, 204,')).toEqual([200, 204])
  expect(statusesIn('200 99 20x 200 600')).toEqual([200])
  expect(statusesIn('')).toEqual([])
})
