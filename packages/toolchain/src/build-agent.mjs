/**
 * `npm run build:agent [-- --all]`: the agent as one file, for this platform or for all of them. Plain JavaScript for Node 20.
 */
import { whenAbandoned } from './abandoned.mjs'
import { installPackages } from './install-packages.mjs'
import { runAgentBuild } from './prepare.mjs'

try {
  await installPackages()
  process.exitCode = await runAgentBuild(process.argv.slice(2), whenAbandoned())
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
