import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const law = fileURLToPath(new URL('../boundaries.cjs', import.meta.url))
const { forbidden } = createRequire(import.meta.url)(law) as { forbidden: { name: string }[] }
const cruiser = fileURLToPath(new URL('../../../node_modules/.bin/depcruise', import.meta.url))

/** The file that breaks the rule of this name, and the import with which it does so. */
const violations: Record<string, { from: string; imports: string; also?: string }> = {
  'no-cycles': {
    from: 'packages/block/src/circle-a.ts',
    imports: './circle-b.ts',
    also: 'packages/block/src/circle-b.ts',
  },
  resolvable: { from: 'packages/block/src/lost.ts', imports: './not-there.ts' },
  declared: { from: 'packages/block/src/undeclared.ts', imports: 'left-over' },
  'by-name': { from: 'packages/engine/src/by-path.ts', imports: '../../base/src/main.ts' },
  'tests-export-nothing': { from: 'packages/block/src/borrower.ts', imports: './main.test.ts' },
  base: { from: 'packages/base/src/curious.ts', imports: '@understudy/block/main' },
  'base-tests': { from: 'packages/base/src/curious.test.ts', imports: '@understudy/block/main' },
  'domain-is-the-centre': {
    from: 'packages/domain/src/sites/reaching.ts',
    imports: '@understudy/engine/main',
  },
  'domain-is-the-centre-tests': {
    from: 'packages/domain/src/sites/reaching.test.ts',
    imports: '@understudy/engine/main',
  },
  'domain-is-pure': { from: 'packages/domain/src/sites/impure.ts', imports: 'node:fs' },
  contract: { from: 'packages/contract/src/reaching.ts', imports: '@understudy/engine/main' },
  'contract-tests': { from: 'packages/contract/src/reaching.test.ts', imports: '@understudy/engine/main' },
  block: { from: 'packages/block/src/reaching.ts', imports: '@understudy/domain/sites/main' },
  'block-tests': { from: 'packages/block/src/reaching.test.ts', imports: '@understudy/domain/sites/main' },
  engine: { from: 'packages/engine/src/reaching.ts', imports: '@understudy/drivers/kvm/main' },
  'engine-tests': { from: 'packages/engine/src/reaching.test.ts', imports: '@understudy/drivers/kvm/main' },
  journal: { from: 'packages/journal/src/reaching.ts', imports: '@understudy/engine/main' },
  'journal-tests': { from: 'packages/journal/src/reaching.test.ts', imports: '@understudy/engine/main' },
  drivers: { from: 'packages/drivers/src/kvm/reaching.ts', imports: '@understudy/engine/main' },
  'drivers-tests': { from: 'packages/drivers/src/kvm/reaching.test.ts', imports: '@understudy/engine/main' },
  store: { from: 'packages/store/src/reaching.ts', imports: '@understudy/engine/main' },
  'store-tests': { from: 'packages/store/src/reaching.test.ts', imports: '@understudy/engine/main' },
  simulator: { from: 'packages/simulator/src/reaching.ts', imports: '@understudy/engine/main' },
  'simulator-tests': { from: 'packages/simulator/src/reaching.test.ts', imports: '@understudy/engine/main' },
  toolchain: { from: 'packages/toolchain/src/reaching.ts', imports: '@understudy/engine/main' },
  'toolchain-tests': { from: 'packages/toolchain/src/reaching.test.ts', imports: '@understudy/engine/main' },
  'agent-protocol': {
    from: 'packages/agent-protocol/src/reaching.ts',
    imports: '@understudy/engine/main',
  },
  'agent-protocol-tests': {
    from: 'packages/agent-protocol/src/reaching.test.ts',
    imports: '@understudy/engine/main',
  },
  // Not what only a port hides from it: whoever runs a cycle is in the server.
  agent: { from: 'apps/agent/src/reaching.ts', imports: '@understudy/engine/main' },
  'agent-tests': { from: 'apps/agent/src/reaching.test.ts', imports: '@understudy/store/main' },
  console: { from: 'apps/console/src/lib/reaching.ts', imports: '@understudy/domain/sites/main' },
  'console-tests': {
    from: 'apps/console/src/lib/reaching.test.tsx',
    imports: '@understudy/domain/sites/main',
  },
  server: { from: 'apps/server/src/reaching.ts', imports: '@understudy/console/main' },
  'server-tests': { from: 'apps/server/src/reaching.test.ts', imports: '@understudy/console/main' },
  e2e: { from: 'e2e/reaching.spec.ts', imports: '@understudy/engine/main' },
  'e2e-tests': { from: 'e2e/reaching.test.ts', imports: '@understudy/engine/main' },
  'benches-measure-packages': { from: 'e2e/bench/reaching.ts', imports: '@understudy/server/main' },
  'simulator-never-ships': { from: 'apps/server/src/playing.ts', imports: '@understudy/simulator/main' },
  'one-composition': { from: 'apps/server/src/wiring.ts', imports: '@understudy/drivers/kvm/main' },
  'bundling-is-for-tests': { from: 'apps/server/src/bundling.ts', imports: '@understudy/toolchain/main' },
  'harness-is-for-tests': { from: 'apps/server/src/starting.ts', imports: './lab-tests/lab-product.ts' },
  'one-door-to-the-database': { from: 'apps/server/src/query.ts', imports: 'pg' },
  'drivers-are-strangers': { from: 'packages/drivers/src/kvm/friendly.ts', imports: '../azure/main.ts' },
  'features-are-strangers': {
    from: 'apps/console/src/features/sites/friendly.ts',
    imports: '../failover/main.ts',
  },
  'console-flows-down': { from: 'apps/console/src/ui/upwards.ts', imports: '../features/failover/main.ts' },
  'features-below-pages': {
    from: 'apps/console/src/features/failover/upwards.ts',
    imports: '../../pages/main.ts',
  },
  'domain-order-calendar': { from: 'packages/domain/src/calendar/later.ts', imports: '../sites/main.ts' },
  'domain-order-sites': { from: 'packages/domain/src/sites/later.ts', imports: '../machines/main.ts' },
  'domain-order-agents': { from: 'packages/domain/src/agents/later.ts', imports: '../machines/main.ts' },
  'domain-order-machines': {
    from: 'packages/domain/src/machines/later.ts',
    imports: '../boot-check/main.ts',
  },
  'domain-order-boot-check': {
    from: 'packages/domain/src/boot-check/later.ts',
    imports: '../protection/main.ts',
  },
  'domain-order-protection': {
    from: 'packages/domain/src/protection/later.ts',
    imports: '../recovery-points/main.ts',
  },
  'domain-order-recovery-points': {
    from: 'packages/domain/src/recovery-points/later.ts',
    imports: '../seeds/main.ts',
  },
  'domain-order-seeds': { from: 'packages/domain/src/seeds/later.ts', imports: '../replication/main.ts' },
  'domain-order-replication': {
    from: 'packages/domain/src/replication/later.ts',
    imports: '../recovery-plans/main.ts',
  },
  'domain-order-recovery-plans': {
    from: 'packages/domain/src/recovery-plans/later.ts',
    imports: '../failover/main.ts',
  },
  'domain-order-failover': { from: 'packages/domain/src/failover/later.ts', imports: '../jobs/main.ts' },
  'domain-order-jobs': { from: 'packages/domain/src/jobs/later.ts', imports: '../sites/main.ts' },
  'domain-order-events': { from: 'packages/domain/src/events/later.ts', imports: '../sites/main.ts' },
}

