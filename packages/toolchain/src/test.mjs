/**
 * `npm test`: all of CI. Installs what is missing, then runs every stage, also after one has failed, and ends with
 * the line `N passed, N failed`: each test counts as one, and so does each stage that is one check.
 * `npm test -- types lint` runs only the stages of these names and says what it left out.
 * Plain JavaScript for Node 20, because nothing is installed yet when it runs first.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { countPlaywright, countVitest, settle } from './count-tests.mjs'
import { binOf, pinnedNode, root } from './environment.mjs'
import { installPackages } from './install-packages.mjs'
import { installTools } from './install-tools.mjs'
import { generateDatabaseClient, prismaConfig, runConsoleBuild } from './prepare.mjs'
import { runChild } from './run-child.mjs'
import { checkScriptBudget } from './script-budget.mjs'

/** @typedef {import('./count-tests.mjs').Tally} Tally */

const reports = mkdtempSync(join(tmpdir(), 'understudy-test-'))

/**
 * Needs nothing but what npm installs.
 * @type {Record<string, () => Promise<Tally>>}
 */
const checks = {
  database: () => runTool('prisma', ['validate', '--config', prismaConfig]),
  types: () =>
    runTool('turbo', ['run', 'typecheck', '--output-logs=errors-only', '--continue', '--env-mode=loose'], {
      // The compiler says it all; npm would add eight lines to each error.
      env: { npm_config_loglevel: 'silent' },
    }),
  lint: () => runTool('@biomejs/biome', ['check', '--error-on-warnings', '.'], { command: 'biome' }),
  boundaries: () =>
    runTool(
      'dependency-cruiser',
      [
        '--config',
        'packages/toolchain/boundaries.cjs',
        '--output-type',
        'err-long',
        'apps',
        'packages',
        'e2e',
        'prisma',
      ],
      { command: 'depcruise' },
    ),
  tidy: async () => toTally(await runChild(pinnedNode(), ['packages/toolchain/src/run-tidy.ts'])),
}

/**
 * Needs the programs of the operating system too.
 * @type {Record<string, () => Promise<Tally>>}
 */
const tests = {
  tests: () => runVitest(['pure', 'unit'], 1800),
  machines: () => runVitest(['vm'], 3000),
  console: buildAndWeighConsole,
  browser: runPlaywright,
}

/** @type {Record<string, () => Promise<Tally>>} */
const stages = { ...checks, ...tests }
const chosen = process.argv.slice(2)
process.exitCode = await main()

async function main() {
  try {
    const unknown = chosen.find((name) => !(name in stages))
    if (unknown === undefined) return await runStages(chosen.length > 0 ? chosen : Object.keys(stages))
    console.error(`There is no stage "${unknown}". Stages: ${Object.keys(stages).join(' ')}`)
    return 2
  } finally {
    rmSync(reports, { recursive: true, force: true })
  }
}

/**
 * @param {string[]} names
 * @returns {Promise<number>} the exit code
 */
async function runStages(names) {
  /** @type {{ name: string, tally: Tally, seconds: number }[]} */
  const results = []
  const installed = await runStage('install', async () => {
    await installPackages()
    if (names.some((name) => name in tests)) await installTools()
    // Types, boundaries and tests all read the client that Prisma makes.
    await generateDatabaseClient()
    return { passed: 0, failed: 0, notes: [] }
  })
  results.push(installed)
  // Without its packages and programs every later stage would fail for a reason that is not its own.
  if (installed.tally.failed === 0) {
    for (const name of names) {
      const run = stages[name]
      if (run) results.push(await runStage(name, run))
    }
  }
  return printSummary(results)
}

/**
 * @param {string} name
 * @param {() => Promise<Tally>} run
 */
async function runStage(name, run) {
  const from = Date.now()
  console.log(`\n=== ${name} ===`)
  /** @type {Tally} */
  let tally
  try {
    tally = await run()
  } catch (error) {
    tally = { passed: 0, failed: 1, notes: [error instanceof Error ? error.message : String(error)] }
  }
  const seconds = (Date.now() - from) / 1000
  for (const note of tally.notes) console.log(`${name}: ${note}`)
  console.log(`=== ${name}: ${tally.failed === 0 ? 'ok' : 'FAILED'} in ${seconds.toFixed(1)} s ===`)
  return { name, tally, seconds }
}

/** @param {{ name: string, tally: Tally, seconds: number }[]} results */
function printSummary(results) {
  console.log('')
  for (const { name, tally, seconds } of results) {
    const state = tally.failed === 0 ? 'ok' : 'FAILED'
    console.log(
      `${state.padEnd(7)} ${name.padEnd(11)} ${seconds.toFixed(1).padStart(7)} s  ${tally.passed} passed, ${tally.failed} failed`,
    )
    for (const note of tally.notes) console.log(`        ${note}`)
  }
  const notRun = Object.keys(stages).filter((name) => !results.some((result) => result.name === name))
  if (notRun.length > 0) console.log(`not run: ${notRun.join(' ')}`)
  const passed = results.reduce((sum, { tally }) => sum + tally.passed, 0)
  const failed = results.reduce((sum, { tally }) => sum + tally.failed, 0)
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}

/**
 * @param {string} packageName
 * @param {string[]} args
 * @param {{ command?: string, env?: NodeJS.ProcessEnv }} [options]
 */
async function runTool(packageName, args, { command, env = {} } = {}) {
  return toTally(
    await runChild(pinnedNode(), [binOf(packageName, command), ...args], { env, limitSeconds: 600 }),
  )
}

/**
 * @param {number} exitCode
 * @returns {Tally}
 */
function toTally(exitCode) {
  if (exitCode === 0) return { passed: 1, failed: 0, notes: [] }
  return {
    passed: 0,
    failed: 1,
    notes: [exitCode === 124 ? 'it ran into its time limit' : `exit code ${exitCode}`],
  }
}

/**
 * @param {('pure' | 'unit' | 'vm')[]} projects
 * @param {number} limitSeconds
 * @returns {Promise<Tally>}
 */
async function runVitest(projects, limitSeconds) {
  const report = join(reports, `${projects.join('-')}.json`)
  const asked = projects.map((project) => `--project=${project}`)
  const args = ['run', '--config', 'packages/toolchain/vitest.config.ts', ...asked]
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const code = await runChild(pinnedNode(), [binOf('vitest'), ...args, ...reporters], { limitSeconds })
  return settle(existsSync(report) ? countVitest(readReport(report)) : undefined, code)
}

/** @returns {Promise<Tally>} */
async function buildAndWeighConsole() {
  const code = await runConsoleBuild()
  if (code !== 0) return toTally(code)
  const tooLarge = checkScriptBudget(join(root, 'apps/console/dist'))
  return { passed: tooLarge.length === 0 ? 1 : 0, failed: tooLarge.length, notes: tooLarge }
}

/** @returns {Promise<Tally>} */
async function runPlaywright() {
  const report = join(reports, 'browser.json')
  const code = await runChild(
    pinnedNode(),
    [
      binOf('@playwright/test', 'playwright'),
      'test',
      '--config',
      'e2e/playwright.config.ts',
      '--reporter=list,json',
    ],
    { env: { PLAYWRIGHT_JSON_OUTPUT_FILE: report }, limitSeconds: 2700 },
  )
  return settle(existsSync(report) ? countPlaywright(readReport(report)) : undefined, code)
}

/** @param {string} file */
function readReport(file) {
  return JSON.parse(readFileSync(file, 'utf8'))
}
