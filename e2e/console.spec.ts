// Every page of the console in both themes over two simulated sites: free of barriers and errors, usable by keyboard, honest about
// what is wrong, and true to the server when that dies.
import { type Browser, expect, type Locator, type Page, test } from '@playwright/test'
import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'
import type { Site } from '@understudy/contract/site'
import { checkAccessibility } from './accessibility.ts'
import {
  ask,
  becomeOwner,
  choose,
  field,
  followTheJob,
  goTo,
  heading,
  openMachine,
  owner,
  signIn,
  signOut,
  watchForErrors,
} from './console.ts'
import { dismantle, newHome, type Product, startProduct } from './product.ts'
import { photograph } from './screenshots.ts'
import { tabTo } from './simulated-sites.ts'
import { until } from './until.ts'

test.describe.configure({ mode: 'serial' })

const reader = { name: 'auditor', password: 'only here to look around' } as const
let home: string
let product: Product
let page: Page
let errors: string[]
/** A simulated machine that is protected, and one that is not. */
let protectedMachine: Machine
let freeMachine: Machine
/** Another that is protected: it is failed over and comes home. */
let travellingMachine: Machine

test.beforeAll(async ({ browser }) => {
  home = await newHome()
  product = await startProduct(home)
  page = await browser.newPage()
  errors = watchForErrors(page)
})
test.afterEach('nothing went wrong in the browser', () => {
  // A wrong password and an unknown machine were asked for, and answered as such.
  const expected = /status of 401 .*\/session|status of 404 .*no-such-machine/
  expect(errors.splice(0).filter((error) => !expected.test(error))).toEqual([])
})
test.afterAll(async () => {
  await page?.close()
  await dismantle(home, product ?? null)
})

test('a site is registered only after a test of its connection, and what is wrong is said with its remedy', async ({
  browser,
}) => {
  await becomeOwner(page, product.setupLink ?? '')
  // Refused requests are what this is about, so the browser's own reports of them do not count here.
  const trying = await signedInPage(browser)
  await trying.goto(`${product.address}/sites?register=true`)
  const form = trying.getByRole('dialog', { name: 'Register a site' })
  await expect(form.getByRole('button', { name: 'Register', exact: true })).toBeDisabled()
  await form.getByRole('button', { name: 'Test the connection' }).click()
  await expect(form.getByRole('alert')).toContainText('Some fields are not filled in yet')

  await field(form, 'Name').fill('Nowhere')
  await field(form, 'Folder of machines').fill('/nowhere/at/all')
  await form.getByRole('button', { name: 'Test the connection' }).click()
  const problem = form.getByRole('alert')
  await expect(problem).toContainText('The connection does not work')
  await expect(problem).toContainText('/nowhere/at/all')
  await photograph(trying, 'simulated/register-refused')
  await expect(form.getByRole('button', { name: 'Register', exact: true })).toBeDisabled()
  await trying.context().close()

  await registerSimulated('Harbour', 5, 1)
  // Empty, as most second sites are: a machine of the same name there would stand in the way.
  await registerSimulated('Hillside', 0, 2)
})

test('the wizard protects machines of one site to the other', async () => {
  await goTo(page, 'Machines')
  const rows = page.getByRole('grid', { name: 'Machines' }).getByRole('row')
  await expect(rows).toHaveCount(6)
  const all = await items<Machine>('/machines?limit=100')
  const [first, second, last] = all.filter(({ siteName }) => siteName === 'Harbour')
  if (!first || !second || !last) throw new Error('The simulated site shows fewer machines than it has')
  freeMachine = last
  await page.getByRole('main').getByRole('link', { name: 'Protect machines' }).click()
  await choose(page, 'Source site', 'Harbour')
  await choose(page, 'Target site', 'Hillside')
  await choose(page, 'Policy', 'Every 5 seconds')
  for (const { name } of [first, second]) await page.getByRole('checkbox', { name: `Choose ${name}` }).check()
  await page.getByRole('button', { name: 'Protect 2 machines' }).click()
  await expect(page.getByText('2 of 2 are being protected')).toBeVisible()
  await until('both are protected', 90, async () => {
    const protections = await items<Protection>('/protections?state=protected')
    return protections.length === 2 ? true : null
  })
  protectedMachine = first
  travellingMachine = second
  await openMachine(page, first.name)
  await expect(page.getByRole('main').getByText('simulated', { exact: true }).first()).toBeVisible()
})

