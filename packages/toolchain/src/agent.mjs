/**
 * `npm run agent -- enrol ...`: the agent from this checkout, by the Node that runs our TypeScript. Plain JavaScript for Node 20.
 */
import { join } from 'node:path'
import { whenAbandoned } from './abandoned.mjs'
import { pinnedNode, root } from './environment.mjs'
import { runChild } from './run-child.mjs'

process.exitCode = await runChild(
  pinnedNode(),
  [join(root, 'apps/agent/src/main.ts'), ...process.argv.slice(2)],
  { ownGroup: true, abort: whenAbandoned() },
)
