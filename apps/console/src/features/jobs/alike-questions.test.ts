import type { Job } from '@understudy/contract/job'
import { expect, test } from 'vitest'
import { alikeQuestions, namesOf, wordingsOf } from './alike-questions.ts'

const goOn = { value: 'go-on', label: 'Go on', danger: true }
const stop = { value: 'stop', label: 'Stop', danger: false }

const asking = (subjectName: string, values: Partial<Job> = {}, text = 'Is it off?'): Job =>
  ({
    id: subjectName,
    kind: 'unplanned-failover',
    subjectName,
    question: { id: 'fence-1', text, answers: [goOn, stop] },
    ...values,
  }) as Job

const namesIn = (jobs: readonly Job[]): readonly (readonly string[])[] =>
  alikeQuestions(jobs).map((alike) => alike.map(({ subjectName }) => subjectName))

test('jobs that offer the same answers are asked together, whatever round they are in', () => {
  const second = { id: 'fence-2', text: 'Is it off now?', answers: [goOn, stop] }
  expect(namesIn([asking('b'), asking('a'), asking('c', { question: second })])).toEqual([['a', 'b', 'c']])
})

test('other kinds of jobs and other answers are not thrown together, and who asks nothing is left out', () => {
  const other = { id: 'x', text: '?', answers: [stop] }
  expect(
    namesIn([
      asking('a'),
      asking('b', { kind: 'end-protection' }),
      asking('c', { question: other }),
      asking('d', { question: null }),
      asking('e'),
    ]),
  ).toEqual([['a', 'e'], ['b'], ['c']])
})

test('many names are cut, and each wording is said once', () => {
  const jobs = Array.from({ length: 9 }, (_, index) => asking(`m${index}`, {}, index < 8 ? 'one' : 'two'))
  expect(namesOf(jobs)).toBe('m0, m1, m2, m3, m4, m5 and 3 more')
  expect(namesOf(jobs.slice(0, 2))).toBe('m0, m1')
  expect(wordingsOf(alikeQuestions(jobs).flat())).toEqual(['one', 'two'])
})
