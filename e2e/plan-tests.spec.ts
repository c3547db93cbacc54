// A schedule is made by keyboard and begins a test by itself; a test by hand leaves a report that opens, on the screen and on paper, with sums that
// are right; and how far one may rely on plan and machines is told with its reasons. Over two simulated sites.
import { createHash } from 'node:crypto'
import { type BrowserContext, expect, type Page, test } from '@playwright/test'
import type { Machine } from '@understudy/contract/machine'
import type { Evidence, TestSettings } from '@understudy/contract/plan-tests'
import type { Protection } from '@understudy/contract/protection'
import type { PlanDetail, PlanRun } from '@understudy/contract/recovery-plan'
import { readZip } from '@understudy/simulator/read-zip'
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
let api: Api
let plan: PlanDetail

test.beforeAll(async ({ browser }) => {
  ;({ home, product, context, page, errors, api } = await openConsole(browser))
  plan = await makePlan()
})
test.afterAll(async () => {
  await closeConsole({ home, product, context })
})

test('a plan that nobody has tested says so, with what to do, on its page and in the list', async () => {
  await page.goto(`${product.address}/plans`)
  const mark = page.getByRole('button', { name: /^Readiness of Web shop: Unproven, \d+ of 100$/ })
  await tabTo(mark)
  await page.keyboard.press('Enter')
  const reasons = page.getByRole('dialog', { name: 'Readiness of Web shop' })
  await expect(reasons).toContainText('It has never been tested')
  await expect(reasons).toContainText('Run a test')
  await checkBothThemes(page, 'plans-readiness')
  await page.keyboard.press('Escape')
  await expect(reasons).toBeHidden()
})

test('a schedule is made by keyboard, is said in words while one types, and stays', async () => {
  await page.goto(`${product.address}/plans/${plan.id}?tab=tests`)
  const form = page.getByRole('form', { name: 'Schedule of tests' })
  await tabTo(form.getByRole('switch', { name: 'Test it by itself' }))
  await page.keyboard.press('Space')
  await tabTo(form.getByRole('checkbox', { name: 'Sunday' }))
  await page.keyboard.press('Space')
  await tabTo(form.getByLabel('Time of day'))
  await page.keyboard.press('Control+A')
  await page.keyboard.type('04:30')
  await expect(form.getByRole('status')).toContainText('Every Saturday and Sunday at 04:30')
  await expect(form.getByRole('status')).toContainText(/Next: \d{4}-\d\d-\d\d 04:30/)
  await checkBothThemes(page, 'plan-tests-schedule')
  await tabTo(form.getByRole('button', { name: 'Save the schedule' }))
  await page.keyboard.press('Enter')
  await expect(form.getByRole('button', { name: 'Undo' })).toBeHidden()
  await page.reload()
  await expect(form.getByRole('status')).toContainText('Every Saturday and Sunday at 04:30')
  const kept = await api.get<TestSettings>(`/plans/${plan.id}/test-settings`)
  expect(kept).toMatchObject({ revision: 1, schedule: { minuteOfDay: 270 } })
})

test('a test by hand leads to a report that opens, as a page, as PDF and as a bundle whose sums are right', async () => {
  const run = await api.send<PlanRun>('POST', `/plans/${plan.id}/runs`, {
    kind: 'test',
    cleanUp: 'when-done',
  })
  await page.goto(`${product.address}/plans/${plan.id}/runs/${run.id}`)
  const panel = page.getByRole('region', { name: 'Evidence' })
  const link = panel.getByRole('link', { name: 'Report of this run, edition 1' })
  await expect(link).toBeVisible({ timeout: 120_000 })
  await checkBothThemes(page, 'plan-run-evidence')
  const opening = context.waitForEvent('page')
  await link.press('Enter')
  const report = await opening
  await expect(heading(report, 'Test of "Web shop"')).toBeVisible()
  await expect(report.getByText('Passed', { exact: true })).toBeVisible()
  await expect(report.getByRole('img', { name: /^Screen of / }).first()).toBeVisible()
  await expect(report.getByText('Clean up of "Web shop"').first()).toBeVisible()
  await expect(report.getByText('hello from the plan')).toBeVisible()
  await photograph(report, 'simulated/evidence-report', ['light'])
  await report.close()
  const [evidence] = await api.items<Evidence>(`/plan-runs/${run.id}/evidence`)
  if (!evidence) throw new Error('there is a report')
  const pdf = await bytes(`/plan-runs/${run.id}/evidence/1/report.pdf`)
  expect(pdf.subarray(0, 5).toString()).toBe('%PDF-')
  const bundle = await bytes(`/plan-runs/${run.id}/evidence/1/bundle.zip`)
  expect(createHash('sha256').update(bundle).digest('hex')).toBe(evidence.sha256)
  await expect(panel).toContainText(evidence.sha256.slice(0, 24))
  const content = readZip(bundle)
  const sums = content.get('SHA256SUMS')?.toString().trim().split('\n') ?? []
  expect(sums.map((line) => line.slice(66)).toSorted()).toEqual(
    expect.arrayContaining(['report.html', 'report.pdf', 'run.json']),
  )
  for (const line of sums)
    expect(
      createHash('sha256')
        .update(content.get(line.slice(66)) ?? '')
        .digest('hex'),
    ).toBe(line.slice(0, 64))
})

