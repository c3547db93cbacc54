// A plan is tested by keyboard alone, a person answers its manual action, and the wall shows the room where it stands: over two
// simulated sites, free of barriers in both themes.
import { type BrowserContext, expect, type Page, test } from '@playwright/test'
import type { Protection } from '@understudy/contract/protection'
import type { PlanDetail, PlanRun } from '@understudy/contract/recovery-plan'
import { heading } from './console.ts'
import { closeConsole, openConsole } from './open-console.ts'
import type { Product } from './product.ts'
import { photograph } from './screenshots.ts'
import { type Api, checkBothThemes, protectHarbour, tabTo } from './simulated-sites.ts'

test.describe.configure({ mode: 'serial' })

let home: string
let product: Product
let context: BrowserContext
let page: Page
let errors: readonly string[]
let plan: PlanDetail
let api: Api

test.beforeAll(async ({ browser }) => {
  ;({ home, product, context, page, errors, api } = await openConsole(browser))
  plan = await makePlan()
})
test.afterAll(async () => {
  await closeConsole({ home, product, context })
})

test('a plan is started from the overview by keyboard, after a look at what it costs and what stands in the way', async () => {
  await page.goto(product.address)
  const row = page.getByRole('region', { name: 'Recovery plans' }).getByRole('row', { name: /Web shop/ })
  await expect(row).toContainText('never tested')
  await tabTo(row.getByRole('button', { name: 'Run Web shop' }))
  await page.keyboard.press('Enter')
  await page.getByRole('menuitem', { name: 'Test', exact: true }).press('Enter')
  const dialog = page.getByRole('dialog', { name: 'Test: Web shop' })
  await expect(dialog).toContainText('Harbour → Hillside')
  await expect(dialog.getByRole('group', { name: 'Expected loss' })).toContainText('a test loses nothing')
  await expect(dialog.getByText('One thing stands in the way')).toBeVisible()
  const start = dialog.getByRole('button', { name: 'Start the test' })
  await expect(start).toBeDisabled()
  await checkBothThemes(page, 'plan-start')
  await tabTo(dialog.getByLabel('ticket', { exact: true }))
  await page.keyboard.type('INC-4711')
  await expect(dialog.getByText('Nothing stands in the way')).toBeVisible()
  await expect(start).toBeEnabled()
  await tabTo(start)
  await page.keyboard.press('Enter')
  await expect(heading(page, 'Test of Web shop')).toBeVisible()
})

test('the run says what waits for a person, and goes on after the answer', async () => {
  const waiting = page.getByRole('region', { name: 'Waiting for you' })
  await expect(waiting).toContainText('Compare the last booking', { timeout: 120_000 })
  await checkBothThemes(page, 'plan-run-waiting')
  await tabTo(waiting.getByRole('textbox', { name: 'Comment on Check the books' }))
  await page.keyboard.type('Booking 17 agrees')
  await tabTo(waiting.getByRole('button', { name: 'Done', exact: true }))
  await page.keyboard.press('Enter')
  await expect(waiting).toBeHidden()
})

test('every step opens by keyboard, and what failed is tried again or skipped with its cause and remedy in sight', async () => {
  const waiting = page.getByRole('region', { name: 'Waiting for you' })
  await expect(waiting).toContainText('Tell the load balancer', { timeout: 120_000 })
  const list = page.getByRole('list', { name: 'Machines and steps' })
  await tabTo(list.getByRole('button', { name: /^Tell the load balancer\W+http call, failed/ }))
  await page.keyboard.press('Home')
  await expect(list.getByRole('button', { name: /^Announce\W+script, done/ })).toBeFocused()
  await page.keyboard.press('Enter')
  const drawer = page.getByRole('dialog', { name: 'Announce' })
  await expect(drawer.getByRole('region', { name: 'Output of Announce' })).toContainText('ticket INC-4711')
  await checkBothThemes(page, 'plan-run-step')
  await page.keyboard.press('Escape')
  await expect(drawer).toBeHidden()
  await waiting.getByRole('button', { name: 'Skip' }).press('Enter')
  await page.getByRole('dialog').getByRole('button', { name: 'Skip it' }).press('Enter')
  await expect(page.getByRole('main').getByText('Succeeded with reservations').first()).toBeVisible({
    timeout: 60_000,
  })
})

