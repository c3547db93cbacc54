// What a new user does in the first ten minutes, in a real browser with real machines: set-up, lab, protect, test, there and back.
import { expect, type Locator, type Page, test } from '@playwright/test'
import type { Protection } from '@understudy/contract/protection'
import {
  ask,
  becomeOwner,
  choose,
  followTheJob,
  goTo,
  jobSucceeds,
  openMachine,
  watchForErrors,
} from './console.ts'
import { type GuestStatus, originalAddress, recordAtBoot, waitForGuest } from './guest.ts'
import { differencesWhenHeldStill, differencesWhenOff, type LabCopies } from './lab-disks.ts'
import { dismantle, newHome, type Product, startProduct } from './product.ts'
import { photograph, themes } from './screenshots.ts'

test.describe.configure({ mode: 'serial' })

const jobSeconds = 240
let home: string
let product: Product | null = null
let page: Page
let errors: readonly string[]
/** The newest record that a guest has found at its boot; no later boot may find less. */
let highestRecord = 0
/** Where the machine answers while it runs at site B. */
let awayAddress = ''

test.beforeAll(async ({ browser }) => {
  home = await newHome()
  product = await startProduct(home)
  page = await browser.newPage()
  errors = watchForErrors(page)
})
test.afterAll(async () => {
  await page?.close()
  await dismantle(home, product)
})

test('the printed link makes the owner, and the overview offers the first steps', async () => {
  const link = product?.setupLink ?? ''
  expect(link).toContain('/setup?token=')
  await becomeOwner(page, link)
  await expect(page.getByRole('heading', { name: 'Try it on this computer' })).toBeVisible()
  await photograph(page, 'first-steps', themes)
})

test('one click makes a lab of two healthy sites', async () => {
  await page.getByRole('button', { name: 'Create a lab' }).click()
  await page.getByRole('link', { name: 'Watch it' }).click()
  await jobSucceeds(page, jobSeconds)
  await goTo(page, 'Sites')
  for (const name of ['Lab site A', 'Lab site B'])
    await expect(page.getByRole('row', { name })).toContainText('Healthy')
})

test('the wizard protects both machines to site B, and the lag stays under its target', async () => {
  await goTo(page, 'Overview')
  await page.getByRole('main').getByRole('link', { name: 'Protect machines' }).first().click()
  await choose(page, 'Source site', 'Lab site A')
  await choose(page, 'Target site', 'Lab site B')
  await choose(page, 'Policy', 'Every 5 seconds')
  for (const name of ['lab-db', 'lab-web'])
    await page.getByRole('checkbox', { name: `Choose ${name}` }).check()
  await expect(page.getByRole('combobox', { name: /in a test$/ })).toHaveValue('Isolated (isolated)')
  await photograph(page, 'protect')
  await page.getByRole('button', { name: 'Protect 2 machines' }).click()
  await expect(page.getByText('2 of 2 are being protected')).toBeVisible()
  await page.getByRole('row', { name: 'lab-db' }).getByRole('link', { name: 'Follow the job' }).click()
  await jobSucceeds(page, jobSeconds)

  await openMachine(page, 'lab-db')
  await isProtected('forward')
  // Live: the page is not loaded again.
  await pointsGrowBy(3)
  await expect(shown('Lag')).toContainText('target 30 s')
  for (let look = 0; look < 8; look++) {
    const lag = await shown('Lag').innerText()
    expect(secondsIn(lag.split('target')[0] ?? ''), lag).toBeLessThan(30)
    await page.waitForTimeout(500)
  }
  checkData(await waitForGuest(await originalAddress(home, 'lab-db')))
  expect(await differencesWhenHeldStill(copies('forward'))).toEqual([])
})

test('a test failover boots a copy that answers, while replication goes on', async () => {
  const dialog = await ask(page, 'Test failover')
  await expect(dialog.getByRole('group', { name: 'Age of the point' })).not.toContainText('…')
  await photograph(page, 'failover-dialog')
  await dialog.getByRole('button', { name: 'Start the test' }).click()
  await followTheJob(page, 'Test failover', 'lab-db', jobSeconds)
  const run = page.getByRole('region', { name: 'Test of lab-db at Lab site B' })
  const guest = await waitForGuest(await addressIn(run))
  checkData(guest)
  expect(recordAtBoot(guest)).toBeGreaterThan(0)
  await pointsGrowBy(1)
  await isProtected('forward')

  const cleanUp = await ask(page, 'Clean up test')
  await cleanUp.getByRole('button', { name: 'Clean up' }).click()
  await followTheJob(page, 'Clean up the test', 'lab-db', jobSeconds)
  await expect(run).toBeHidden()
  await expect(shown('Last test')).toContainText('passed')
  expect(await differencesWhenHeldStill(copies('forward'))).toEqual([])
})