test('the line between two sites is limited by days and hours, says what counts now, and is free again', async () => {
  await goTo(page, 'Sites')
  await page.getByRole('button', { name: 'Limit a line' }).click()
  const form = page.getByRole('dialog', { name: 'Bandwidth between two sites' })
  await expect(form.getByRole('button', { name: 'Save the limit' })).toHaveAccessibleDescription(
    'Choose both sites',
  )
  await choose(page, 'From', 'Harbour')
  await choose(page, 'To', 'Hillside')
  const rule = form.getByRole('group', { name: 'Rule 1' })
  for (const day of ['Saturday', 'Sunday']) await rule.getByRole('checkbox', { name: day }).check()
  await field(rule, 'From').fill('00:00')
  await field(rule, 'To').fill('24:00')
  await field(rule, 'At most (Mbit/s)').fill('200')
  await field(form, 'Otherwise at most (Mbit/s)').fill('400')
  await expect(form.getByRole('status')).toContainText(
    '200 Mbit/s every day from 00:00 to 24:00; otherwise 400 Mbit/s',
  )
  await checkAccessibility(page, 'bandwidth')
  await photograph(page, 'simulated/bandwidth')
  await form.getByRole('button', { name: 'Save the limit' }).click()
  await expect(form).toBeHidden()
  const line = page.getByRole('row', { name: 'Harbour → Hillside' })
  await expect(line.getByRole('cell').last()).toContainText('200 Mbit/s')
  await line.getByRole('button').click()
  await form.getByRole('button', { name: 'Remove the limit' }).click()
  await expect(line).toBeHidden()
})

test('the dialogs of a failover are free of barriers, an unplanned one asks to type the name of a machine that may still run, and each gives the focus back', async () => {
  await page.goto(product.address)
  await openMachine(page, protectedMachine.name)
  for (const action of ['Test failover', 'Planned failover', 'Unplanned failover']) {
    const dialog = await ask(page, action)
    await settle()
    await checkBothThemes(`dialog-${action.toLowerCase().replace(' ', '-')}`)
    if (action !== 'Unplanned failover') {
      await dialog.getByRole('button', { name: 'Cancel' }).click()
      await expect(dialog).toBeHidden()
      await expect(buttonOf(action)).toBeFocused()
      continue
    }
    await expect(dialog.getByRole('group', { name: 'The original is' })).toContainText('running')
    const confirm = dialog.getByRole('button', { name: 'Fail over now' })
    const name = dialog.getByRole('textbox', { name: /Type .* to go on/ })
    await expect(confirm).toBeDisabled()
    await name.fill('another-machine')
    await expect(confirm).toBeDisabled()
    await name.fill(protectedMachine.name)
    await expect(confirm).toBeEnabled()
    await page.keyboard.press('Escape')
    await expect(dialog).toBeHidden()
    await expect(buttonOf(action)).toBeFocused()
  }
  // The item of a menu is gone by then: its button stands for it.
  await buttonOf('More').press('Enter')
  await page.getByRole('menuitem', { name: 'Pause', exact: true }).press('Enter')
  await expect(page.getByRole('dialog').getByRole('button', { name: 'Pause', exact: true })).toBeFocused()
  await page.keyboard.press('Escape')
  await expect(buttonOf('More')).toBeFocused()
})

