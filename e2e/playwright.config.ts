import { existsSync } from 'node:fs'
import { defineConfig } from '@playwright/test'

/** The distribution's; where it has none, the runner's own. */
const browser = process.env.CHROMIUM ?? ['/usr/bin/chromium'].find((file) => existsSync(file))

// Real browser, real server, real guests under software emulation: generous limits, one at a time.
export default defineConfig({
  testDir: '.',
  testMatch: '*.spec.ts',
  outputDir: './test-results',
  timeout: 600_000,
  expect: { timeout: 30_000 },
  workers: 1,
  fullyParallel: false,
  retries: 0,
  forbidOnly: true,
  reporter: 'list',
  use: {
    viewport: { width: 1440, height: 900 },
    colorScheme: 'dark',
    // A colour that is still on its way is not what people read.
    contextOptions: { reducedMotion: 'reduce' },
    actionTimeout: 60_000,
    trace: 'retain-on-failure',
    launchOptions: {
      ...(browser === undefined ? {} : { executablePath: browser }),
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
  },
})
