import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const root = fileURLToPath(new URL('../..', import.meta.url))
const notOurs = ['**/node_modules/**', '**/dist/**', '**/generated/**']

/** The tests of whole products take longest; begun last, they would be waited for alone. */
class ProductsFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isProduct = ({ moduleId }: TestSpecification): number =>
      moduleId.includes('/apps/server/') ? 0 : 1
    return (await super.sort(files)).sort((a, b) => isProduct(a) - isProduct(b))
  }
}

/** Calculations without any state of their own: their files share a process, whose start would take longer than most of them. */
const pure = [
  'apps/console/**/*.test.{ts,tsx}',
  'packages/{agent-protocol,base,contract,domain}/**/*.test.ts',
]

/**
 * Tests that boot virtual machines, in `x.vm.test.ts`, want the processors for themselves. Of the others those that only calculate are a
 * project of their own.
 */
export default defineConfig({
  root,
  test: {
    maxWorkers: 2,
    sequence: { sequencer: ProductsFirst },
    // What is polled for comes when it comes; the default of a second is a timed test.
    expect: { poll: { timeout: 30_000 } },
    projects: [
      {
        root,
        // A busy computer is no failure.
        test: { name: 'pure', include: pure, exclude: notOurs, isolate: false, testTimeout: 60_000 },
      },
      {
        root,
        test: {
          name: 'unit',
          include: [
            'apps/**/*.test.{ts,tsx}',
            'packages/**/*.test.ts',
            'prisma/**/*.test.ts',
            'e2e/**/*.test.ts',
          ],
          exclude: [...notOurs, ...pure, '**/*.vm.test.ts', '**/*.soak.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        root,
        test: {
          name: 'vm',
          include: ['{apps,packages,prisma,e2e}/**/*.vm.test.ts'],
          exclude: notOurs,
          testTimeout: 240_000,
          hookTimeout: 240_000,
          // Much of it is waiting for guests and for each other: two at a time leave no processor idle, three make each other slow.
          maxWorkers: 2,
          // After the unit tests, never beside them.
          sequence: { groupOrder: 1 },
        },
      },
      {
        root,
        // Minutes for one question, killing at moments of chance: commands of their own (`npm run soak:azure`, `soak:server`), no part of `npm test`.
        test: {
          name: 'soak',
          include: ['apps/**/*.soak.test.ts'],
          exclude: notOurs,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
})