test('on a phone nothing is wider than the screen, and on a wall it fills the width', async () => {
  await page.setViewportSize({ width: 390, height: 844 })
  for (const [name, route] of [
    ['overview', '/'],
    ['machines', '/machines'],
    ['machine', `/machines/${protectedMachine.id}`],
  ] as const) {
    await page.goto(`${product.address}${route}`)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await settle()
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
    expect.soft(overflow, `${name} on a phone`).toBeLessThanOrEqual(0)
    await photograph(page, `simulated/phone-${name}`, ['dark', 'light'])
  }
  await page.setViewportSize({ width: 2560, height: 1440 })
  await page.goto(product.address)
  await settle()
  await photograph(page, 'simulated/wall-overview', ['dark', 'light'])
  await page.setViewportSize({ width: 1440, height: 900 })
})

test('addresses lead to where they point after signing in, and Back goes back', async () => {
  await page.goto(product.address)
  // What is still being asked for when somebody signs out is answered with 401.
  await settle()
  await signOut(page)
  await checkBothThemes('sign-in')
  await page.goto(`${product.address}/machines/${protectedMachine.id}?tab=jobs`)
  await signIn(page, { ...owner, password: 'not the password' })
  await expect(page.getByRole('alert')).toContainText(/name or password/i)
  await signIn(page, owner)
  await expect(heading(page, protectedMachine.name)).toBeVisible()
  await expect(page.getByRole('tab', { name: 'Jobs' })).toHaveAttribute('aria-selected', 'true')
  await goTo(page, 'Policies')
  await page.goBack()
  await expect(heading(page, protectedMachine.name)).toBeVisible()
  await page.goForward()
  await expect(heading(page, 'Policies')).toBeVisible()
})

test('from signing in to a test failover with the keyboard alone', async () => {
  await signOut(page)
  const { keyboard } = page
  await expect(field(page, 'Name')).toBeFocused()
  await keyboard.type(owner.name)
  await keyboard.press('Tab')
  await keyboard.type(owner.password)
  await keyboard.press('Enter')
  await expect(heading(page, 'Policies').or(heading(page, 'Overview'))).toBeVisible()
  await keyboard.press('Control+k')
  await expect(page.getByRole('textbox', { name: 'Search' })).toBeFocused()
  await keyboard.type(protectedMachine.name)
  await expect(page.getByRole('dialog').getByText(`Machine · Harbour`)).toBeVisible()
  await keyboard.press('Enter')
  await expect(heading(page, protectedMachine.name)).toBeVisible()
  await tabTo(page.getByRole('button', { name: 'Test failover' }))
  await keyboard.press('Enter')
  await expect(page.getByRole('dialog')).toBeVisible()
  await tabTo(page.getByRole('button', { name: 'Start the test' }))
  await keyboard.press('Enter')
  await followTheJob(page, 'Test failover', protectedMachine.name, 90)
  const dialog = await ask(page, 'Clean up test')
  await dialog.getByRole('button', { name: 'Clean up' }).click()
  await followTheJob(page, 'Clean up the test', protectedMachine.name, 90)
})

