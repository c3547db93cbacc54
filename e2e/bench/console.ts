// npm run bench:console [-- --quick]. The table of ten thousand machines in a real browser: whether it scrolls at 60 frames
// a second, what keeping it live costs, and how quickly a page is there whose data is known. No graphics processor is
// used, so that the figures mean the same everywhere; a list of plain rows, scrolled alike in the same browser, says what
// the computer itself can do.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Browser, type CDPSession, chromium, type Page } from '@playwright/test'
import { median, newBars, quantile } from './bars.ts'
import { openEstate } from './large-estate.ts'

const isQuick = process.argv.includes('--quick')
const rounds = isQuick ? 2 : 5
const scrollFrames = isQuick ? 180 : 300
const liveSeconds = isQuick ? 6 : 20
const routeRounds = isQuick ? 3 : 9
const machines = 10_000
const frameMilliseconds = 1000 / 60

const bars = newBars(isQuick ? 'console-quick' : 'console')
await buildConsole()
const estate = await openEstate(machines)
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
  ],
})
try {
  await measureScroll(browser)
  await measureLive(browser)
  await measureRoutes(browser)
} finally {
  await browser.close()
  await estate.close()
}
await bars.finish()

async function buildConsole(): Promise<void> {
  const manifest = createRequire(import.meta.url).resolve('vite/package.json')
  const child = spawn(process.execPath, [path.join(path.dirname(manifest), 'bin/vite.js'), 'build'], {
    cwd: fileURLToPath(new URL('../../apps/console', import.meta.url)),
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`Building the console failed with exit code ${code}`)
}

async function openMachines(from: Browser): Promise<Page> {
  const page = await from.newPage({ viewport: { width: 1440, height: 900 } })
  const openedAt = performance.now()
  await page.goto(`${estate.address}/machines`)
  await page.getByRole('grid', { name: 'Machines' }).getByRole('row').nth(12).waitFor({ timeout: 60_000 })
  bars.note('console-open-machines', performance.now() - openedAt, 'ms')
  return page
}

/** Alternately our table and plain rows, slowly as one reads and quickly as one searches. */
async function measureScroll(from: Browser): Promise<void> {
  const table = await openMachines(from)
  const plain = await openPlainRows(from)
  estate.setLive(true)
  const ours: Frames[] = []
  const theirs: Frames[] = []
  for (let round = 0; round < rounds; round += 1) {
    for (const pixels of [24, 400]) {
      ours.push(await scroll(table, '[role=grid]', pixels))
      theirs.push(await scroll(plain, 'main', pixels))
    }
  }
  estate.setLive(false)
  const p95 = (all: readonly Frames[]): number => median(all.map(({ times }) => quantile(times, 0.95)))
  const p50 = (all: readonly Frames[]): number => median(all.map(({ times }) => quantile(times, 0.5)))
  const share = (all: readonly Frames[]): number =>
    median(
      all.map(({ times }) => times.filter((time) => time < 1.5 * frameMilliseconds).length / times.length),
    )
  // A frame is on time when it is shown at the next refresh of the screen.
  bars.bar('console-scroll-frame-p50', p50(ours), 'ms', { atMost: 17 })
  bars.bar('console-scroll-frame-p95', p95(ours), 'ms', { atMost: 18 })
  bars.bar('console-scroll-frames-on-time', 100 * share(ours), '%', { atLeast: 95 })
  bars.bar('console-scroll-p95-to-plain-rows', p95(ours) / p95(theirs), 'x', { atMost: 1.1 })
  bars.bar('console-scroll-longest-task', median(ours.map(({ longestTask }) => longestTask)), 'ms', {
    atMost: 50,
  })
  bars.note('console-scroll-work-p95', median(ours.map(({ work }) => quantile(work, 0.95))), 'ms')
  bars.note('console-plain-rows-frame-p95', p95(theirs), 'ms')
  bars.note('console-plain-rows-work-p95', median(theirs.map(({ work }) => quantile(work, 0.95))), 'ms')
  await Promise.all([table.close(), plain.close()])
}

async function openPlainRows(from: Browser): Promise<Page> {
  const page = await from.newPage({ viewport: { width: 1440, height: 900 } })
  await page.setContent(
    `<main style="height: 800px; overflow: auto; font: 13px sans-serif">${Array.from(
      { length: machines },
      (_, index) => `<div style="height: 40px">row ${index}</div>`,
    ).join('')}</main>`,
  )
  return page
}

type Frames = {
  /** Milliseconds from one frame to the next. */
  readonly times: readonly number[]
  /** Milliseconds of script, style, layout and paint in each of them. */
  readonly work: readonly number[]
  readonly longestTask: number
}

/** Moves on by so many pixels with each frame, as a wheel does, and back at the end. */
async function scroll(page: Page, selector: string, pixels: number): Promise<Frames> {
  await page.bringToFront()
  return page.evaluate(
    async ({ selector: wanted, pixels: step, frames }) => {
      const frame = document.querySelector(wanted)
      if (!frame) throw new Error(`There is no ${wanted}`)
      frame.scrollTop = 0
      let longestTask = 0
      const observer = new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) longestTask = Math.max(longestTask, duration)
      })
      observer.observe({ type: 'longtask' })
      const nextFrame = (): Promise<number> => new Promise((resolve) => requestAnimationFrame(resolve))
      // After the frame's own work is done, when the browser is free again.
      const whenIdle = (): Promise<number> =>
        new Promise((resolve) => {
          const channel = new MessageChannel()
          channel.port1.onmessage = () => resolve(performance.now())
          channel.port2.postMessage(null)
        })
      for (let settle = 0; settle < 30; settle += 1) await nextFrame()
      const times: number[] = []
      const work: number[] = []
      let before = await nextFrame()
      for (let count = 0; count < frames; count += 1) {
        frame.scrollTop += step
        const begun = performance.now()
        work.push((await whenIdle()) - begun)
        const now = await nextFrame()
        times.push(now - before)
        before = now
      }
      observer.disconnect()
      return { times, work, longestTask }
    },
    { selector, pixels, frames: scrollFrames },
  )
}