test('the hash stands in the audit log and in the events', async () => {
  const [run] = await api.items<PlanRun>(`/plan-runs?planId=${plan.id}&limit=10`)
  const { sha256 } = run?.evidence ?? (await newestEvidence())
  const audit = await api.items<{ action: string; facts: { sha256?: string } }>('/audit?limit=50')
  expect(audit.find(({ action }) => action === 'planRuns.evidence')?.facts.sha256).toBe(sha256)
  const events = await api.items<{ facts: { sha256?: string } }>('/events?code=plan-run/evidence')
  expect(events[0]?.facts.sha256).toBe(sha256)
})

test('after the test plan and machines are proven, and the overview counts them', async () => {
  await page.goto(product.address)
  await expect(page.getByRole('group', { name: 'Proven to come up' })).toContainText('2 of 2')
  await expect(
    page.getByRole('button', { name: /^Readiness of Web shop: Proven, 100 of 100$/ }),
  ).toBeVisible()
  await checkBothThemes(page, 'overview-readiness')
  const [protection] = await api.items<Protection>('/protections')
  await page.goto(`${product.address}/machines/${protection?.machineId}`)
  const mark = page.getByRole('button', { name: `Readiness of ${protection?.name}: Proven, 100 of 100` })
  await mark.press('Enter')
  await expect(page.getByRole('dialog', { name: `Readiness of ${protection?.name}` })).toContainText(
    'Its last test passed',
  )
  await checkBothThemes(page, 'machine-readiness')
})

test('a scheduled test begins by itself, cleans up after itself, and is listed with its report', async () => {
  const soon = new Date(Date.now() + 60_000)
  const schedule = {
    enabled: true,
    days: { kind: 'week', weekdays: [1, 2, 3, 4, 5, 6, 7] },
    minuteOfDay: soon.getUTCHours() * 60 + soon.getUTCMinutes(),
    timeZone: 'UTC',
    windowMinutes: 10,
    keepMinutes: 0,
    giveUpMinutes: 30,
  }
  await api.send('PATCH', `/plans/${plan.id}/test-settings`, { testEveryDays: 30, schedule, revision: 1 })
  await page.goto(`${product.address}/plans/${plan.id}?tab=tests`)
  const row = page.getByRole('region', { name: 'Tests so far' }).getByRole('row', { name: /schedule/ })
  await expect(row).toContainText('Passed', { timeout: 180_000 })
  await expect(row.getByRole('link', { name: /^Report of the test of/ })).toBeVisible({ timeout: 60_000 })
  await checkBothThemes(page, 'plan-tests')
  const left = (await api.items<Machine>('/machines?limit=100')).filter(({ runId }) => runId !== null)
  expect(left).toEqual([])
})

test('nothing went wrong in the browser', () => {
  expect(errors).toEqual([])
})

async function newestEvidence(): Promise<Evidence> {
  const runs = await api.items<PlanRun>(`/plan-runs?planId=${plan.id}&limit=10`)
  const tested = runs.find(({ kind }) => kind === 'test')
  const [evidence] = await api.items<Evidence>(`/plan-runs/${tested?.id}/evidence`)
  if (!evidence) throw new Error('there is a report')
  return evidence
}

/** Two simulated sites, two protected machines, and a plan with a program on the server. */
async function makePlan(): Promise<PlanDetail> {
  const { protections } = await protectHarbour(api, 2)
  const item = (id: string) => ({ id, needs: [], whenItFails: 'stop' })
  return api.send('POST', '/plans', {
    name: 'Web shop',
    priority: 1,
    targetRtoSeconds: 600,
    parameters: [],
    groups: [
      {
        id: 'g1',
        name: 'Shop',
        start: 'in-order',
        before: [],
        machines: protections.map(({ id }, index) => ({ ...item(`m${index}`), protectionId: id })),
        after: [
          {
            ...item('s1'),
            name: 'Announce',
            kinds: ['test', 'planned', 'unplanned', 'fail-back'],
            directions: ['forward', 'reverse'],
            action: {
              kind: 'script',
              where: { kind: 'server' },
              command: '/bin/echo',
              arguments: ['hello from the plan'],
              environment: {},
              timeoutSeconds: 30,
            },
          },
        ],
      },
    ],
  })
}

async function bytes(address: string): Promise<Buffer> {
  const response = await context.request.get(`${product.address}/api/v1${address}`)
  expect(response.ok(), address).toBe(true)
  return await response.body()
}
