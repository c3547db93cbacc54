// Around running plans, over two simulated sites and by keyboard: one instant for all machines, a run that is edited while it goes on, a
// site that is down, and a screen on a wall where nobody signs in.
import { type BrowserContext, expect, type Page, test } from '@playwright/test'
import type { Protection } from '@understudy/contract/protection'
import type { PlanDetail, PlanRun } from '@understudy/contract/recovery-plan'
import type { Site } from '@understudy/contract/site'
import { field, heading, watchForErrors } from './console.ts'
import { closeConsole, openConsole } from './open-console.ts'
import type { Product } from './product.ts'
import { photograph } from './screenshots.ts'
import { type Api, checkBothThemes, protectHarbour, simulatedSettings, tabTo } from './simulated-sites.ts'
import { until } from './until.ts'

test.describe.configure({ mode: 'serial' })

let home: string
let product: Product
let context: BrowserContext
let page: Page
let errors: readonly string[]
let api: Api
let harbour: Site
let protections: readonly Protection[]
let shop: PlanDetail
let run: PlanRun

test.beforeAll(async ({ browser }) => {
  ;({ home, product, context, page, errors, api } = await openConsole(browser))
  ;({ harbour, protections } = await protectHarbour(api, 4))
  // Of so many, the third from the end is none that another machine has nothing before.
  await until('each has four recovery points', 120, async () =>
    (await api.items<Protection>('/protections')).every(({ pointCount }) => pointCount >= 4) ? true : null,
  )
  const [data, db, web] = protections
  if (!data || !db || !web) throw new Error('there are four machines')
  await api.send('POST', '/plans', { ...planOver('Data', 9, [data]), parameters: [ticket] })
  shop = await api.send('POST', '/plans', planOver('Shop', 5, [db, web]))
})
test.afterAll(async () => {
  await closeConsole({ home, product, context })
})

test('an instant for all machines is chosen on one line by keyboard, and each machine says how far it goes back', async () => {
  await page.goto(`${product.address}/plans/${shop.id}/runs`)
  await page.getByRole('button', { name: 'Test', exact: true }).press('Enter')
  const dialog = page.getByRole('dialog', { name: 'Test: Shop' })
  const table = dialog.getByRole('table', { name: 'Which machine goes back how far' })
  await expect(table.getByRole('row')).toHaveCount(3)
  const latest = dialog.getByRole('radio', { name: 'Latest', exact: true })
  await tabTo(latest)
  for (const _ of [1, 2, 3]) await page.keyboard.press('ArrowDown')
  await expect(dialog.getByRole('radio', { name: 'An instant' })).toBeChecked()
  const line = dialog.getByRole('slider', { name: 'Recovery points of all machines' })
  await tabTo(line)
  await page.keyboard.press('End')
  await page.keyboard.press('ArrowLeft')
  await page.keyboard.press('ArrowLeft')
  await expect(line).toHaveAttribute(
    'aria-valuetext',
    new RegExp(`(${namesOf(1, 3).join('|')}), (Crash|Application)-consistent`),
  )
  // Whoever's point it is has the very instant; the others have an older one.
  await expect(table).toContainText('the very instant')
  await expect(table).toContainText('older')
  await checkBothThemes(page, 'plan-point')
  const before = (await line.getAttribute('aria-valuetext')) ?? ''
  await tabTo(line)
  await page.keyboard.press('Home')
  await expect(line).not.toHaveAttribute('aria-valuetext', before)
  // The first point of all is one machine's alone: the others are named.
  await expect(table).toContainText('has none')
  await expect(dialog.getByText(/has no recovery point at or before/).first()).toBeVisible()
  await expect(dialog.getByRole('button', { name: 'Start the test' })).toBeDisabled()
  await tabTo(dialog.getByRole('radio', { name: 'An instant' }))
  await page.keyboard.press('ArrowUp')
  await expect(dialog.getByRole('radio', { name: 'Latest that all have reached' })).toBeChecked()
  const start = dialog.getByRole('button', { name: 'Start the test' })
  await expect(start).toBeEnabled()
  await tabTo(start)
  await page.keyboard.press('Enter')
  await expect(heading(page, 'Test of Shop')).toBeVisible()
  await expect(page.getByText(/^What all had reached: /)).toBeVisible()
})

