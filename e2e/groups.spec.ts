// A consistency group over two simulated sites: made by keyboard, with the reason beside what cannot be in it; its machines share their
// instants, a plan boots them from one, and it is changed and removed. Free of barriers in both themes.
import { type BrowserContext, expect, type Page, test } from '@playwright/test'
import type { ConsistencyGroup } from '@understudy/contract/consistency-group'
import type { Policy } from '@understudy/contract/policy'
import type { Protection } from '@understudy/contract/protection'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import { choose, goTo, heading } from './console.ts'
import { closeConsole, openConsole } from './open-console.ts'
import type { Product } from './product.ts'
import { photograph } from './screenshots.ts'
import { type Api, checkBothThemes, openTwoSites, tabTo, untilProtected } from './simulated-sites.ts'
import { until } from './until.ts'

test.describe.configure({ mode: 'serial' })

let home: string
let product: Product
let context: BrowserContext
let page: Page
let errors: readonly string[]
let api: Api
let protections: readonly Protection[]

test.beforeAll(async ({ browser }) => {
  ;({ home, product, context, page, errors, api } = await openConsole(browser))
  protections = await protectThree()
})
test.afterAll(async () => {
  await closeConsole({ home, product, context })
})

test('a group is made by keyboard, and a machine that cannot be in it says why', async () => {
  await goTo(page, 'Groups')
  await expect(heading(page, 'Groups')).toBeVisible()
  await expect(page.getByText('No group yet')).toBeVisible()
  await checkBothThemes(page, 'groups-none')
  await tabTo(page.getByRole('main').getByRole('link', { name: 'New group' }).first())
  await page.keyboard.press('Enter')
  const drawer = page.getByRole('dialog', { name: 'New group' })
  await expect(drawer.getByRole('textbox', { name: 'Name', exact: true })).toBeFocused()
  await page.keyboard.type('Web shop')
  await tabTo(drawer.getByRole('checkbox', { name: 'Choose sim-0001' }))
  await page.keyboard.press('Space')
  // The third one has another policy.
  await expect(drawer.getByRole('row', { name: /sim-0003/ })).toContainText(
    'has another policy than sim-0001',
  )
  await expect(drawer.getByRole('checkbox', { name: 'Choose sim-0003' })).toBeDisabled()
  await tabTo(drawer.getByRole('checkbox', { name: 'Choose sim-0002' }))
  await page.keyboard.press('Space')
  await expect(drawer.getByText('2 chosen')).toBeVisible()
  await checkBothThemes(page, 'group-new')
  await tabTo(drawer.getByRole('button', { name: 'Save' }))
  await page.keyboard.press('Enter')
  await expect(drawer).toBeHidden()
  const row = page.getByRole('region', { name: 'Groups' }).getByRole('row', { name: /Web shop/ })
  await expect(row).toContainText('Common points on time', { timeout: 30_000 })
  await expect(row).toContainText('held still for')
  await checkBothThemes(page, 'groups')
})

test('the points of its machines are of one instant, and its machines say so', async () => {
  const [web, db] = protections
  const cutsOf = async (protection: Protection | undefined) => {
    const points = await api.items<RecoveryPoint>(`/protections/${protection?.id}/recovery-points?limit=200`)
    return new Map(points.flatMap(({ group, instant }) => (group ? [[group.cut, instant] as const] : [])))
  }
  await until('three common points', 60, async () => ((await cutsOf(web)).size >= 3 ? true : null))
  const [ofWeb, ofDb] = [await cutsOf(web), await cutsOf(db)]
  const common = [...ofWeb].filter(([cut]) => ofDb.has(cut))
  expect(common.length).toBeGreaterThanOrEqual(2)
  for (const [cut, instant] of common) expect(ofDb.get(cut)).toBe(instant)

  await page.goto(`${product.address}/machines/${web?.machineId}`)
  const note = page.getByRole('group', { name: 'Group Web shop' })
  await expect(note).toContainText('with sim-0002: newest')
  await checkBothThemes(page, 'machine-in-group')
  await goTo(page, 'Machines')
  await choose(page, 'Group', 'Web shop')
  await expect(page).toHaveURL(/groupId=/)
  await expect(page.getByRole('grid', { name: 'Machines' }).getByRole('row')).toHaveCount(3)
  await checkBothThemes(page, 'machines-of-group')
})

