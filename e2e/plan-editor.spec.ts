// A recovery plan drawn by mouse and by keyboard over simulated machines: where things go, what is heard of it, what is wrong with
// it, and that nobody's work is lost, neither to a wrong move nor to somebody else.
import { type BrowserContext, expect, type Locator, type Page, test } from '@playwright/test'
import type { Machine } from '@understudy/contract/machine'
import type { Policy } from '@understudy/contract/policy'
import type { Protection } from '@understudy/contract/protection'
import type { PlanDetail } from '@understudy/contract/recovery-plan'
import { checkAccessibility } from './accessibility.ts'
import { choose, field, goTo, heading, owner, signIn } from './console.ts'
import { closeConsole, openConsole } from './open-console.ts'
import type { Product } from './product.ts'
import { photograph } from './screenshots.ts'
import { until } from './until.ts'

test.describe.configure({ mode: 'serial' })

let home: string
let product: Product
let context: BrowserContext
let page: Page
let errors: readonly string[]
let names: readonly string[]
let planId: string

test.beforeAll(async ({ browser }) => {
  ;({ home, product, context, page, errors } = await openConsole(browser))
})
test.afterAll(async () => {
  await closeConsole({ home, product, context })
})

test('whoever has no plan yet is told how one begins', async () => {
  await protectMachines(8)
  await goTo(page, 'Plans')
  await expect(page.getByText('No plan yet')).toBeVisible()
  await settle()
  await checkBothThemes('plans-empty')
  await page.getByRole('button', { name: 'New plan' }).first().click()
  const dialog = page.getByRole('dialog', { name: 'New plan' })
  await field(dialog, 'Name').fill('Web shop')
  await dialog.getByRole('button', { name: 'Draw it' }).click()
  await expect(heading(page, 'Web shop')).toBeVisible()
  planId = new URL(page.url()).pathname.split('/').at(-1) ?? ''
  await expect(page.getByText('What comes up first?')).toBeVisible()
  await settle()
  await checkBothThemes('plan-empty')
})

test('machines and steps are dragged from the palette into groups, between them and within them', async () => {
  const [first = '', second = '', third = ''] = names
  await drag(chip(first), page.locator('[data-new-group]'))
  await expect(lane('Group 1')).toBeVisible()
  await drag(chip(second), page.locator('[data-new-group]'))
  await drag(chip(third), machinesOf('Group 2'))
  await expect(machinesOf('Group 2').getByRole('button')).toHaveCount(2)

  await drag(chip('Probe'), list('After', 'Group 1'))
  await expect(list('After', 'Group 1').getByRole('button')).toHaveCount(1)
  await expect(page.getByRole('region', { name: 'Probe' })).toBeVisible()
  await expect(page).toHaveURL(/item=probe-/)

  // Into the other group, before what is there.
  await drag(card(third), card(first), 'start')
  expect(await cardsOf('Group 1')).toEqual([third, first])
  // Within its group.
  await drag(card(third), card(first), 'end')
  expect(await cardsOf('Group 1')).toEqual([first, third])
  // A machine is none of the steps: it goes to the machines of that group.
  await drag(card(third), list('Before', 'Group 2'))
  expect(await cardsOf('Group 2')).toEqual([third, second])
  // Beside everything it stays where it was.
  await drag(card(third), heading(page, 'Web shop'))
  expect(await cardsOf('Group 2')).toEqual([third, second])

  await field(lane('Group 1'), 'Name of the group').fill('Data')
  await field(lane('Group 2'), 'Name of the group').fill('Web')
  await drag(grip('Web'), lane('Data'), 'start')
  expect(await groups()).toEqual(['Web', 'Data'])
})

test('every edit is taken back and done again, and what was typed is taken back at once', async () => {
  await page.keyboard.press('Control+z')
  expect(await groups()).toEqual(['Data', 'Web'])
  await page.keyboard.press('Control+z')
  expect(await groups()).toEqual(['Data', 'Group 2'])
  await page.keyboard.press('Control+Shift+z')
  expect(await groups()).toEqual(['Data', 'Web'])
  await expect(heard()).toContainText('Done again: rename a group')
})