test('what is to come of a run is changed while it goes on; what has started is locked', async () => {
  const waiting = page.getByRole('region', { name: 'Waiting for you' })
  await expect(waiting).toContainText('Call the bank', { timeout: 120_000 })
  await page.getByRole('button', { name: 'Edit what is to come' }).press('Enter')
  await expect(heading(page, 'Edit the test failover of Shop')).toBeVisible()
  const locked = page.getByRole('button', { name: /Call the bank/ })
  await expect(locked).toContainText('Running')
  await locked.press('Delete')
  await expect(locked).toBeVisible()
  await page.getByRole('button', { name: /Manual action Look around/ }).press('Enter')
  await field(page, 'Name').fill('Look twice')
  await page.getByRole('button', { name: 'Close the form' }).press('Enter')
  await checkBothThemes(page, 'plan-run-edit')
  // Somebody else edits it at the same moment, and what we have changed is joined with that.
  ;[run] = (await api.items<PlanRun>(`/plan-runs?planId=${shop.id}`)) as [PlanRun]
  const now = await api.get<PlanRun>(`/plan-runs/${run.id}`)
  await api.send('PATCH', `/plan-runs/${run.id}`, {
    planRevision: now.planRevision,
    plan: {
      ...now.plan,
      groups: now.plan.groups.map((group) => ({ ...group, after: [...group.after, pause] })),
    },
  })
  await expect(page.getByText('Somebody else has edited this run meanwhile')).toBeVisible()
  await page.getByRole('button', { name: 'See how they fit together' }).press('Enter')
  const both = page.getByRole('dialog', { name: 'The run has gone on meanwhile' })
  await expect(both.getByRole('group', { name: 'What others have changed' })).toContainText('A pause')
  await expect(both.getByRole('group', { name: 'What yours adds to it' })).toContainText('Look twice')
  await checkBothThemes(page, 'plan-run-merge')
  await both.getByRole('button', { name: 'Join both' }).press('Enter')
  await page.getByRole('button', { name: 'Take it over into the run' }).press('Enter')
  await page.getByRole('dialog').getByRole('button', { name: 'Take it over' }).press('Enter')
  await expect(heading(page, 'Test of Shop')).toBeVisible()
  await expect(page.getByRole('main')).toContainText('edited 2 times during the run')
  await waiting.getByRole('button', { name: 'Done', exact: true }).press('Enter')
  await expect(waiting).toContainText('Look twice', { timeout: 60_000 })
  await api.send('POST', `/plan-runs/${run.id}/cancel`, {})
  await expect.poll(async () => (await activeRuns()).length, { timeout: 120_000 }).toBe(0)
})