test('the machines of the test are cleaned up from its run, and the clean-up is listed there', async () => {
  const [run] = await api.items<PlanRun>(`/plan-runs?planId=${plan.id}`)
  const action = page.getByRole('group', { name: 'Actions' }).getByRole('button', { name: 'Clean up' })
  await action.press('Enter')
  await page.getByRole('dialog').getByRole('button', { name: 'Clean up' }).press('Enter')
  await expect(heading(page, 'Clean up of Web shop')).toBeVisible()
  await expect(page.getByRole('main').getByText('Succeeded', { exact: true }).first()).toBeVisible({
    timeout: 120_000,
  })
  await page.goto(`${product.address}/plans/${plan.id}/runs/${run?.id}`)
  const followed = page.getByRole('region', { name: 'What followed' })
  await expect(followed.getByRole('row', { name: /Clean up.*Succeeded/ })).toBeVisible()
})

test('the wall shows sites, machines and plans, and nothing of the frame that people work in', async () => {
  for (const [layout, words] of [
    ['sites', 'on time'],
    ['machines', 'Protected'],
    ['plans', 'Web shop'],
  ] as const) {
    await page.goto(`${product.address}/wall/${layout}`)
    await expect(page.getByRole('main')).toContainText(words)
    await expect(page.getByRole('navigation', { name: 'Main' })).toHaveCount(0)
    await checkBothThemes(page, `wall-${layout}`)
  }
})

test('during a failover the wall shows the incident whatever was asked for, with its clock and who is waited for', async () => {
  await page.goto(`${product.address}/wall?cycle=10`)
  await expect(page.getByRole('main')).toContainText('on time')
  await api.send('POST', `/plans/${plan.id}/runs`, {
    kind: 'unplanned',
    acceptUnfenced: true,
    parameters: { ticket: 'x' },
  })
  await expect(heading(page, 'Unplanned failover of Web shop')).toBeVisible()
  await expect(page.getByRole('timer', { name: 'Time since the start' })).toContainText(/^\d+:\d\d$/)
  const waiting = page.getByRole('region', { name: 'Waiting for people' })
  await expect(waiting).toContainText('Check the books', { timeout: 120_000 })
  await expect(waiting).toContainText('for an operator')
  await expect(page.getByRole('main')).toContainText('Harbour → Hillside')
  await checkBothThemes(page, 'wall-incident')
})

test('nothing went wrong in the browser', () => {
  expect(errors).toEqual([])
})

test('when the server dies the wall says that what it shows is old', async () => {
  await product.kill()
  await expect(page.getByText(/^The live line is lost/)).toBeVisible()
  await expect(page.getByText(/^Old data: this is how it was/)).toBeVisible({ timeout: 60_000 })
  await photograph(page, 'simulated/wall-old')
})

/** Two simulated sites, three protected machines, and a plan with a script, a manual action and a step that fails. */
async function makePlan(): Promise<PlanDetail> {
  const { protections } = await protectHarbour(api, 3)
  return await api.send('POST', '/plans', planOver(protections))
}

function planOver(protections: readonly Protection[]): object {
  const item = (id: string) => ({ id, needs: [], whenItFails: 'stop' })
  const step = (id: string, name: string, action: object, change: object = {}) => ({
    ...item(id),
    name,
    kinds: ['test', 'planned', 'unplanned', 'fail-back'],
    directions: ['forward', 'reverse'],
    action,
    ...change,
  })
  const [first, ...others] = protections.map(({ id }, index) => ({ ...item(`m${index}`), protectionId: id }))
  const echo = {
    kind: 'script',
    where: { kind: 'server' },
    command: '/bin/echo',
    environment: {},
    timeoutSeconds: 30,
  }
  const manual = {
    kind: 'manual',
    instructions: 'Compare the last booking with the paper log.',
    assigneeRole: 'operator',
    timeoutSeconds: 3600,
    whenTimedOut: 'fail',
  }
  const call = {
    kind: 'http',
    method: 'POST',
    // Nobody listens there.
    url: 'http://127.0.0.1:9/switch',
    headers: {},
    body: '',
    expectedStatuses: [200],
    timeoutSeconds: 5,
  }
  return {
    name: 'Web shop',
    priority: 1,
    targetRtoSeconds: 600,
    parameters: [
      {
        name: 'ticket',
        description: 'Number of the incident',
        type: 'text',
        choices: [],
        default: null,
        asked: true,
      },
    ],
    groups: [
      {
        id: 'g1',
        name: 'Databases',
        start: 'in-order',
        before: [step('s1', 'Announce', { ...echo, arguments: ['The shop moves, ticket {{ticket}}'] })],
        machines: [first],
        after: [step('s2', 'Check the books', manual)],
      },
      {
        id: 'g2',
        name: 'Web',
        start: 'in-order',
        before: [],
        machines: others,
        after: [step('s3', 'Tell the load balancer', call, { whenItFails: 'ask' })],
      },
    ],
  }
}
