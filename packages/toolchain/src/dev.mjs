/**
 * `npm run dev`: the same as `npm start`, but the server restarts and the console reloads when a file changes.
 * Vite serves the console and passes API and Socket.IO on to the server. All arguments go to the server.
 */
import { join } from 'node:path'
import { whenAbandoned } from './abandoned.mjs'
import { binOf, pinnedNode, root } from './environment.mjs'
import { installPackages } from './install-packages.mjs'
import { generateDatabaseClient } from './prepare.mjs'
import { runChild } from './run-child.mjs'

try {
  await installPackages()
  await generateDatabaseClient()
  const either = new AbortController()
  const options = {
    env: { NODE_ENV: 'development' },
    ownGroup: true,
    abort: AbortSignal.any([either.signal, whenAbandoned()]),
  }
  const main = join(root, 'apps/server/src/main.ts')
  const both = [
    runChild(pinnedNode(), ['--watch', '--watch-preserve-output', main, ...process.argv.slice(2)], options),
    runChild(pinnedNode(), [binOf('vite')], { ...options, cwd: join(root, 'apps/console') }),
  ]
  // Whichever ends first ends the other: half of it running is worse than none.
  process.exitCode = await Promise.race(both)
  either.abort()
  await Promise.all(both)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