test('a dry run of a plan tells the instant that its machines boot from, and a failover of one alone warns', async () => {
  await goTo(page, 'Groups')
  await page.getByRole('link', { name: 'Web shop' }).click()
  const drawer = page.getByRole('dialog', { name: 'Edit Web shop' })
  await checkBothThemes(page, 'group')
  await drawer.getByRole('button', { name: 'Make a plan of it' }).click()
  await expect(page).toHaveURL(/\/plans\/[^/?]+/)
  const [plan] = await api.items<{ id: string }>('/plans')
  const dry = await api.send<{ findings: readonly { code: string; message: string }[] }>(
    'POST',
    `/plans/${plan?.id}/dry-run`,
    { kind: 'unplanned' },
  )
  expect(dry.findings.find(({ code }) => code === 'recovery-plan/common-point')?.message).toContain(
    'sim-0001, sim-0002 of the group "Web shop"',
  )
  await page.goto(`${product.address}/machines/${protections[0]?.machineId}`)
  await page.getByRole('button', { name: 'Unplanned failover', exact: true }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog).toContainText('sim-0002 stays where it is', { timeout: 20_000 })
  await photograph(page, 'simulated/failover-of-one-of-a-group')
  await page.keyboard.press('Escape')
})

test('a machine is taken out and comes back with all its points, and a group that is removed leaves its machines alone', async () => {
  const [, db] = protections
  const count = async () =>
    (await api.items<Protection>('/protections')).find(({ id }) => id === db?.id)?.pointCount
  const before = (await count()) ?? 0
  await goTo(page, 'Groups')
  await page.getByRole('link', { name: 'Web shop' }).click()
  const drawer = page.getByRole('dialog', { name: 'Edit Web shop' })
  await drawer.getByRole('checkbox', { name: 'Choose sim-0002' }).click()
  await drawer.getByRole('button', { name: 'Save' }).click()
  await expect(drawer).toBeHidden()
  const row = page.getByRole('region', { name: 'Groups' }).getByRole('row', { name: /Web shop/ })
  await expect(row).toContainText('One machine: nothing to share')
  expect(await count()).toBeGreaterThanOrEqual(before)
  await page.getByRole('link', { name: 'Web shop' }).click()
  await drawer.getByRole('button', { name: 'Remove the group' }).click()
  const confirm = page.getByRole('dialog', { name: 'Remove Web shop?' })
  await confirm.getByRole('textbox').fill('Web shop')
  await confirm.getByRole('button', { name: 'Remove the group' }).click()
  await expect(page.getByText('No group yet')).toBeVisible()
  expect(await api.items<ConsistencyGroup>('/groups')).toEqual([])
  for (const { group } of await api.items<Protection>('/protections')) expect(group).toBeNull()
})

test('nothing went wrong in the browser', () => {
  expect(errors).toEqual([])
})

/** Three machines of a simulated site, two of them with one policy. */
async function protectThree(): Promise<readonly Protection[]> {
  const { hillside, machines } = await openTwoSites(api, 3)
  const policies = await api.items<Policy>('/policies')
  const fast = policies.find(({ name }) => name === 'Every 5 seconds')
  const other = policies.find(({ id }) => id !== fast?.id)
  for (const [index, { id: machineId }] of machines.entries())
    await api.send('POST', '/protections', {
      machineId,
      targetSiteId: hillside.id,
      policyId: index === 2 ? other?.id : fast?.id,
    })
  return await untilProtected(api, machines.length)
}
