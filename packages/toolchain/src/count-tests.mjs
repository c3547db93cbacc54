/** Reads the JSON reports of the two test runners. Pure. */

/** @typedef {{ passed: number, failed: number, notes: string[] }} Tally */

/**
 * Vitest's report. A test that did not run counts as failed: a pass that nobody saw is not a pass.
 * @param {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, numTodoTests: number, numFailedTestSuites?: number, testResults?: { name: string, status: string, message?: string, assertionResults: { status: string }[] }[] }} report
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
      ...broken.map((file) => `${file.name} could not be run`),
      ...(left > 0 ? [`${left} tests were left out, which counts as failed`] : []),
    ],
  }
}

/**
 * Playwright's report. A test that passed only when repeated counts as failed.
 * @param {{ stats: { expected: number, unexpected: number, flaky: number, skipped: number }, errors?: { message?: string }[] }} report
 * @returns {Tally}
 */
export function countPlaywright({ stats, errors = [] }) {
  return {
    passed: stats.expected,
    failed: stats.unexpected + stats.flaky + stats.skipped + errors.length,
    notes: [
      ...(stats.skipped > 0 ? [`${stats.skipped} tests were left out, which counts as failed`] : []),
      ...(stats.flaky > 0 ? [`${stats.flaky} tests passed only when repeated, which counts as failed`] : []),
      ...errors.map((error) => error.message ?? 'an error outside any test'),
    ],
  }
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