test('an unplanned failover, another point and a roll back are walked from their dialogs, and replication goes on', async () => {
  const { name } = travellingMachine
  await page.goto(product.address)
  await openMachine(page, name)
  const failover = await ask(page, 'Unplanned failover')
  await expect(failover.getByRole('heading', { name: `Unplanned failover: ${name}` })).toBeVisible()
  await sayFlow(failover, 'Harbour', 'Hillside')
  await expect(failover.getByRole('combobox', { name: 'Recovery point' })).toHaveValue(/^Latest, /)
  await expect(failover.getByRole('group', { name: 'Data loss' })).toContainText(/\d+ (m?s|min)/)
  await expect(failover.getByRole('group', { name: 'Answers after about' })).toContainText('not measured')
  await expect(failover.getByRole('group', { name: 'The original is' })).toContainText('running')
  await failover.getByRole('textbox', { name: /Type .* to go on/ }).fill(name)
  await failover.getByRole('button', { name: 'Fail over now' }).click()
  await followTheJob(page, 'Unplanned failover', name, 120)

  await expect(
    page.getByRole('region', { name: `${name} runs at Hillside: keep it, or go back?` }),
  ).toBeVisible()
  const first = await protectionOf(travellingMachine)
  expect([first.state, first.activeSiteId]).toEqual(['failedOver', first.target.id])
  await checkBothThemes('machine-failed-over')

  // Three points before the newest.
  const line = page.getByRole('slider', { name: 'Recovery points' })
  await line.focus()
  for (const key of ['End', 'ArrowLeft', 'ArrowLeft', 'ArrowLeft']) await page.keyboard.press(key)
  await expect(page).toHaveURL(/point=/)
  const chosen = new URL(page.url()).searchParams.get('point')
  expect(chosen).not.toBe(first.failover?.pointId)
  const change = await ask(page, 'Change point')
  await sayFlow(change, 'Harbour', 'Hillside')
  await expect(change.getByRole('combobox', { name: 'Recovery point' })).toHaveValue(
    /^Chosen on the time line, /,
  )
  await expect(change.getByRole('group', { name: 'Data loss' })).toContainText(/\d+ (s|min)/)
  await expect(change.getByRole('group', { name: 'Answers after about' })).toContainText(
    /measured in the last/,
  )
  await settle()
  await checkBothThemes('dialog-change-point')
  await change.getByRole('button', { name: 'Boot this point instead' }).click()
  await followTheJob(page, 'Change the recovery point', name, 120)
  expect((await protectionOf(travellingMachine)).failover?.pointId).toBe(chosen)

  const back = await ask(page, 'Roll back')
  await sayFlow(back, 'Harbour', 'Hillside')
  await expect(back.getByRole('group', { name: 'Runs then at' })).toContainText('Harbour')
  await settle()
  await checkBothThemes('dialog-roll-back')
  await back.getByRole('button', { name: 'Roll back', exact: true }).click()
  await followTheJob(page, 'Roll back the failover', name, 120)
  const rolledBack = await protectionOf(travellingMachine)
  expect(rolledBack.activeSiteId).toBe(rolledBack.source.id)
  await newerPointThan(rolledBack)
  await expect(
    page.getByRole('group', { name: 'Actions' }).getByRole('button', { name: 'Unplanned failover' }),
  ).toBeEnabled()
})

