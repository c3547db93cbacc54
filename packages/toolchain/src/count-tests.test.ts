import { describe, expect, test } from 'vitest'
import { countPlaywright, countVitest, settle } from './count-tests.mjs'

const vitest = { numPassedTests: 7, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0 }
const playwright = { expected: 3, unexpected: 0, flaky: 0, skipped: 0 }

describe('counting the tests', () => {
  test('passed and failed tests of Vitest are counted as they are', () => {
    expect(countVitest({ ...vitest, numFailedTests: 2 })).toMatchObject({ passed: 7, failed: 2 })
  })

  test('a test that was left out counts as failed', () => {
    expect(countVitest({ ...vitest, numPendingTests: 1, numTodoTests: 1 })).toMatchObject({ failed: 2 })
    expect(countPlaywright({ stats: { ...playwright, skipped: 1 } })).toMatchObject({ passed: 3, failed: 1 })
  })

  test('a file that cannot be loaded counts as failed, though no test in it failed', () => {
    const testResults = [{ name: 'broken.test.ts', status: 'failed', assertionResults: [] }]
    expect(countVitest({ ...vitest, testResults })).toMatchObject({ failed: 1 })
  })

  test('a failed test is not counted a second time through its file', () => {
    const testResults = [{ name: 'x.test.ts', status: 'failed', assertionResults: [{ status: 'failed' }] }]
    expect(countVitest({ ...vitest, numFailedTests: 1, testResults })).toMatchObject({ failed: 1 })
  })

  test('a browser test that passed only when repeated counts as failed', () => {
    expect(countPlaywright({ stats: { ...playwright, flaky: 1 } })).toMatchObject({ passed: 3, failed: 1 })
  })

  test('an error outside any browser test counts as failed', () => {
    expect(countPlaywright({ stats: playwright, errors: [{ message: 'no server' }] })).toMatchObject({
      failed: 1,
    })
  })
})

describe('why a test failed', () => {
  test('is told for Vitest in the first lines of its message, without colours', () => {
    const failureMessages = [`\u001b[31mError: 3 is not 4\u001b[39m\n\n${'    at a line\n'.repeat(30)}`]
    const assertionResults = [
      { status: 'passed', fullName: 'two is two' },
      { status: 'failed', fullName: 'three is four', failureMessages },
    ]
    const { notes } = countVitest({
      ...vitest,
      numFailedTests: 1,
      testResults: [{ name: 'x.test.ts', status: 'failed', assertionResults }],
    })
    expect(notes.slice(0, 3)).toEqual(['failed: three is four', '  Error: 3 is not 4', '      at a line'])
    expect(notes).toHaveLength(9)
  })

  test('is told for Playwright, also in a block of tests, and not for tests that were only left out', () => {
    const failed = {
      title: 'a click',
      ok: false,
      tests: [{ results: [{ error: { message: 'no button' } }] }],
    }
    const left = { title: 'another', ok: false, tests: [{ results: [] }] }
    const { notes } = countPlaywright({
      stats: { ...playwright, unexpected: 1 },
      suites: [{ suites: [{ specs: [failed, left] }] }],
    })
    expect(notes).toEqual(['failed: a click', '  no button'])
  })

  test('is told of a few only: the summary stays readable', () => {
    const assertionResults = Array.from({ length: 40 }, (_, n) => ({
      status: 'failed',
      fullName: `test ${n}`,
      failureMessages: ['no'],
    }))
    const testResults = [{ name: 'x.test.ts', status: 'failed', assertionResults }]
    expect(countVitest({ ...vitest, numFailedTests: 40, testResults }).notes).toHaveLength(10)
  })
})

describe('what a runner says in the end', () => {
  const good = { passed: 3, failed: 0, notes: [] }

  test('a good report with exit code 0 is taken as it is', () => {
    expect(settle(good, 0)).toEqual(good)
  })

  test.each([
    ['no report', undefined, 0],
    ['a report without any test', { passed: 0, failed: 0, notes: [] }, 0],
    ['a good report but a bad exit code', good, 1],
    ['a time limit', good, 124],
  ])('%s is a failure', (_what, tally, exitCode) => {
    expect(settle(tally, exitCode).failed).toBe(1)
  })
})