test('the same is done by keyboard alone, and every place is said', async () => {
  const [, , , fourth = ''] = names
  await chip(fourth).focus()
  await page.keyboard.press('Space')
  await expect(heard()).toContainText(`${fourth} is picked up, place 3 of 3 among the machines of Web`)
  await moveBy('ArrowUp', 'Now at place 2 of 3 among the machines of Web')
  await moveBy('ArrowLeft', 'Now at place 2 of 2 among the machines of Data')
  await page.keyboard.press('Space')
  await expect(heard()).toContainText(`${fourth} is put down at place 2 of 2 among the machines of Data`)
  expect(await cardsOf('Data')).toEqual([names[0], fourth])

  await card(fourth).focus()
  await page.keyboard.press('Space')
  await expect(heard()).toContainText(`${fourth} is picked up`)
  await moveBy('ArrowDown', 'Now at place')
  await page.keyboard.press('Escape')
  await expect(heard()).toContainText('Left where it was')
  expect(await cardsOf('Data')).toEqual([names[0], fourth])

  await chip('Approval').focus()
  await page.keyboard.press('Space')
  await expect(heard()).toContainText('Approval is picked up')
  await moveBy('ArrowLeft', 'Now at place')
  for (const key of ['ArrowLeft', 'ArrowLeft']) await page.keyboard.press(key)
  await expect(heard()).toContainText('Now at place 1 of 1 before the machines of Data')
  await page.keyboard.press('Space')
  await expect(list('Before', 'Data').getByRole('button')).toHaveCount(1)

  await grip('Web').focus()
  await page.keyboard.press('Space')
  await expect(heard()).toContainText('Group Web is picked up')
  await moveBy('ArrowUp', 'Now at place 1 of 2 among the groups')
  await page.keyboard.press('Space')
  expect(await groups()).toEqual(['Web', 'Data'])
  await expect(grip('Web')).toBeFocused()
  await page.keyboard.press('Control+z')
  expect(await groups()).toEqual(['Data', 'Web'])

  await card(fourth).focus()
  await page.keyboard.press('Delete')
  await expect(heard()).toContainText(`${fourth} is removed; undo brings it back`)
  expect(await cardsOf('Data')).toEqual([names[0]])
})

test('what is wrong stands beside the item while it is drawn, and goes when it is mended', async () => {
  await card('Approval').press('Enter')
  const form = page.getByRole('region', { name: 'Approval' })
  await expect(form.getByText('Blocked')).toBeVisible()
  await expect(page.getByRole('group', { name: 'As it is drawn' })).toContainText('1 blocker')
  await settle()
  await checkBothThemes('plan-editor')
  await field(form, 'Question').fill('Is the other site really down?')
  await expect(form.getByText('Blocked')).toBeHidden()
  await expect(page.getByRole('group', { name: 'As it is drawn' })).toContainText('can run')
  await expect(page.getByRole('group', { name: 'Up again within' })).toContainText('target 15 min')
})

test('every kind of step has its form, and each form is free of barriers', async () => {
  for (const kind of ['Script', 'Manual action', 'Wait', 'HTTP call', 'DNS update', 'Load balancer']) {
    await chip(kind).press('Enter')
    const form = page.getByRole('region', { name: kind, exact: true })
    await expect(form.getByRole('textbox', { name: 'Name', exact: true })).toHaveValue(kind)
    if (kind === 'Script') await chooseHost(form)
    await checkAccessibility(page, `form of ${kind}`)
    await form.getByRole('button', { name: 'Remove from the plan' }).click()
    await expect(form).toBeHidden()
  }
})

/** A program that runs on the host of a site: the form says which, and the card too. */
async function chooseHost(form: Locator): Promise<void> {
  await field(form, 'Program').fill('/opt/switch')
  await form.getByRole('combobox', { name: 'Runs' }).click()
  await page.getByRole('option', { name: 'on the host of a site' }).click()
  const site = form.getByRole('combobox', { name: 'Site' })
  await expect(site).not.toHaveValue('')
  await expect(page.getByText(`switch on the host of ${await site.inputValue()}`)).toBeVisible()
  await photograph(page, 'simulated/script-at-site')
}