test('a site that does not answer has its plans failed over from the overview, in order, after one confirmation', async () => {
  await api.send('PATCH', `/sites/${harbour.id}`, {
    site: {
      name: 'Harbour',
      platform: 'simulated',
      settings: { ...simulatedSettings(4, 1), faults: { unreachable: true } },
      secrets: {},
    },
  })
  await page.goto(product.address)
  const button = page.getByRole('button', { name: 'Fail over the plans of Harbour' })
  await expect(button).toBeVisible({ timeout: 120_000 })
  await tabTo(button)
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog', { name: 'Harbour is down: fail over its plans' })
  const plans = dialog.getByRole('group', { name: /Plans in the order in which they begin/ })
  await expect(plans.getByRole('checkbox', { name: /^(Data|Shop)/ })).toHaveCount(2)
  await expect(plans).toContainText(/Data.*Priority 9.*Shop.*Priority 5/s)
  await expect(dialog).toContainText(`Protected, but in no plan: ${namesOf(3, 4).join()}`)
  const confirm = dialog.getByRole('button', { name: 'Fail over now' })
  await expect(confirm).toBeDisabled()
  await expect(dialog).toContainText('Fill in above what Data asks for')
  await tabTo(
    dialog.getByRole('group', { name: 'What Data asks for' }).getByRole('textbox', { name: 'ticket' }),
  )
  await page.keyboard.type('INC-7')
  await expect(dialog).not.toContainText('Fill in above')
  await checkBothThemes(page, 'site-down')
  await expect(dialog.getByRole('checkbox', { name: /I vouch for it/ })).not.toBeChecked()
  await tabTo(dialog.getByRole('textbox', { name: /Type Harbour to fail over 2 plans/ }))
  await page.keyboard.type('Harbour')
  await tabTo(confirm)
  await page.keyboard.press('Enter')
  await expect(heading(page, 'Failover of the site Harbour')).toBeVisible()
  await answerTogether()
  const table = page.getByRole('table', { name: 'Plans of the site' })
  await expect(table.getByRole('row', { name: /Data.*Succeeded/ })).toBeVisible({ timeout: 120_000 })
  await expect(table.getByRole('row', { name: /Shop.*Waiting for you/ })).toBeVisible({ timeout: 120_000 })
  await expect(page.getByRole('main')).toContainText(`Protected, but in no plan: ${namesOf(3, 4).join()}`)
  await checkBothThemes(page, 'site-failover')
})

