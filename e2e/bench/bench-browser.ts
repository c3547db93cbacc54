// The browser that benches measure in, and what it says about itself.
import { type Browser, type CDPSession, chromium } from '@playwright/test'
import { MiB } from '@understudy/base/bytes'
import { browserLaunch } from '../browser.ts'

export const launchBrowser = (): Promise<Browser> => chromium.launch(browserLaunch)

export type PageMetrics = {
  /** Seconds of processor of the page's main thread so far: script, style, layout and paint. */
  readonly task: number
  /** Seconds, from any zero. */
  readonly at: number
  readonly heapMiB: number
  readonly elements: number
  readonly listeners: number
}

/** `Performance.enable` has been sent, with `timeDomain: 'threadTicks'`. */
export async function metricsOf(session: CDPSession): Promise<PageMetrics> {
  const { metrics } = await session.send('Performance.getMetrics')
  const of = (name: string): number => metrics.find((each) => each.name === name)?.value ?? Number.NaN
  return {
    task: of('TaskDuration'),
    at: performance.now() / 1000,
    heapMiB: of('JSHeapUsedSize') / MiB,
    elements: of('Nodes'),
    listeners: of('JSEventListeners'),
  }
}
