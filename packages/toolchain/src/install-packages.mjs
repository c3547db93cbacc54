/** Installs the npm packages when what lies in node_modules is not what the lock file says. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from './environment.mjs'
import { runChild } from './run-child.mjs'

/** @typedef {{ version?: string, integrity?: string, link?: boolean, optional?: boolean, devOptional?: boolean, peer?: boolean }} Locked */
/** @typedef {Record<string, Locked>} LockedPackages the "packages" table of a lock file */

/** Throws when npm fails. Does nothing when all is there. */
export async function installPackages() {
  if (!existsSync(join(root, 'package-lock.json'))) throw new Error('package-lock.json is missing')
  const outdated = findOutdated(readTable('package-lock.json'), readTable('node_modules/.package-lock.json'))
  if (outdated.length === 0) return
  console.log(`Installing npm packages (${outdated.length} are missing or of another version)`)
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm'
  const code = await runChild(
    npm,
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    {
      limitSeconds: 1200,
    },
  )
  if (code !== 0) throw new Error(`npm ci failed with exit code ${code}`)
}

/**
 * Compares what should be installed with npm's own record of what is. Contents are compared, not times: a
 * checkout makes the lock file new without changing it.
 * @param {LockedPackages} wanted
 * @param {LockedPackages} installed
 * @returns {string[]} the places in node_modules that differ
 */
export function findOutdated(wanted, installed) {
  return Object.entries(wanted)
    .filter(([path]) => path.includes('node_modules/'))
    .filter(([path, entry]) => {
      const present = installed[path]
      // An optional package is for another platform when npm left it out.
      if (present === undefined) return !entry.optional && !entry.devOptional && !entry.peer
      return present.version !== entry.version || present.integrity !== entry.integrity
    })
    .map(([path]) => path)
}

/**
 * @param {string} path
 * @returns {LockedPackages}
 */
function readTable(path) {
  const file = join(root, path)
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : {}
}
