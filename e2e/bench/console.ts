// npm run bench:console [-- --quick]. The table of ten thousand machines in a real browser: whether it scrolls at 60 frames
// a second, what keeping it live costs, and how quickly a page is there whose data is known. No graphics processor is
// used, so that the figures mean the same everywhere. On a computer that is busy frames are late whatever the page does:
// a list of plain rows, scrolled alike in the same browser, says what the computer can do, and the processor time of a
// frame is counted by the thread's own clock.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Browser, CDPSession, Page } from '@playwright/test'
import { median, newBars, quantile } from './bars.ts'
import { launchBrowser, metricsOf } from './bench-browser.ts'
import { openEstate } from './large-estate.ts'

const isQuick = process.argv.includes('--quick')
const rounds = isQuick ? 2 : 5
const scrollFrames = isQuick ? 180 : 300
const settlingFrames = 30
const liveSeconds = isQuick ? 6 : 20
const routeRounds = isQuick ? 3 : 9
const machines = 10_000
const frameMilliseconds = 1000 / 60

const bars = newBars(isQuick ? 'console-quick' : 'console')
await buildConsole()
const estate = await openEstate(machines)
const browser = await launchBrowser()
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
  for (const [pace, pixels] of [
    ['read', 24],
    ['search', 400],
  ] as const) {
    const ours: Frames[] = []
    const theirs: Frames[] = []
    for (let round = 0; round < rounds; round += 1) {
      ours.push(await scroll(table, '[role=grid]', pixels))
      theirs.push(await scroll(plain, 'main', pixels))
    }
    report(`console-scroll-${pace}`, ours, theirs)
  }
  estate.setLive(false)
  await Promise.all([table.close(), plain.close()])
}

function report(name: string, ours: readonly Frames[], theirs: readonly Frames[]): void {
  const at = (all: readonly Frames[], share: number): number =>
    median(all.map(({ times }) => quantile(times, share)))
  const onTime = (all: readonly Frames[]): number =>
    100 *
    median(
      all.map(({ times }) => times.filter((time) => time < 1.5 * frameMilliseconds).length / times.length),
    )
  const cost = (all: readonly Frames[]): number => median(all.map(({ processor }) => processor))
  bars.bar(`${name}-frame-p50`, at(ours, 0.5), 'ms', { atMost: 17 })
  bars.bar(`${name}-frame-p95`, at(ours, 0.95), 'ms', { atMost: 18 })
  bars.bar(`${name}-frames-on-time`, onTime(ours), '%', { atLeast: 95 })
  bars.bar(`${name}-p95-to-plain-rows`, at(ours, 0.95) / at(theirs, 0.95), 'x', { atMost: 1.1 })
  bars.bar(`${name}-longest-task`, median(ours.map(({ longestTask }) => longestTask)), 'ms', { atMost: 50 })
  // What a frame may take is what the browser needs for compositing less than its 16.7 ms.
  bars.bar(`${name}-processor-per-frame`, cost(ours), 'ms', { atMost: 12 })
  bars.note(`${name}-plain-rows-frame-p95`, at(theirs, 0.95), 'ms')
  bars.note(`${name}-plain-rows-on-time`, onTime(theirs), '%')
  bars.note(`${name}-plain-rows-processor-per-frame`, cost(theirs), 'ms')
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
  /** Milliseconds of the page's main thread for one frame: script, style, layout and paint. */
  readonly processor: number
  readonly longestTask: number
}

/** Moves on by so many pixels with each frame, as a wheel does, and back at the end. */
async function scroll(page: Page, selector: string, pixels: number): Promise<Frames> {
  await page.bringToFront()
  const session = await page.context().newCDPSession(page)
  await session.send('Performance.enable', { timeDomain: 'threadTicks' })
  const before = await metricsOf(session)
  const seen = await page.evaluate(
    async ({ selector: wanted, pixels: step, frames, settling }) => {
      const frame = document.querySelector(wanted)
      if (!frame) throw new Error(`There is no ${wanted}`)
      frame.scrollTop = 0
      let longestTask = 0
      const observer = new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) longestTask = Math.max(longestTask, duration)
      })
      observer.observe({ type: 'longtask' })
      const nextFrame = (): Promise<number> => new Promise((resolve) => requestAnimationFrame(resolve))
      for (let count = 0; count < settling; count += 1) await nextFrame()
      const times: number[] = []
      let before = await nextFrame()
      for (let count = 0; count < frames; count += 1) {
        frame.scrollTop += step
        const now = await nextFrame()
        times.push(now - before)
        before = now
      }
      observer.disconnect()
      return { times, longestTask }
    },
    { selector, pixels, frames: scrollFrames, settling: settlingFrames },
  )
  const after = await metricsOf(session)
  await session.detach()
  return { ...seen, processor: ((after.task - before.task) * 1000) / (scrollFrames + settlingFrames) }
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
