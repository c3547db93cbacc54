/** Reads the JSON reports of the two test runners. Pure. */
import { stripVTControlCharacters } from 'node:util'

/** @typedef {{ passed: number, failed: number, notes: string[] }} Tally */
/** @typedef {{ status: string, fullName?: string, failureMessages?: string[] }} Assertion */
/** @typedef {{ title: string, ok: boolean, tests: { results: { error?: { message?: string } }[] }[] }} Spec */
/** @typedef {{ specs?: Spec[], suites?: Suite[] }} Suite */

/** A summary says why the first few failed; the rest stands in the output above it. */
const failuresTold = 5
const linesOfFailure = 8

/**
 * Vitest's report. A test that did not run counts as failed: a pass that nobody saw is not a pass.
 * @param {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number, numFailedTestSuites?: number, testResults?: { name: string, status: string, message?: string, assertionResults: Assertion[] }[] }} report
 * @returns {Tally}
 */
export function countVitest(report) {
  const left = report.numPendingTests + report.numTodoTests
  // A file that cannot even be loaded has no tests in the report, only its own state.
  const broken = (report.testResults ?? []).filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((one) => one.status === 'failed'),
  )
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + left + broken.length,
    notes: [
      ...tellFailures(failedOfVitest(report.testResults ?? [])),
      ...broken.map((file) => `${file.name} could not be run`),
      ...(left > 0 ? [`${left} tests were left out, which counts as failed`] : []),
    ],
  }
}

/**
 * Playwright's report. A test that passed only when repeated counts as failed.
 * @param {{ stats: { expected: number, unexpected: number, flaky: number, skipped: number }, errors?: { message?: string }[], suites?: Suite[] }} report
 * @returns {Tally}
 */
export function countPlaywright({ stats, errors = [], suites = [] }) {
  return {
    passed: stats.expected,
    failed: stats.unexpected + stats.flaky + stats.skipped + errors.length,
    notes: [
      ...tellFailures(suites.flatMap(failedOfPlaywright)),
      ...(stats.skipped > 0 ? [`${stats.skipped} tests were left out, which counts as failed`] : []),
      ...(stats.flaky > 0 ? [`${stats.flaky} tests passed only when repeated, which counts as failed`] : []),
      ...errors.map((error) => error.message ?? 'an error outside any test'),
    ],
  }
}

/**
 * @param {{ name: string, assertionResults: Assertion[] }[]} files
 * @returns {{ test: string, why: string }[]}
 */
function failedOfVitest(files) {
  return files
    .flatMap((file) => file.assertionResults)
    .filter(({ status }) => status === 'failed')
    .map(({ fullName = 'a test', failureMessages = [] }) => ({
      test: fullName,
      why: failureMessages[0] ?? '',
    }))
}

/**
 * @param {Suite} suite
 * @returns {{ test: string, why: string }[]}
 */
function failedOfPlaywright({ specs = [], suites = [] }) {
  const failed = specs.flatMap(({ title, ok, tests }) => {
    const messages = tests.flatMap(({ results }) => results.map(({ error }) => error?.message))
    // One that was only left out has no message of its own.
    const why = messages.find((message) => message !== undefined)
    return ok || why === undefined ? [] : [{ test: title, why }]
  })
  return [...failed, ...suites.flatMap(failedOfPlaywright)]
}

/**
 * @param {{ test: string, why: string }[]} failures
 * @returns {string[]} a line each
 */
function tellFailures(failures) {
  return failures.slice(0, failuresTold).flatMap(({ test, why }) => [
    `failed: ${test}`,
    ...stripVTControlCharacters(why)
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(0, linesOfFailure)
      .map((line) => `  ${line}`),
  ])
}

/**
 * What a runner has to say in the end: its report and its exit code must agree, and there must be tests.
 * @param {Tally | undefined} tally undefined when it wrote no report
 * @param {number} exitCode
 * @returns {Tally}
 */
export function settle(tally, exitCode) {
  if (tally === undefined) return { passed: 0, failed: 1, notes: [`no report; exit code ${exitCode}`] }
  if (tally.passed + tally.failed === 0) return { passed: 0, failed: 1, notes: ['no test ran'] }
  if (exitCode !== 0 && tally.failed === 0) {
    const why =
      exitCode === 124 ? 'it ran into its time limit' : `exit code ${exitCode} without a failed test`
    return { ...tally, failed: 1, notes: [...tally.notes, why] }
  }
  return tally
}
