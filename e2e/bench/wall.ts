// npm run bench:wall [-- --quick | --machines=N --minutes=N]. The display of an operations room in a real browser, as it hangs there:
// a display link, its pictures changing by themselves, a thousand protected machines of a real server behind it. Whether the
// page's memory stays flat, and whether frames are on time while the tiles are renewed. On a computer that is busy frames are late
// whatever the page does: an empty page in the same browser says what the computer can do.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser, CDPSession, Page } from '@playwright/test'
import { KiB } from '@understudy/base/bytes'
import type { Api } from './api-client.ts'
import { median, newBars, numberOption } from './bars.ts'
import { launchBrowser, metricsOf, type PageMetrics } from './bench-browser.ts'
import { withProduct } from './bench-product.ts'
import { protectSimulated } from './simulated-machines.ts'

const isQuick = process.argv.includes('--quick')
const machines = numberOption('machines', isQuick ? 100 : 1_000)
const minutes = numberOption('minutes', isQuick ? 3 : 60)
const frameRounds = isQuick ? 2 : 5
const framesPerRound = 600
const onTimeMilliseconds = 1.5 * (1000 / 60)
/** Every picture has been shown by then, so that what is drawn once and kept counts as none of the growth. */
const settlingSeconds = 60

const bars = newBars(isQuick ? 'wall-quick' : 'wall')
const browser = await launchBrowser()
try {
  await withProduct(async (api, product) => {
    const load = {
      machines,
      intervalSeconds: 30,
      limitSeconds: 1_200,
      guests: { usedBytes: 256 * KiB, churnBytesPerSecond: 2 * KiB },
    }
    bars.note('wall-set-up', await protectSimulated(api, load), 's')
    const origin = new URL(product.address).origin
    await measureFrames(browser, await openWall(browser, api, origin, null))
    await measureMemory(await openWall(browser, api, origin, 10))
  })
} finally {
  await browser.close()
}
await bars.finish()

/** With the tiles of machines; `cycleSeconds`: how long each picture stays. Null: it stays with the tiles. */
async function openWall(from: Browser, api: Api, origin: string, cycleSeconds: number | null): Promise<Page> {
  const link = await api<{ readonly path: string }>('POST', '/display-links', {
    name: `bench ${cycleSeconds}`,
    layout: 'machines',
    cycleSeconds,
  })
  const page = await from.newPage({ viewport: { width: 1920, height: 1080 } })
  await page.goto(origin + link.path)
  await page.getByRole('heading', { level: 1 }).waitFor({ timeout: 60_000 })
  return page
}

async function measureFrames(from: Browser, wall: Page): Promise<void> {
  const empty = await from.newPage({ viewport: { width: 1920, height: 1080 } })
  await empty.setContent('<main style="height: 3000px">An empty page</main>')
  await sleep(settlingSeconds * 500)
  const ours: number[] = []
  const theirs: number[] = []
  for (let round = 0; round < frameRounds; round += 1) {
    ours.push(await shareOnTime(wall))
    theirs.push(await shareOnTime(empty))
  }
  bars.bar('wall-frames-on-time', 100 * median(ours), '%', { atLeast: 95 })
  bars.note('wall-empty-page-frames-on-time', 100 * median(theirs), '%')
  await Promise.all([empty.close(), wall.close()])
}

/** Share of frames that came in time, every one asked for. */
async function shareOnTime(page: Page): Promise<number> {
  await page.bringToFront()
  const times = await page.evaluate(async (frames) => {
    const nextFrame = (): Promise<number> => new Promise((resolve) => requestAnimationFrame(resolve))
    const seen: number[] = []
    let before = await nextFrame()
    for (let count = 0; count < frames; count += 1) {
      const now = await nextFrame()
      seen.push(now - before)
      before = now
    }
    return seen
  }, framesPerRound)
  return times.filter((time) => time < onTimeMilliseconds).length / times.length
}

async function measureMemory(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  await countRenewals(page)
  await sleep(settlingSeconds * 1000)
  const samples: PageMetrics[] = [await settled(session)]
  const startedAt = performance.now()
  while (performance.now() - startedAt < minutes * 60_000) {
    await sleep(30_000)
    samples.push(await settled(session))
  }
  const renewals = await page.evaluate(() => (window as unknown as { renewals: number }).renewals)
  const stale = (await page.getByRole('status').allTextContents()).join(' ').trim()
  if (renewals === 0 || stale !== '')
    throw new Error(`Nothing was measured: ${renewals} renewals, and the wall says at the end: ${stale}`)
  bars.note('wall-renewals', renewals / minutes, 'a minute')
  // Pictures differ in what they hold; the halves of the time show each of them equally often.
  const half = Math.floor(samples.length / 2)
  const grown = (pick: (sample: PageMetrics) => number): number =>
    median(samples.slice(half).map(pick)) - median(samples.slice(0, half).map(pick))
  bars.bar(
    'wall-heap-grows',
    grown(({ heapMiB }) => heapMiB),
    'MiB',
    { atMost: 2 },
  )
  bars.bar(
    'wall-elements-grow',
    grown(({ elements }) => elements),
    'elements',
    { atMost: 500 },
  )
  bars.bar(
    'wall-listeners-grow',
    grown(({ listeners }) => listeners),
    'listeners',
    { atMost: 50 },
  )
  bars.note('wall-heap', Math.max(...samples.map(({ heapMiB }) => heapMiB)), 'MiB')
  const [first, last] = [samples[0], samples.at(-1)]
  if (first && last)
    bars.note('wall-processor', (100 * (last.task - first.task)) / (last.at - first.at), '% of a core')
}

/** How often a frame changed something on the page. */
async function countRenewals(page: Page): Promise<void> {
  await page.evaluate(() => {
    const counted = Object.assign(window, { renewals: 0 })
    new MutationObserver(() => {
      counted.renewals += 1
    }).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true })
  })
}

/** What is left once everything that can be freed has been. */
async function settled(session: CDPSession): Promise<PageMetrics> {
  await session.send('HeapProfiler.collectGarbage')
  return await metricsOf(session)
}