/** A tree of our shape in which everything is allowed: who may import whom, once each. */
const lawful: Record<string, string[]> = {
  'packages/base/src/main.ts': [],
  'packages/domain/src/sites/main.ts': ['@understudy/base/main'],
  'packages/domain/src/agents/main.ts': ['../sites/main.ts'],
  'packages/domain/src/machines/main.ts': ['../sites/main.ts'],
  'packages/domain/src/boot-check/main.ts': ['../machines/main.ts'],
  'packages/domain/src/protection/main.ts': ['../machines/main.ts'],
  'packages/domain/src/recovery-points/main.ts': ['../protection/main.ts'],
  'packages/domain/src/seeds/main.ts': ['../recovery-points/main.ts'],
  'packages/domain/src/replication/main.ts': ['../recovery-points/main.ts'],
  'packages/domain/src/recovery-plans/main.ts': ['../protection/main.ts'],
  'packages/domain/src/failover/main.ts': ['../recovery-plans/main.ts'],
  'packages/domain/src/jobs/main.ts': ['@understudy/base/main'],
  'packages/domain/src/events/main.ts': ['@understudy/base/main'],
  'packages/contract/src/main.ts': ['@understudy/domain/sites/main'],
  'packages/block/src/main.ts': ['@understudy/base/main', 'node:fs'],
  'packages/block/src/main.test.ts': ['./main.ts', '@understudy/simulator/main', 'test-tool'],
  'packages/engine/src/ports/main.ts': ['@understudy/domain/sites/main', '@understudy/block/main'],
  'packages/engine/src/main.ts': ['./ports/main.ts'],
  'packages/engine/src/engine-lab.ts': ['./main.ts', '@understudy/simulator/main'],
  'packages/engine/src/main.test.ts': ['./engine-lab.ts'],
  'packages/journal/src/main.ts': ['@understudy/engine/ports/main', '@understudy/block/main'],
  'packages/drivers/src/wires/main.ts': ['@understudy/base/main'],
  'packages/drivers/src/azure/main.ts': ['../wires/main.ts'],
  'packages/drivers/src/kvm/main.ts': ['../wires/main.ts', '@understudy/engine/ports/main'],
  'packages/store/src/main.ts': ['@understudy/engine/ports/main', 'pg'],
  'packages/simulator/src/main.ts': ['@understudy/engine/ports/main'],
  'packages/toolchain/src/main.ts': [],
  'packages/agent-protocol/src/main.ts': ['@understudy/domain/agents/main'],
  'packages/drivers/src/physical/main.ts': [
    '@understudy/agent-protocol/main',
    '@understudy/engine/ports/main',
  ],
  'apps/agent/src/main.ts': [
    '@understudy/agent-protocol/main',
    '@understudy/drivers/wires/main',
    '@understudy/drivers/physical/main',
    '@understudy/engine/ports/main',
  ],
  'apps/agent/src/lab-tests/simulated.ts': ['../main.ts', '@understudy/drivers/kvm/main'],
  'apps/console/src/lib/main.ts': ['@understudy/contract/main'],
  'apps/console/src/features/failover/main.ts': ['../../lib/main.ts'],
  'apps/console/src/pages/main.ts': ['../features/failover/main.ts'],
  'apps/console/src/main.ts': ['./pages/main.ts'],
  'apps/server/src/main.ts': ['@understudy/engine/main', './compose.ts'],
  'apps/server/src/compose.ts': ['@understudy/drivers/kvm/main', '@understudy/journal/main'],
  'apps/server/src/demo.ts': ['@understudy/simulator/main'],
  'apps/server/src/lab-tests/lab-product.ts': ['@understudy/drivers/kvm/main', '@understudy/journal/main'],
  'apps/server/src/life.vm.test.ts': ['./lab-tests/lab-product.ts'],
  'e2e/main.spec.ts': ['@understudy/contract/main'],
  'e2e/bench/main.ts': ['@understudy/journal/main'],
}

