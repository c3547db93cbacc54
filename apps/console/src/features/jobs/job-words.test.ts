import { expect, test } from 'vitest'
import { toneOfTask, wordsOfTask } from './job-words.ts'

test('a task that was done with a warning is not drawn as one that is simply done', () => {
  expect(toneOfTask.warned).toBe('at-risk')
  expect(wordsOfTask.warned).not.toBe(wordsOfTask.succeeded)
})