test('a planned failover loses nothing, and is committed', async () => {
  await photograph(page, 'machine', themes)
  const before = await waitForGuest(await originalAddress(home, 'lab-db'))
  const dialog = await ask(page, 'Planned failover')
  await expect(dialog.getByRole('group', { name: 'Data loss' })).toContainText('none')
  await dialog.getByRole('button', { name: 'Fail over' }).click()
  await followTheJob(page, 'Planned failover', 'lab-db', jobSeconds)
  const run = page.getByRole('region', { name: 'lab-db runs at Lab site B' })
  awayAddress = await addressIn(run)
  const guest = await waitForGuest(awayAddress)
  checkData(guest)
  expect(recordAtBoot(guest)).toBeGreaterThanOrEqual(before.chain.step)
  await photograph(page, 'failover-running')
  expect(await differencesWhenOff(copies('forward'))).toEqual([])
  await commit()
})

test('reprotect turns the direction round, and fail back brings home everything that was written meanwhile', async () => {
  await reprotect('reverse')
  await pointsGrowBy(1)
  expect(await differencesWhenHeldStill(copies('reverse'))).toEqual([])

  const away = await waitForGuest(awayAddress)
  const dialog = await ask(page, 'Fail back')
  await expect(dialog.getByRole('group', { name: 'Data loss' })).toContainText('none')
  await dialog.getByRole('button', { name: 'Fail back' }).click()
  await followTheJob(page, 'Fail back', 'lab-db', jobSeconds)
  await expect(page.getByRole('region', { name: 'lab-db runs at Lab site A' })).toBeVisible()
  const guest = await waitForGuest(await originalAddress(home, 'lab-db'))
  checkData(guest)
  expect(recordAtBoot(guest)).toBeGreaterThanOrEqual(away.chain.step)
  // What came home equals what the machine that is off now had.
  expect(await differencesWhenOff(copies('reverse'))).toEqual([])

  await commit()
  await reprotect('forward')
  await pointsGrowBy(1)
  expect(await differencesWhenHeldStill(copies('forward'))).toEqual([])
})

test('nothing went wrong in the browser on the whole way', async () => {
  for (const [place, name] of [
    ['Overview', 'overview'],
    ['Machines', 'machines'],
    ['Sites', 'sites'],
    ['Jobs', 'jobs'],
    ['Alerts', 'alerts'],
    ['Events', 'events'],
    ['Policies', 'policies'],
    ['Settings', 'settings'],
  ] as const) {
    await goTo(page, place)
    await page.waitForLoadState('networkidle')
    await photograph(page, name, themes)
  }
  expect(errors).toEqual([])
})

const shown = (name: string): Locator => page.getByRole('main').getByRole('group', { name, exact: true })

const copies = (direction: Protection['direction']): LabCopies =>
  direction === 'forward'
    ? { home, name: 'lab-db', runsAt: 'a', replicaAt: 'b' }
    : { home, name: 'lab-db', runsAt: 'b', replicaAt: 'a' }

/** The points that are counted on the page, as it stands, without loading it again. */
async function pointsGrowBy(count: number): Promise<void> {
  const seen = async (): Promise<number> =>
    Number(/\n([\d.,]+)\n/.exec(await shown('Recovery points').innerText())?.[1]?.replaceAll(/\D/g, ''))
  const before = await seen()
  await expect.poll(seen, { timeout: 90_000 }).toBeGreaterThanOrEqual(before + count)
}

const secondsOf: Readonly<Record<string, number>> = { ms: 0.001, s: 1, min: 60, h: 3600, d: 86_400 }

/** `1 min 17 s` as 77; NaN, which is less than nothing, when there is no time in the text. */
function secondsIn(text: string): number {
  const parts = [...text.matchAll(/([\d.]+)\s*(ms|s|min|h|d)\b/g)]
  if (parts.length === 0) return Number.NaN
  return parts.reduce(
    (sum, [, value, unit]) => sum + Number(value) * (secondsOf[unit ?? ''] ?? Number.NaN),
    0,
  )
}

async function isProtected(direction: Protection['direction']): Promise<void> {
  await expect(page.getByRole('main').getByText('Protected', { exact: true })).toBeVisible({
    timeout: 120_000,
  })
  const active = direction === 'forward' ? 'Lab site A' : 'Lab site B'
  await expect(page.getByText(`${active} (runs here)`).first()).toBeVisible()
}

async function addressIn(run: Locator): Promise<string> {
  const link = run.getByRole('link', { name: /^http:/ }).first()
  await expect(link).toBeVisible()
  return (await link.getAttribute('href')) ?? ''
}

/** The chain over all disks has no gap and does not end before one that was seen earlier, and the database is whole. */
function checkData(guest: GuestStatus): void {
  expect(guest.chain.state).toBe('ok')
  expect(recordAtBoot(guest), guest.chain.bootCheck).toBeGreaterThanOrEqual(highestRecord)
  expect(guest.database?.integrity).toBe('ok')
  highestRecord = recordAtBoot(guest)
}

async function commit(): Promise<void> {
  const dialog = await ask(page, 'Commit')
  await dialog.getByRole('button', { name: 'Commit' }).click()
  await followTheJob(page, 'Commit the failover', 'lab-db', jobSeconds)
}

async function reprotect(direction: Protection['direction']): Promise<void> {
  const dialog = await ask(page, 'Reprotect')
  await dialog.getByRole('button', { name: 'Reprotect' }).click()
  await followTheJob(page, 'Reprotect', 'lab-db', jobSeconds)
  await isProtected(direction)
}
