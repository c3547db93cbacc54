/**
 * `npm start`: installs and builds what is missing or stale, then runs the server until it ends.
 * Plain JavaScript for Node 20, because nothing is installed yet when it runs first. All arguments go to the server; what can be
 * said without it is said at once.
 */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { whenAbandoned } from './abandoned.mjs'
import { pinnedNode, root } from './environment.mjs'
import { installPackages } from './install-packages.mjs'
import { buildConsole, generateDatabaseClient, renewAgent } from './prepare.mjs'
import { runChild } from './run-child.mjs'

const args = process.argv.slice(2)
/** @param {string[]} options */
const isGiven = (...options) => options.some((option) => args.includes(option))

try {
  if (isGiven('--help', '-h', '--version')) await printUsage()
  else await start()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}

/** By path: the tools know nothing of the product, and of the server this one file needs no package. */
async function printUsage() {
  const { describeUsage, version } = await import(pathToFileURL(join(root, 'apps/server/src/usage.mjs')).href)
  process.stdout.write(isGiven('--help', '-h') ? describeUsage() : `${version}\n`)
}

async function start() {
  await installPackages()
  await generateDatabaseClient()
  await buildConsole()
  await renewAgent()
  // The server gets a process group of its own. Ctrl-C then reaches it once, through us, and not a second time
  // from the terminal, which it would take for impatience.
  process.exitCode = await runChild(pinnedNode(), [join(root, 'apps/server/src/main.ts'), ...args], {
    env: { NODE_ENV: process.env.NODE_ENV ?? 'production' },
    ownGroup: true,
    abort: whenAbandoned(),
  })
}
