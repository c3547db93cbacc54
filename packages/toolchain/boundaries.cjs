// The law of the tree. Each rule is a forbidden edge; `npm run boundaries` prints its reason.
// `src/boundaries.test.ts` plants one violation of every rule: a rule that catches nothing fails there.
const pkg = (name) => `^packages/${name}/`
const features = '^apps/console/src/features/'
const test = '\\.test\\.tsx?$'
const bench = '^e2e/bench/'
/** Reads disks and replicas past the product, for the browser tests: the oracle for data. */
const oracle = '^e2e/lab-disks\\.ts$'
/** The one place where ports meet adapters, and its twin for the demonstration. */
/** Starts the real product for the server's own tests on virtual machines, and looks behind it. */
const testHarness = '^apps/server/src/lab-tests/'
/** The agent over a simulated server, for the tests that start it as a process. */
const agentHarness = '^apps/agent/src/lab-tests/'
/** One file of a program, for a server that a test installs it on, and the medium that a test starts a computer from. */
const bundler = '(?:bundle-program|rescue-image)\\.ts$'
/** An engine between fake sites and plans over its machines, for its own tests. */
const engineHarness =
  '^packages/engine/src/(engine-lab|crash-lab|recovery-plans/plan-lab|plan-tests/test-lab|seeds/seed-lab)\\.ts$'
const composition = '^apps/server/src/(compose|demo)(\\.ts|-[^/]*\\.ts|/)'

/** Domain folders, most basic first. A folder may use itself and anything before it. */
const domainOrder = [
  'calendar',
  'sites',
  'agents',
  'machines',
  'boot-check',
  'protection',
  'recovery-points',
  'seeds',
  'replication',
  'recovery-plans',
  'failover',
]
/** These two speak of the others only by id. */
const domainLeaves = ['jobs', 'events']

const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to })
/** Everyone may use base. Tests may also use the simulator. */
const mayUse = (name, comment, from, allowed, except = []) => {
  const outside = (more) => ({
    path: '^(apps|packages|prisma|e2e)/',
    pathNot: [from, pkg('base'), ...allowed, ...more],
  })
  return [
    forbid(name, comment, { path: from, pathNot: [test, ...except] }, outside([])),
    forbid(
      `${name}-tests`,
      comment,
      { path: `${from}.*${test}`, pathNot: except },
      outside([pkg('simulator')]),
    ),
  ]
}
const domainFolder = (name, allowed) =>
  forbid(
    `domain-order-${name}`,
    'Domain folders build on each other in one order.',
    { path: `^packages/domain/src/${name}/` },
    { path: `^packages/domain/src/(?!(?:${[...allowed, name].join('|')})/)[^/]+/` },
  )

