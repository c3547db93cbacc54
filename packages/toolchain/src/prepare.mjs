/** Makes what is made from the sources, the database client and the console, when the sources have changed. */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { binOf, pinnedNode, root } from './environment.mjs'
import { runChild } from './run-child.mjs'

export const prismaConfig = 'prisma/prisma.config.ts'

/** The database client, from prisma/schema.prisma. Throws when the schema is wrong. */
export async function generateDatabaseClient() {
  const output = /^\s*output\s*=\s*"([^"]+)"/m.exec(
    readFileSync(join(root, 'prisma/schema.prisma'), 'utf8'),
  )?.[1]
  if (output === undefined) throw new Error('prisma/schema.prisma does not say where the client goes')
  await makeWhenStale({
    name: 'database client',
    from: ['prisma', 'packages/store/package.json'],
    result: resolve(root, 'prisma', output),
    make: () =>
      runChild(pinnedNode(), [binOf('prisma'), 'generate', '--config', prismaConfig], { limitSeconds: 300 }),
  })
}

/** The console, from its sources and from the packages that it may import. */
export async function buildConsole() {
  await makeWhenStale({
    name: 'console',
    from: ['apps/console', 'packages/contract', 'packages/domain', 'packages/base', 'package-lock.json'],
    result: join(root, 'apps/console/dist/index.html'),
    make: runConsoleBuild,
  })
}

/** @returns {Promise<number>} the exit code */
export function runConsoleBuild() {
  return runChild(pinnedNode(), [binOf('vite'), 'build'], {
    cwd: join(root, 'apps/console'),
    env: { NODE_ENV: 'production' },
    limitSeconds: 600,
  })
}

/**
 * The agent as one file, where somebody has built it once: what this server gives away is of its own sources. Not before, for it takes
 * longer than a first start should, and never a reason not to start.
 */
export async function renewAgent() {
  const result = join(root, 'apps/agent/dist/manifest.json')
  if (!existsSync(result)) return
  const from = ['apps/agent', 'packages', 'package-lock.json']
  await makeWhenStale({ name: 'agent', from, result, make: () => runAgentBuild(['--again']) }).catch(
    (error) =>
      console.error(
        `${error.message}. What agents fetch from here stays of older sources until npm run build:agent works.`,
      ),
  )
}

/**
 * The agent as one file, from the sources that it is bundled from.
 * @param {string[]} [args]
 * @param {AbortSignal} [abort]
 * @returns {Promise<number>} the exit code
 */
export function runAgentBuild(args = [], abort = undefined) {
  return runChild(pinnedNode(), [join(root, 'packages/toolchain/src/run-build-agent.ts'), ...args], {
    limitSeconds: 1200,
    ...(abort ? { abort } : {}),
  })
}

/**
 * @param {object} product
 * @param {string} product.name
 * @param {string[]} product.from files and folders, relative to the root
 * @param {string} product.result what exists when it has been made
 * @param {() => Promise<number>} product.make answers an exit code
 */
async function makeWhenStale({ name, from, result, make }) {
  const stampFile = join(root, 'node_modules/.cache/understudy', `${name.replaceAll(' ', '-')}.stamp`)
  const stamp = hashTree(root, from)
  const made = existsSync(stampFile) ? readFileSync(stampFile, 'utf8') : ''
  if (existsSync(result) && made === stamp) return
  console.log(`Building the ${name}`)
  const code = await make()
  if (code !== 0) throw new Error(`Building the ${name} failed with exit code ${code}`)
  mkdirSync(dirname(stampFile), { recursive: true })
  writeFileSync(stampFile, stamp)
}

const made = new Set(['node_modules', 'dist', 'generated'])

/**
 * A hash over the names and contents of all files below the given paths, without hidden and made ones.
 * @param {string} base
 * @param {string[]} paths relative to `base`; one that does not exist counts as empty
 * @returns {string}
 */
export function hashTree(base, paths) {
  const hash = createHash('sha256')
  for (const path of paths) addTree(hash, base, path)
  return hash.digest('hex')
}

/**
 * @param {import('node:crypto').Hash} hash
 * @param {string} base
 * @param {string} path
 */
function addTree(hash, base, path) {
  const full = join(base, path)
  if (!existsSync(full)) return
  if (!statSync(full).isDirectory()) {
    // The length keeps the end of one file apart from the beginning of the next.
    const content = readFileSync(full)
    hash.update(`${path}\0${content.length}\0`).update(content)
    return
  }
  const names = readdirSync(full).filter((name) => !name.startsWith('.') && !made.has(name))
  for (const name of names.sort()) addTree(hash, base, `${path}/${name}`)
}