test('a plan is saved with a word on why, and a secret beside it', async () => {
  await page.getByRole('tab', { name: 'Parameters' }).click()
  await page.getByRole('button', { name: 'Add a parameter', exact: true }).click()
  await field(page, 'Name').fill('dns_key')
  await choose(page, 'Type', 'secret')
  await expect(page.getByText('Save the plan with this parameter first.')).toBeVisible()
  await page.keyboard.press('Control+s')
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByText('Parameter "dns_key" added')).toBeVisible()
  await settle()
  await checkBothThemes('dialog-save-plan')
  await field(dialog, 'What for').fill('Drawn for the first time')
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('version 2', { exact: true })).toBeVisible()
  await page.getByLabel('Value of dns_key', { exact: true }).fill('never shown again')
  await page.getByRole('button', { name: 'Keep the value of dns_key' }).click()
  await expect(page.getByText('Value: kept with the plan')).toBeVisible()
  await checkBothThemes('plan-parameters')

  const saved = await planNow()
  expect(saved.keptSecrets).toEqual(['dns_key'])
  expect(JSON.stringify(saved)).not.toContain('never shown again')
  expect(
    saved.plan.groups.map(({ name, before, machines, after }) => [
      name,
      before.length,
      machines.length,
      after.length,
    ]),
  ).toEqual([
    ['Data', 1, 1, 1],
    ['Web', 0, 2, 0],
  ])
})

