import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const root = fileURLToPath(new URL('../..', import.meta.url))
const notOurs = ['**/node_modules/**', '**/dist/**', '**/generated/**']

/**
 * Two projects, because tests that boot virtual machines want the processors for themselves.
 * `x.vm.test.ts` boots one; every other `x.test.ts` does not.
 */
export default defineConfig({
  root,
  test: {
    maxWorkers: 2,
    // What is polled for comes when it comes; the default of a second is a timed test.
    expect: { poll: { timeout: 30_000 } },
    projects: [
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
          exclude: [...notOurs, '**/*.vm.test.ts'],
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
          // Two at a time finish no sooner on two processors, and every guest boots at half the speed.
          fileParallelism: false,
          maxWorkers: 1,
          // After the unit tests, never beside them.
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