test('a site that does not answer: the failover asks, reprotect is refused with its remedy, and the machine comes home', async () => {
  const { name } = travellingMachine
  await failSite('Harbour', true)
  await page.goto(product.address)
  await openMachine(page, name)
  const failover = await ask(page, 'Unplanned failover')
  await expect(failover.getByRole('group', { name: 'The original is' })).toContainText('unreachable', {
    timeout: 90_000,
  })
  await failover.getByRole('textbox', { name: /Type .* to go on/ }).fill(name)
  await failover.getByRole('button', { name: 'Fail over now' }).click()
  // Nobody vouched for the original, so the job waits until somebody does, right beside the machine.
  const question = page.getByRole('alert').filter({ hasText: 'could not be proven off' })
  await expect(question).toBeVisible({ timeout: 120_000 })
  await checkBothThemes('machine-waiting')
  await question.getByRole('button', { name: 'It is off or cut off: go on' }).click()
  const decision = page.getByRole('region', { name: `${name} runs at Hillside: keep it, or go back?` })
  await expect(decision).toBeVisible({ timeout: 120_000 })
  await until('nothing works on it any more', 60, async () =>
    (await protectionOf(travellingMachine)).busyJobId === null ? true : null,
  )
  await refused('Reprotect', 'Only after a committed failover')
  const commit = await ask(page, 'Commit')
  await expect(commit.getByRole('group', { name: 'Runs for good at' })).toContainText('Hillside')
  await commit.getByRole('button', { name: 'Commit', exact: true }).click()
  await followTheJob(page, 'Commit the failover', name, 60)
  await refused('Roll back', 'The failover is committed')

  // The site is back, and the original never knew: it has gone on running.
  await failSite('Harbour', false)
  const early = await ask(page, 'Reprotect')
  await expect(early.getByRole('group', { name: 'Replicates then' })).toContainText('Hillside → Harbour')
  await settle()
  await checkBothThemes('dialog-reprotect')
  await early.getByRole('button', { name: 'Reprotect', exact: true }).click()
  await page
    .getByRole('alert')
    .filter({ hasText: `Reprotect of ${name} has begun` })
    .getByRole('link', { name: 'Follow the job' })
    .click()
  const why = page.getByRole('alert').filter({ hasText: 'Refused as things stand' })
  await expect(why).toContainText(`The original ${name} runs at the site that it would be replicated to`)
  await expect(why).toContainText('Switch it off, or let the reprotect switch it off.')
  await page.getByRole('region', { name: 'About this job' }).getByRole('link', { name }).click()
  // The message about the refused job is still on the screen, and leads to that one.
  await page.reload()
  const reprotect = await ask(page, 'Reprotect')
  await reprotect.getByRole('checkbox', { name: 'If the original runs again, switch it off' }).check()
  await reprotect.getByRole('button', { name: 'Reprotect', exact: true }).click()
  await followTheJob(page, 'Reprotect', name, 180)

  await actFromMenu('Pause', 'Pause')
  await refused('Fail back', 'Resume it first')
  await page.getByRole('group', { name: 'Actions' }).getByRole('button', { name: 'Resume' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click()
  const home = await askWhenAllowed('Fail back')
  await sayFlow(home, 'Hillside', 'Harbour')
  await expect(home.getByRole('group', { name: 'Data loss' })).toContainText('none')
  await settle()
  await checkBothThemes('dialog-fail-back')
  await home.getByRole('button', { name: 'Fail back', exact: true }).click()
  await followTheJob(page, 'Fail back', name, 180)
  await (await ask(page, 'Commit')).getByRole('button', { name: 'Commit', exact: true }).click()
  await followTheJob(page, 'Commit the failover', name, 60)
  await (await ask(page, 'Reprotect')).getByRole('button', { name: 'Reprotect', exact: true }).click()
  await followTheJob(page, 'Reprotect', name, 180)
  const atHome = (await items<Protection>('/protections')).find((each) => each.name === name)
  expect([atHome?.source.name, atHome?.target.name, atHome?.activeSiteId === atHome?.source.id]).toEqual([
    'Harbour',
    'Hillside',
    true,
  ])
})

test('a reader sees everything and may do nothing, in the console and in the API', async ({ browser }) => {
  await goTo(page, 'Settings')
  await page.getByRole('button', { name: 'New user' }).click()
  const form = page.getByRole('dialog', { name: 'New user' })
  await field(form, 'Name').fill(reader.name)
  await choose(page, 'Role', 'Reader: looks')
  await field(form, 'First password').fill(reader.password)
  await form.getByRole('button', { name: 'Make the user' }).click()
  await expect(page.getByRole('row', { name: reader.name })).toBeVisible()

  const reading = await browser.newPage()
  await reading.goto(`${product.address}/machines/${protectedMachine.id}`)
  await signIn(reading, reader)
  for (const action of ['Test failover', 'Planned failover', 'Unplanned failover'])
    await expect(
      reading.getByRole('group', { name: 'Actions' }).getByRole('button', { name: action, exact: true }),
    ).toHaveAccessibleDescription('Your role may only look')
  const session = await reading.request.get(`${product.address}/api/v1/session`)
  const { csrfToken } = (await session.json()) as { readonly csrfToken: string }
  const answer = await reading.request.post(
    `${product.address}/api/v1/protections/${protectedMachine.protectionId ?? (await protectionOf(protectedMachine)).id}/test-failover`,
    { headers: { 'x-csrf-token': csrfToken, origin: product.address }, data: {} },
  )
  expect(answer.status()).toBe(403)
  expect(((await answer.json()) as { readonly remedy: string }).remedy).not.toBe('')
  await reading.close()
})

test('every page is free of barriers and of errors in both themes', async () => {
  test.setTimeout(600_000)
  const [job] = await items<{ readonly id: string }>('/jobs?limit=1')
  const [site] = await items<{ readonly id: string }>('/sites')
  const machine = `/machines/${protectedMachine.id}`
  const routes: readonly (readonly [string, string])[] = [
    ['overview', '/'],
    ['machines', '/machines'],
    ['machine', machine],
    ['machine-points', `${machine}?tab=points`],
    ['machine-disks', `${machine}?tab=disks`],
    ['machine-network', `${machine}?tab=network`],
    ['machine-runs', `${machine}?tab=runs`],
    ['machine-jobs', `${machine}?tab=jobs`],
    ['machine-events', `${machine}?tab=events`],
    ['machine-unprotected', `/machines/${freeMachine.id}`],
    ['protect', `/protect?machines=${freeMachine.id}`],
    ['sites', '/sites'],
    ['register', '/sites?register=true'],
    ['site', `/sites/${site?.id}`],
    ['site-replicas', `/sites/${site?.id}?tab=replicas`],
    ['site-networks', `/sites/${site?.id}?tab=networks`],
    ['site-settings', `/sites/${site?.id}?tab=settings`],
    ['jobs', '/jobs'],
    ['job', `/jobs/${job?.id}`],
    ['alerts', '/alerts?show=all'],
    ['events', '/events'],
    ['policies', '/policies'],
    ['policy-new', '/policies?edit=new'],
    ['settings-users', '/settings?tab=users'],
    ['settings-tokens', '/settings?tab=tokens'],
    ['settings-audit', '/settings?tab=audit'],
    ['settings-processes', '/settings?tab=processes'],
  ]
  for (const [name, route] of routes) {
    await page.goto(`${product.address}${route}`)
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
    await settle()
    await checkBothThemes(name)
  }
  await page.goto(`${product.address}/machines/no-such-machine`)
  await expect(page.getByRole('alert')).toBeVisible()
})

test('when the server is killed the console says so, and goes on by itself once it is back', async () => {
  await page.goto(`${product.address}/machines/${protectedMachine.id}`)
  await expect(heading(page, protectedMachine.name)).toBeVisible()
  const { newestPoint } = await protectionOf(protectedMachine)
  await product.kill()
  const banner = page.getByText(/^Not live: the connection to the server is lost/)
  await expect(banner).toBeVisible()
  await photograph(page, 'simulated/connection-lost')
  product = await startProduct(home, { port: product.port })
  expect(product.setupLink).toBeNull()
  await expect(banner).toBeHidden({ timeout: 60_000 })
  await expect(heading(page, protectedMachine.name)).toBeVisible()
  // The session is the old one, and replication has gone on.
  await until('a newer recovery point', 60, async () => {
    const now = (await protectionOf(protectedMachine)).newestPoint
    return now && newestPoint && now.instant > newestPoint.instant ? true : null
  })
  await goTo(page, 'Sites')
  await expect(page.getByRole('row', { name: 'Harbour' })).toBeVisible()
  // A server that is away is reported by the browser as well.
  errors.length = 0
})

/** Which way a dialog says that it flows, and where it runs now. */
async function sayFlow(dialog: Locator, source: string, target: string): Promise<void> {
  await expect(dialog).toContainText(new RegExp(`${source}.*${target}`))
  await expect(dialog.getByLabel('replicates to')).toBeVisible()
}

const buttonOf = (action: string): Locator =>
  page.getByRole('main').getByRole('button', { name: action, exact: true }).first()

/** The menu says why an action is not possible now. */
async function refused(action: string, reason: string): Promise<void> {
  await page.getByRole('group', { name: 'Actions' }).getByRole('button', { name: 'More' }).click()
  const item = page.getByRole('menuitem', { name: new RegExp(`^${action} `) })
  await expect(item).toHaveAttribute('aria-disabled', 'true')
  await expect(item).toContainText(reason)
  await page.keyboard.press('Escape')
}

async function actFromMenu(action: string, confirm: string): Promise<void> {
  const item = page.getByRole('menuitem', { name: action, exact: true })
  // Right after a job the page may be drawn anew, which closes the menu; a person opens it once more.
  await expect(async () => {
    await page.getByRole('group', { name: 'Actions' }).getByRole('button', { name: 'More' }).click()
    await item.click({ timeout: 5000 })
  }).toPass({ timeout: 60_000 })
  await page.getByRole('dialog').getByRole('button', { name: confirm, exact: true }).click()
}

/** Waits until the server allows it: right after a change it may still be at work. */
async function askWhenAllowed(action: string): Promise<Locator> {
  await expect(buttonOf(action)).toHaveAccessibleDescription('', { timeout: 60_000 })
  return ask(page, action)
}

async function newerPointThan(before: Protection): Promise<void> {
  await until('a newer recovery point', 60, async () => {
    const now = (await items<Protection>('/protections')).find(({ id }) => id === before.id)
    return now?.newestPoint && now.newestPoint.instant > (before.newestPoint?.instant ?? '') ? true : null
  })
}

/** As when the whole site is lost, or its link: its machines run on, and nobody can ask them. */
async function failSite(name: string, unreachable: boolean): Promise<void> {
  const site = (await items<Site>('/sites')).find((each) => each.name === name)
  if (!site) throw new Error(`There is no site ${name}`)
  const session = await page.request.get(`${product.address}/api/v1/session`)
  const { csrfToken } = (await session.json()) as { readonly csrfToken: string }
  const answer = await page.request.patch(`${product.address}/api/v1/sites/${site.id}`, {
    headers: { 'x-csrf-token': csrfToken, origin: product.address },
    data: {
      site: { name, platform: site.platform, settings: { ...site.settings, faults: { unreachable } } },
    },
  })
  expect(answer.ok(), await answer.text()).toBe(true)
}

async function signedInPage(browser: Browser): Promise<Page> {
  const context = await browser.newContext({ storageState: await page.context().storageState() })
  return context.newPage()
}

async function registerSimulated(name: string, machines: number, seed: number): Promise<void> {
  await goTo(page, 'Sites')
  await page.getByRole('button', { name: 'Register a site' }).first().click()
  const form = page.getByRole('dialog', { name: 'Register a site' })
  await form.getByText('Simulated', { exact: true }).click()
  await field(form, 'Name').fill(name)
  await field(form, 'Machines').fill(String(machines))
  await field(form, 'Disk size, MiB').fill('16')
  await field(form, 'Seed').fill(String(seed))
  await form.getByRole('button', { name: 'Test the connection' }).click()
  await expect(form.getByRole('status')).toContainText('It works')
  await form.getByRole('button', { name: 'Register', exact: true }).click()
  await expect(heading(page, name)).toBeVisible()
}

/** Waits until the page has its data; what is live goes on anyway. */
async function settle(): Promise<void> {
  await page.waitForLoadState('networkidle')
  await expect(page.locator('[class*=Skeleton]')).toHaveCount(0)
}

async function checkBothThemes(name: string): Promise<void> {
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
  await checkAccessibility(page, `${name}, dark`)
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  await checkAccessibility(page, `${name}, light`, { contrastOnly: true })
  await photograph(page, `simulated/${name}`, ['dark', 'light'])
}

async function items<Row>(path: string): Promise<readonly Row[]> {
  const response = await page.request.get(`${product.address}/api/v1${path}`)
  expect(response.ok(), path).toBe(true)
  return ((await response.json()) as { readonly items: readonly Row[] }).items
}

async function protectionOf(machine: Machine): Promise<Protection> {
  const found = (await items<Protection>('/protections')).find(({ machineId }) => machineId === machine.id)
  if (!found) throw new Error(`${machine.name} is not protected`)
  return found
}
