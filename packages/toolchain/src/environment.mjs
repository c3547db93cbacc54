/** Where we are, which Node runs our TypeScript, and the environment that every child process gets. */
import { existsSync, readFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../../', import.meta.url))

/** Nothing calls out: every tool that reports on its users is told not to. */
const quiet = {
  DO_NOT_TRACK: '1',
  TURBO_TELEMETRY_DISABLED: '1',
  TURBO_NO_UPDATE_NOTIFIER: '1',
  CHECKPOINT_DISABLE: '1',
  PRISMA_HIDE_UPDATE_MESSAGE: '1',
  NO_UPDATE_NOTIFIER: '1',
  npm_config_update_notifier: 'false',
}

/**
 * The environment for a child: ours, quiet, with the tools of node_modules before those of the system.
 * @param {NodeJS.ProcessEnv} [more]
 * @returns {NodeJS.ProcessEnv}
 */
export function childEnvironment(more = {}) {
  const path = [join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter)
  return { ...process.env, ...quiet, PATH: path, ...more }
}

/**
 * The Node that npm installed beside the other packages; without one for this platform, the Node we run on,
 * if that can run TypeScript as it is.
 * @returns {string} an absolute path
 */
export function pinnedNode() {
  const platform = process.platform === 'win32' ? 'win' : process.platform
  const file = process.platform === 'win32' ? 'bin/node.exe' : 'bin/node'
  const pinned = join(root, 'node_modules', `node-${platform}-${process.arch}`, file)
  if (existsSync(pinned)) return pinned
  if (runsTypeScript(process.versions.node)) return process.execPath
  throw new Error(
    `There is no Node 24 package for ${process.platform} ${process.arch}. Install Node 24 and start again with it.`,
  )
}

/**
 * Type stripping needs no flag from 22.18 and 23.6 on.
 * @param {string} version such as "24.21.0"
 */
export function runsTypeScript(version) {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major >= 24 || (major === 23 && minor >= 6) || (major === 22 && minor >= 18)
}

/**
 * The script behind a command of an installed package, to be run by `pinnedNode()`: the links in
 * node_modules/.bin are shell scripts on Windows.
 * @param {string} packageName
 * @param {string} [command] when the package has several
 * @returns {string} an absolute path
 */
export function binOf(packageName, command) {
  const folder = join(root, 'node_modules', packageName)
  const { bin } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  return join(folder, typeof bin === 'string' ? bin : bin[command ?? packageName])
}