/** All machines measured every second, the table in sight: what that takes of one core beyond what an idle table takes. */
async function measureLive(from: Browser): Promise<void> {
  const page = await openMachines(from)
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  const idle: number[] = []
  const live: number[] = []
  await sleep(2000)
  for (let round = 0; round < rounds; round += 1) {
    idle.push(await shareOfCore(session, liveSeconds / 2))
    estate.setLive(true)
    await sleep(1500)
    live.push(await shareOfCore(session, liveSeconds))
    estate.setLive(false)
    await sleep(1000)
  }
  bars.bar('console-live-updates', 100 * median(live), '% of a core', { atMost: 5 })
  bars.note('console-live-idle', 100 * median(idle), '% of a core')
  await measureRefetch(page, session)
  await page.close()
}

/** The page's main thread: script, style, layout and paint, in seconds of processor. */
async function shareOfCore(session: CDPSession, seconds: number): Promise<number> {
  const before = await metricsOf(session)
  await sleep(seconds * 1000)
  const after = await metricsOf(session)
  return (after.task - before.task) / (after.at - before.at)
}

async function metricsOf(session: CDPSession): Promise<{ readonly task: number; readonly at: number }> {
  const { metrics } = await session.send('Performance.getMetrics')
  const of = (name: string): number => metrics.find((each) => each.name === name)?.value ?? Number.NaN
  return { task: of('TaskDuration'), at: performance.now() / 1000 }
}

/** Hints about some machines a second: the lists are read again, which must neither take much nor stop a scroll. */
async function measureRefetch(page: Page, session: CDPSession): Promise<void> {
  await page.evaluate(() => {
    const seen = { longest: 0 }
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest, duration)
    }).observe({ type: 'longtask' })
    Object.assign(window, { seen })
  })
  const timer = setInterval(() => estate.hint(), 1000)
  await sleep(3000)
  const share = await shareOfCore(session, 2 * liveSeconds)
  clearInterval(timer)
  const longest = await page.evaluate(() => (window as unknown as { seen: { longest: number } }).seen.longest)
  bars.bar('console-refetch', 100 * share, '% of a core', { atMost: 10 })
  bars.bar('console-refetch-longest-task', longest, 'ms', { atMost: 100 })
}

/** From the click to the frame that shows the page, its data being known. */
async function measureRoutes(from: Browser): Promise<void> {
  const page = await openMachines(from)
  const times: Record<string, number[]> = { Overview: [], Machines: [], Events: [] }
  const visit = (place: string): Promise<number> =>
    page.evaluate(async (name) => {
      const links = [...document.querySelectorAll<HTMLElement>('nav a')]
      const link = links.find(({ textContent }) => textContent === name)
      if (!link) throw new Error(`There is no link to ${name}`)
      const isThere = (): boolean =>
        document.querySelector('h1')?.textContent === name &&
        (name !== 'Machines' || document.querySelectorAll('[role=row]').length > 12)
      const begun = performance.now()
      link.click()
      while (!isThere()) await new Promise((resolve) => requestAnimationFrame(resolve))
      // The frame after is painted when the one that had it in the document has been.
      await new Promise((resolve) => requestAnimationFrame(resolve))
      return performance.now() - begun
    }, place)
  for (const place of Object.keys(times)) await visit(place)
  await sleep(2000)
  for (let round = 0; round < routeRounds; round += 1)
    for (const [place, known] of Object.entries(times)) {
      known.push(await visit(place))
      await sleep(600)
    }
  for (const [place, known] of Object.entries(times))
    bars.bar(`console-route-${place.toLowerCase()}`, median(known), 'ms', { atMost: 100 })
  await page.close()
}