type Violation = { from: string; to: string; rule: { name: string } }

let trees: string
beforeAll(async () => {
  trees = await mkdtemp(join(tmpdir(), 'understudy-boundaries-'))
})
afterAll(() => rm(trees, { recursive: true, force: true }))

describe('boundaries', () => {
  test('a lawful tree has no violation', async () => {
    const tree = join(trees, 'lawful')
    await writeTree(tree, lawful)
    expect(await findViolations(tree)).toEqual([])
  })

  test('every rule has a violation planted for it', () => {
    expect(Object.keys(violations).sort()).toEqual(forbidden.map((rule) => rule.name).sort())
  })

  describe('in a tree with one violation of each rule', () => {
    let found: Violation[]
    beforeAll(async () => {
      const tree = join(trees, 'unlawful')
      await writeTree(tree, { ...lawful, ...plantAll() })
      found = await findViolations(tree)
    })

    test.each(Object.entries(violations))('%s is reported', (name, { from }) => {
      expect(found.map((v) => `${v.rule.name} in ${v.from}`)).toContain(`${name} in ${from}`)
    })
  })
})

function plantAll(): Record<string, string[]> {
  const files: Record<string, string[]> = {}
  for (const { from, imports, also } of Object.values(violations)) {
    files[from] = [imports]
    if (also) files[also] = [`./${from.split('/').at(-1)}`]
  }
  return files
}

/** Writes each file with type imports only: layers leak through types first, so those must be seen. */
async function writeTree(tree: string, files: Record<string, string[]>): Promise<void> {
  const write = async (path: string, text: string) => {
    await mkdir(dirname(join(tree, path)), { recursive: true })
    await writeFile(join(tree, path), text)
  }
  for (const [path, imports] of Object.entries(files)) {
    const lines = imports.map((from, i) => `import type { Thing as Thing${i} } from '${from}'\n`)
    await write(
      path,
      `${lines.join('')}export type Thing = ${imports.map((_, i) => `Thing${i}`).join(' | ') || '1'}\n`,
    )
  }
  const folders = new Set(
    Object.keys(files).map((path) => path.replace(/^((?:apps|packages)\/[^/]+|e2e)\/.*/, '$1')),
  )
  await mkdir(join(tree, 'node_modules/@understudy'), { recursive: true })
  for (const folder of folders) {
    const name = folder.split('/').at(-1)
    const manifest = {
      name: `@understudy/${name}`,
      exports: { './*': './src/*.ts' },
      dependencies: { pg: '*' },
    }
    await write(`${folder}/package.json`, JSON.stringify(manifest))
    await symlink(join(tree, folder), join(tree, 'node_modules/@understudy', `${name}`))
  }
  for (const name of ['pg', 'left-over', 'test-tool']) {
    await write(
      `node_modules/${name}/package.json`,
      JSON.stringify({ name, version: '1.0.0', exports: './main.js' }),
    )
    await write(`node_modules/${name}/main.js`, 'export {}\n')
  }
  const workspaces = ['apps/*', 'packages/*', 'e2e']
  await write(
    'package.json',
    JSON.stringify({ name: 'tree', workspaces, devDependencies: { 'test-tool': '*' } }),
  )
}

function findViolations(tree: string): Promise<Violation[]> {
  const args = ['--config', law, '--output-type', 'json', 'apps', 'packages', 'e2e']
  return new Promise((resolve, reject) => {
    // The exit code counts violations, so it is no failure here; a crash leaves no JSON and is one.
    execFile(cruiser, args, { cwd: tree, maxBuffer: 64 * 1024 * 1024 }, (_error, stdout, stderr) => {
      try {
        resolve(JSON.parse(stdout).summary.violations)
      } catch {
        reject(new Error(`dependency-cruiser failed: ${stderr || stdout}`))
      }
    })
  })
}
