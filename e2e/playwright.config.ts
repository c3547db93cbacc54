import { defineConfig } from '@playwright/test'
import { browserLaunch } from './browser.ts'

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
    launchOptions: browserLaunch,
  },
})