test('a display link opens the wall without signing in, shows the incident, and goes dark when it is revoked', async ({
  browser,
}) => {
  await page.goto(`${product.address}/settings?tab=displays`)
  await page.getByRole('button', { name: 'New display link' }).press('Enter')
  const drawer = page.getByRole('dialog', { name: 'New display link' })
  await field(page, 'Name').fill('Operations room')
  await drawer.getByRole('button', { name: 'Make the link' }).press('Enter')
  const address = (await drawer.getByTitle(/#display=/).textContent()) ?? ''
  await drawer.getByRole('button', { name: 'I have it' }).press('Enter')
  await checkBothThemes(page, 'display-links')

  const room = await browser.newContext()
  try {
    const screen = await room.newPage()
    const wrong = watchForErrors(screen)
    await screen.goto(address)
    await expect(heading(screen, 'Unplanned failover of Shop')).toBeVisible()
    const site = screen.getByRole('region', { name: 'Failover of the site Harbour' })
    await expect(site).toContainText('Harbour: 1 of 2 plans up')
    await expect(screen.getByRole('main')).not.toContainText('by operator')
    await expect(screen.getByRole('link', { name: 'Leave' })).toHaveCount(0)
    await checkBothThemes(screen, 'wall-site')
    // It is told what changes.
    await api.send('POST', `/plan-runs/${(await activeRuns())[0]?.id}/activities/call/answer`, {
      value: 'done',
    })
    await expect(screen.getByRole('region', { name: 'Waiting for people' })).toContainText('Look around')
    const secret = new URL(address).hash.replace('#display=', '')
    const refused = await room.request.get(`${product.address}/api/v1/plans`, {
      headers: { authorization: `Bearer ${secret}` },
    })
    expect(refused.status()).toBe(403)
    expect(wrong).toEqual([])

    await page.getByRole('button', { name: 'Revoke Operations room' }).press('Enter')
    await page.getByRole('dialog').getByRole('textbox').fill('Operations room')
    await page.keyboard.press('Enter')
    await expect(heading(screen, 'This display link was revoked')).toBeVisible({ timeout: 12_000 })
    // Longer than it waits between two looks, and before it comes back to a line that was lost.
    const asked = screen.waitForEvent('request', { timeout: 12_000 })
    await expect(asked).rejects.toThrow('Timeout')
    await expect(screen.getByRole('timer')).toHaveCount(0)
    await photograph(screen, 'simulated/wall-ended')
  } finally {
    await room.close()
  }
})

test('when the site comes back with its machines running, the run says which run twice, and one act ends it', async () => {
  await api.send('PATCH', `/sites/${harbour.id}`, {
    site: { name: 'Harbour', platform: 'simulated', settings: simulatedSettings(4, 1), secrets: {} },
  })
  await api.send('POST', `/sites/${harbour.id}/refresh`, {})
  const [moved] = await activeRuns()
  await page.goto(`${product.address}/plans/${shop.id}/runs/${moved?.id}`)
  const twice = page.getByRole('alert').filter({ hasText: '2 machines run twice' })
  await expect(twice).toBeVisible({ timeout: 60_000 })
  await expect(
    twice.getByRole('row', { name: new RegExp(`${namesOf(1, 2).join()} Harbour Hillside`) }),
  ).toBeVisible()
  await checkBothThemes(page, 'running-twice')
  await twice.getByRole('button', { name: 'Power off the old ones' }).press('Enter')
  await page.getByRole('dialog').getByRole('button', { name: 'Power off', exact: true }).press('Enter')
  await expect(twice).toBeHidden({ timeout: 60_000 })
})

test('the outlook of all plans fits a telephone', async () => {
  await page.setViewportSize({ width: 390, height: 844 })
  await page.goto(product.address)
  const outlook = page.getByRole('table').filter({ has: page.getByRole('link', { name: 'Shop' }) })
  await expect(outlook).toBeVisible()
  await photograph(page, 'simulated/overview-plans-390')
  const wide = await page.evaluate(() => document.documentElement.scrollWidth)
  expect(wide).toBeLessThanOrEqual(390)
  const { x, width } = (await outlook.boundingBox()) ?? { x: 0, width: 0 }
  expect(x + width).toBeLessThanOrEqual(390)
})

test('nothing went wrong in the browser', () => {
  expect(errors).toEqual([])
})

/** Nobody has vouched for the machines of the dead site, and all three ask the same. */
async function answerTogether(): Promise<void> {
  const together = page.getByRole('alert', { name: 'Waiting for you: 3 machines ask the same' })
  await expect(together).toContainText(namesOf(0, 3).join(', '), { timeout: 60_000 })
  await checkBothThemes(page, 'site-questions')
  await tabTo(together.getByRole('button', { name: 'All 3: It is off or cut off: go on' }))
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog', { name: 'It is off or cut off: go on: 3 machines' })
  await tabTo(dialog.getByRole('button', { name: 'Answer for 3 machines' }))
  await page.keyboard.press('Enter')
  await expect(dialog).toBeHidden()
}

const activeRuns = (): Promise<readonly PlanRun[]> => api.items('/plan-runs?state=running,paused,cancelling')

const namesOf = (from: number, to: number): readonly string[] =>
  protections.slice(from, to).map(({ name }) => name)

const item = (id: string) => ({ id, needs: [], whenItFails: 'stop' as const })
const manual = (id: string, name: string) => ({
  ...item(id),
  name,
  kinds: ['test', 'planned', 'unplanned', 'fail-back'] as const,
  directions: ['forward', 'reverse'] as const,
  action: {
    kind: 'manual',
    instructions: `${name}, and say so.`,
    assigneeRole: 'operator',
    timeoutSeconds: 3600,
    whenTimedOut: 'fail',
  },
})
const ticket = {
  name: 'ticket',
  description: 'Where the disaster is written down',
  type: 'text',
  choices: [],
  default: null,
  asked: true,
}
const pause = { ...manual('pause', 'A pause'), action: { kind: 'wait', seconds: 1 } }

/** The machines, and for more than one a person who has to be asked afterwards, twice. */
function planOver(name: string, priority: number, members: readonly Protection[]): object {
  return {
    name,
    priority,
    targetRtoSeconds: 600,
    parameters: [],
    groups: [
      {
        id: 'g1',
        name: 'All',
        start: 'in-order',
        before: [],
        machines: members.map(({ id }, index) => ({ ...item(`m${index}`), protectionId: id })),
        after: members.length > 1 ? [manual('call', 'Call the bank'), manual('look', 'Look around')] : [],
      },
    ],
  }
}