test('the timetable shows what makes it take that long, and a dry run says whether it could begin', async () => {
  await page.getByRole('tab', { name: 'Timetable' }).click()
  await expect(page.getByRole('list', { name: 'Timetable' }).getByRole('listitem')).toHaveCount(5)
  await settle()
  await checkBothThemes('plan-timetable')
  await page.getByRole('button', { name: 'Dry run' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('button', { name: 'Look' }).click()
  await expect(dialog.getByRole('status')).toContainText(/It could (not )?begin/)
  await settle()
  await checkBothThemes('dialog-dry-run')
  await page.keyboard.press('Escape')
})

test('two people edit one plan: the second to save is told, sees what the first has done, and takes both over', async () => {
  await page.getByRole('tab', { name: 'Settings' }).click()
  await field(page, 'Name').fill('Web shop of the north')
  await saveAsSomebodyElse((plan) => ({ ...plan, priority: 8 }))
  const warning = page.getByRole('alert').filter({ hasText: 'has saved version 3 of this plan' })
  await expect(warning).toBeVisible()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  const merge = page.getByRole('dialog', { name: 'Somebody else has saved this plan meanwhile' })
  await expect(merge).toContainText('Priority from 5 to 8')
  await expect(merge).toContainText('Name from "Web shop" to "Web shop of the north"')
  await checkBothThemes('dialog-merge')
  await merge.getByRole('button', { name: 'Take both over' }).click()
  await page.getByRole('button', { name: 'Save', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('version 4', { exact: true })).toBeVisible()
  const { plan } = await planNow()
  expect([plan.name, plan.priority]).toEqual(['Web shop of the north', 8])
})

test('where both have changed the same it is said, and neither is thrown away unasked', async () => {
  await field(page, 'Name').fill('Mine')
  await saveAsSomebodyElse((plan) => ({ ...plan, name: 'Theirs' }))
  await page.getByRole('button', { name: 'See what differs' }).click()
  const merge = page.getByRole('dialog', { name: 'Somebody else has saved this plan meanwhile' })
  await expect(merge.getByRole('alert')).toContainText('You disagree in 1 place')
  await expect(merge.getByRole('button', { name: 'Take both over' })).toBeHidden()
  await checkBothThemes('dialog-conflict')
  await merge.getByRole('button', { name: 'Go on editing' }).click()
  await expect(field(page, 'Name')).toHaveValue('Mine')
  await page.getByRole('button', { name: 'See what differs' }).click()
  await merge.getByRole('button', { name: 'Throw mine away' }).click()
  await expect(heading(page, 'Theirs')).toBeVisible()
})

test('versions are compared, and an older one becomes the newest without losing any', async () => {
  await page.getByRole('tab', { name: 'Versions' }).click()
  await page.getByRole('radio', { name: 'Compare from version 2' }).click()
  await expect(page).toHaveURL(/from=%222%22/)
  await expect(page.getByRole('region', { name: 'From version 2 to 5' })).toContainText(
    'Priority from 5 to 8',
  )
  await settle()
  await checkBothThemes('plan-versions')
  await page.getByRole('button', { name: 'Restore version 2' }).click()
  await expect(heading(page, 'Web shop')).toBeVisible()
  await expect(page.getByText('version 6', { exact: true })).toBeVisible()
  expect((await planNow()).plan.priority).toBe(5)
})

test('leaving with unsaved changes asks first, and staying loses nothing', async () => {
  await page.getByRole('tab', { name: 'Settings' }).click()
  await field(page, 'Name').fill('Not saved')
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Jobs' }).click()
  const dialog = page.getByRole('dialog', { name: 'Leave without saving?' })
  await checkBothThemes('dialog-leave')
  await dialog.getByRole('button', { name: 'Stay here' }).click()
  await expect(field(page, 'Name')).toHaveValue('Not saved')
  await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Plans' }).click()
  await dialog.getByRole('button', { name: 'Leave' }).click()
  await expect(heading(page, 'Plans')).toBeVisible()
  await expect(page.getByRole('link', { name: 'Web shop', exact: true })).toBeVisible()
  await settle()
  await checkBothThemes('plans')
})

test('a session that ends while one draws asks to sign in on the spot, and nothing drawn is lost', async ({
  browser,
}) => {
  const context = await browser.newContext()
  const other = await context.newPage()
  await other.goto(`${product.address}/plans/${planId}`)
  await signIn(other, owner)
  await other.getByRole('tab', { name: 'Settings' }).click()
  await field(other, 'Name').fill('Not saved yet')
  await context.clearCookies()
  await other.keyboard.press('Control+s')
  await other.getByRole('dialog').getByRole('button', { name: 'Save' }).press('Enter')
  const dialog = other.getByRole('dialog', { name: 'Your session has ended' })
  await expect(field(dialog, 'Name')).toBeFocused()
  await checkAccessibility(other, 'session-ended')
  await photograph(other, 'simulated/session-ended', ['dark'])
  await other.keyboard.type(owner.name)
  await other.keyboard.press('Tab')
  await other.keyboard.type(owner.password)
  await other.keyboard.press('Enter')
  await expect(dialog).toBeHidden()
  await expect(field(other, 'Name')).toHaveValue('Not saved yet')
  // Without anything unsaved it is a page of its own, which does not come back with the browser's button.
  await other.reload()
  await expect(heading(other, 'Web shop')).toBeVisible()
  await context.clearCookies()
  await other.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Jobs' }).click()
  await expect(heading(other, 'Sign in')).toBeVisible()
  await signIn(other, owner)
  await expect(heading(other, 'Jobs')).toBeVisible()
  await other.goBack()
  await expect(heading(other, 'Sign in')).toBeHidden()
  await context.close()
})

test('what is exported is imported as another plan, and what cannot be read is said with its reason', async () => {
  await page.getByRole('link', { name: 'Web shop', exact: true }).click()
  await page.getByRole('main').getByRole('button', { name: 'More', exact: true }).click()
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('menuitem', { name: /^Export version/ }).click(),
  ])
  expect(download.suggestedFilename()).toBe('web-shop.plan.yaml')
  const text = await (await download.createReadStream()).setEncoding('utf8').toArray()
  const yaml = text.join('').replace('Web shop', 'Another shop')
  await goTo(page, 'Plans')
  await page.getByRole('button', { name: 'Import' }).first().click()
  const dialog = page.getByRole('dialog', { name: 'Import a plan' })
  await field(dialog, 'YAML').fill('understudyPlan: 1\nname: [')
  await dialog.getByRole('button', { name: 'Import' }).click()
  await expect(dialog.getByRole('alert')).toBeVisible()
  await field(dialog, 'YAML').fill(yaml)
  await dialog.getByRole('button', { name: 'Import' }).click()
  await expect(heading(page, 'Another shop')).toBeVisible()
  expect(await groups()).toEqual(['Data', 'Web'])
})

test('nothing of all this was an error to the browser', () => {
  // Refusals were asked for, and the browser itself reports them.
  expect(errors.filter((error) => !/status of (409|422|400)/.test(error))).toEqual([])
})

const lane = (name: string): Locator => page.getByRole('region', { name: `Group ${name}`, exact: true })
const list = (part: 'Before' | 'After' | 'Machines, together', group: string): Locator =>
  page.getByRole('list', { name: `${part}: ${group}`, exact: true })
const machinesOf = (group: string): Locator => list('Machines, together', group)
const chip = (name: string): Locator =>
  page.getByRole('region', { name: 'Palette' }).getByRole('button', { name, exact: true })
/** Its name, and then what is said of it. */
const card = (name: string): Locator =>
  page
    .getByRole('list', { name: 'Groups in their order' })
    .locator('[data-id]')
    .getByRole('button', { name: new RegExp(`^${name}\\b`) })
const grip = (group: string): Locator =>
  page.getByRole('button', { name: `Move the group ${group}`, exact: true })
const heard = (): Locator => page.getByRole('status', { name: 'What was just done' })
/** The first key after something was picked up may come before anybody listens: on a slow computer that is a while after it was said. */
const moveBy = (key: 'ArrowUp' | 'ArrowDown' | 'ArrowLeft', said: string): Promise<void> =>
  expect(async () => {
    await page.keyboard.press(key)
    await expect(heard()).toContainText(said, { timeout: 5000 })
  }).toPass({ timeout: 60_000 })

const cardsOf = async (group: string): Promise<readonly string[]> =>
  (await machinesOf(group).getByRole('button').allInnerTexts()).map((text) => text.split('\n')[0] ?? '')
const groups = async (): Promise<readonly string[]> =>
  await page
    .getByRole('textbox', { name: 'Name of the group' })
    .evaluateAll((fields) => fields.map((each) => (each as HTMLInputElement).value))

/** As a hand does it: down, a little, then there in several moves. */
async function drag(from: Locator, to: Locator, where: 'middle' | 'start' | 'end' = 'middle'): Promise<void> {
  await from.scrollIntoViewIfNeeded()
  const [start, end] = [await from.boundingBox(), await to.boundingBox()]
  if (!start || !end) throw new Error('It is not on the screen')
  const share = { start: 0.1, middle: 0.5, end: 0.9 }[where]
  await page.mouse.move(start.x + start.width / 2, start.y + start.height / 2)
  await page.mouse.down()
  await page.mouse.move(start.x + start.width / 2 + 8, start.y + start.height / 2 + 4, { steps: 3 })
  await page.mouse.move(end.x + end.width * share, end.y + end.height * share, { steps: 6 })
  await page.mouse.up()
}

async function call<Answer>(method: string, path: string, data?: unknown): Promise<Answer> {
  const session = await page.request.get(`${product.address}/api/v1/session`)
  const { csrfToken } = (await session.json()) as { readonly csrfToken: string }
  const answer = await page.request.fetch(`${product.address}/api/v1${path}`, {
    method,
    headers: { 'x-csrf-token': csrfToken, origin: product.address },
    ...(data === undefined ? {} : { data }),
  })
  expect(answer.ok(), `${method} ${path}: ${await answer.text()}`).toBe(true)
  return (await answer.json()) as Answer
}

const planNow = (): Promise<PlanDetail> => call('GET', `/plans/${planId}`)

async function saveAsSomebodyElse(change: (plan: PlanDetail['plan']) => PlanDetail['plan']): Promise<void> {
  const { plan, version } = await planNow()
  await call('PATCH', `/plans/${planId}`, { plan: change(plan), version, comment: 'From elsewhere' })
}

async function protectMachines(count: number): Promise<void> {
  const site = (name: string, machines: number) =>
    call<{ readonly id: string }>('POST', '/sites', {
      name,
      platform: 'simulated',
      settings: { machines, diskBytes: 1024 * 1024, usedBytes: 64 * 1024, seed: 1 },
    })
  const [source, target] = [await site('Harbour', count), await site('Hillside', 0)]
  const policies = await call<{ readonly items: readonly Policy[] }>('GET', '/policies')
  const machines = await call<{ readonly items: readonly Machine[] }>('GET', `/machines?siteId=${source.id}`)
  for (const machine of machines.items)
    await call('POST', '/protections', {
      machineId: machine.id,
      targetSiteId: target.id,
      policyId: policies.items[0]?.id,
    })
  names = await until('all are protected', 90, async () => {
    const { items } = await call<{ readonly items: readonly Protection[] }>(
      'GET',
      '/protections?state=protected&sort=name',
    )
    return items.length === count ? items.map(({ name }) => name) : null
  })
}

async function settle(): Promise<void> {
  await page.waitForLoadState('networkidle')
  await expect(page.locator('[class*=Skeleton]')).toHaveCount(0)
}

async function checkBothThemes(name: string): Promise<void> {
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
  await checkAccessibility(page, `${name}, dark`)
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  await checkAccessibility(page, `${name}, light`, { contrastOnly: true })
  await photograph(page, `plans/${name}`, ['dark', 'light'])
}
