// npm run bench:journal [-- --quick]. The journal measures itself; this only finds it and passes its verdict on.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const bench = fileURLToPath(new URL('../../packages/journal/bench/journal-bench.ts', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))
const run = spawnSync(process.execPath, [bench, ...process.argv.slice(2)], { cwd: root, stdio: 'inherit' })
process.exitCode = run.status ?? 1