module.exports = {
  forbidden: [
    forbid('no-cycles', 'Two files in a cycle are one file.', {}, { circular: true }),
    forbid('resolvable', 'Not there, not exported, or not declared.', {}, { couldNotResolve: true }),
    forbid(
      'declared',
      'Declare it in the package.json of this package (test tools: in the root one).',
      { path: '^(apps|packages|e2e)/' },
      { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    ),
    forbid(
      'by-name',
      'Cross into another package only by its name.',
      { path: '^((?:apps|packages)/[^/]+|e2e)/' },
      {
        dependencyTypes: ['local'],
        dependencyTypesNot: ['aliased-workspace'],
        path: '^(apps|packages|e2e)/',
        pathNot: '^$1/',
      },
    ),
    forbid('tests-export-nothing', 'Shared test code lives in simulator.', { pathNot: test }, { path: test }),

    ...mayUse('base', 'Base knows nobody.', pkg('base'), []),
    ...mayUse('domain-is-the-centre', 'Domain knows only base.', pkg('domain'), []),
    forbid(
      'domain-is-pure',
      'No I/O and no libraries in the rules.',
      { path: '^packages/(domain|base)/', pathNot: test },
      { dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-optional'], pathNot: '^packages/' },
    ),
    ...mayUse('contract', 'Contract may quote domain.', pkg('contract'), [pkg('domain')]),
    ...mayUse('block', 'Blocks know no platforms.', pkg('block'), []),
    ...mayUse(
      'engine',
      'The engine calls ports, never adapters.',
      pkg('engine'),
      [pkg('domain'), pkg('block')],
      [engineHarness],
    ),
    ...mayUse('journal', 'The journal is one replica store among others.', pkg('journal'), [
      `${pkg('engine')}src/ports/`,
      pkg('domain'),
      pkg('block'),
    ]),
    ...mayUse('drivers', 'A driver sees ports, never use cases.', pkg('drivers'), [
      `${pkg('engine')}src/ports/`,
      // Servers with agents are a platform too: it speaks with them in their own words.
      pkg('agent-protocol'),
      pkg('domain'),
      pkg('block'),
    ]),
    ...mayUse('store', 'Store implements ports.', pkg('store'), [
      `${pkg('engine')}src/ports/`,
      pkg('domain'),
      '^prisma/',
    ]),
    ...mayUse('simulator', 'The simulated world stands where the adapters stand.', pkg('simulator'), [
      `${pkg('engine')}src/ports/`,
      pkg('domain'),
      pkg('block'),
    ]),
    ...mayUse('toolchain', 'The tools judge the product and know none of it.', pkg('toolchain'), []),
    ...mayUse('agent-protocol', 'What agent and server say knows neither of them.', pkg('agent-protocol'), [
      pkg('domain'),
    ]),
    ...mayUse(
      'agent',
      'An agent runs beside the disks: it knows what is said to the server, and nothing of what stands behind it.',
      '^apps/agent/',
      [
        pkg('agent-protocol'),
        pkg('domain'),
        pkg('block'),
        // Of the engine the port that the disks beside it are read through; of the drivers those disks, and its own end of the wire.
        `${pkg('engine')}src/ports/`,
        `${pkg('drivers')}src/(?:wires|physical|linux)/`,
      ],
      [agentHarness],
    ),
    ...mayUse('console', 'The console speaks only the contract.', '^apps/console/', [pkg('contract')]),
    ...mayUse('server', 'The server serves the console and never imports it.', '^apps/server/', [
      `^packages/(?!toolchain/(?!src/${bundler}))`,
    ]),
    forbid(
      'bundling-is-for-tests',
      'The product has nothing to bundle with when it is installed.',
      { path: '^apps/', pathNot: [testHarness, test] },
      { path: pkg('toolchain') },
    ),
    ...mayUse(
      'e2e',
      'End-to-end tests are users.',
      '^e2e/',
      [pkg('contract'), pkg('simulator')],
      [bench, oracle],
    ),
    forbid(
      'benches-measure-packages',
      'A benchmark may call any package, or start the server as a user does; it never imports an application.',
      { path: bench },
      { path: '^apps/' },
    ),
    forbid(
      'simulator-never-ships',
      'For tests and the demo entry only.',
      {
        path: '^(apps|packages)/',
        pathNot: [pkg('simulator'), test, engineHarness, testHarness, '^apps/server/src/demo\\.ts$'],
      },
      { path: pkg('simulator') },
    ),
    forbid(
      'one-composition',
      'Ports meet adapters in compose.ts.',
      { path: '^apps/server/', pathNot: [composition, testHarness, test] },
      { path: '^packages/(drivers|journal)/' },
    ),
    forbid(
      'harness-is-for-tests',
      'What starts the product for tests never ships in it.',
      { pathNot: [testHarness, engineHarness, agentHarness, test] },
      { path: [testHarness, engineHarness, agentHarness] },
    ),
    forbid(
      'one-door-to-the-database',
      'Only store talks to the database.',
      { pathNot: [pkg('store'), '^prisma/'] },
      { path: 'node_modules/(pg|@prisma|prisma|@dbos-inc)/' },
    ),

    forbid(
      'drivers-are-strangers',
      'Platforms meet in compose.ts.',
      { path: '^packages/drivers/src/([^/]+)/' },
      { path: '^packages/drivers/src/[^/]+/', pathNot: '^packages/drivers/src/(?:$1|wires)/' },
    ),
    forbid(
      'features-are-strangers',
      'Features meet on a page.',
      { path: `${features}([^/]+)/` },
      { path: features, pathNot: `${features}$1/` },
    ),
    forbid(
      'console-flows-down',
      'pages, then features, then api, ui, lib.',
      { path: '^apps/console/src/(api|ui|lib)/' },
      { path: '^apps/console/src/(features|pages)/' },
    ),
    forbid(
      'features-below-pages',
      'A feature is placed on a page, not the reverse.',
      { path: features },
      { path: '^apps/console/src/pages/' },
    ),

    ...domainOrder.map((name, i) => domainFolder(name, domainOrder.slice(0, i))),
    ...domainLeaves.map((name) => domainFolder(name, [])),
  ],
  options: {
    // TypeScript 7 has no JavaScript interface. swc reads the same syntax, type imports included:
    // layers leak through types first.
    parser: 'swc',
    // Test tools are declared once, in the root package.json.
    combinedDependencies: true,
    doNotFollow: { path: 'node_modules/(?!@understudy)' },
    exclude: { path: '(^|/)(dist|generated)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types', 'default'],
      extensions: ['.ts', '.tsx', '.js', '.mjs', '.cjs'],
    },
  },
}
