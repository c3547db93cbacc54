// A machine of the lab goes to Azure and is kept there, all of it emulated on this computer: its disks become managed disks of an emulated
// Resource Manager, and its guest answers from there. Free of barriers in both themes, and said to be emulated wherever it is shown.
import { type BrowserContext, expect, type Locator, type Page, test } from '@playwright/test'
import type { Protection } from '@understudy/contract/protection'
import type { Site } from '@understudy/contract/site'
import { ask, choose, field, followTheJob, jobSucceeds } from './console.ts'
import { originalAddress, recordAtBoot, waitForGuest } from './guest.ts'
import { closeConsole, openConsole } from './open-console.ts'
import type { Product } from './product.ts'
import { type Api, checkBothThemes, tabTo } from './simulated-sites.ts'
import { until } from './until.ts'

test.describe.configure({ mode: 'serial' })

const AZURE = 'Azure (Azurite on this computer)'
const jobSeconds = 300

let home: string
let product: Product
let context: BrowserContext
let page: Page
let errors: readonly string[]
let api: Api
let azure: Site
/** Of the page of the guest that runs in Azure. */
let awayAddress: string

test.beforeAll(async ({ browser }) => {
  ;({ home, product, context, page, errors, api } = await openConsole(browser))
})
test.afterAll(async () => {
  await closeConsole({ home, product, context })
})

const main = (): Locator => page.getByRole('main')

test('the lab gets an Azure in which machines run, and says what of it is emulated', async () => {
  await expect(main()).toContainText('a stand-in for Resource Manager boots them under QEMU')
  await page.getByRole('button', { name: 'Create a lab' }).click()
  await page.getByRole('link', { name: 'Watch it' }).click()
  await jobSucceeds(page, jobSeconds)
  await api.send('POST', '/lab/azure', {})
  const found = (await api.items<Site>('/sites')).find(({ name }) => name === AZURE)
  if (!found) throw new Error('the site is registered')
  azure = found
  expect(azure).toMatchObject({ emulated: true, canBeTarget: true, canBeSource: true })
  await page.goto(`${product.address}/sites/${azure.id}?tab=networks`)
  const facts = main().getByRole('region', { name: 'Where machines run' })
  await expect(facts).toContainText('emulated')
  await expect(facts).toContainText('westeurope')
  await expect(facts).toContainText('the smallest that fits the machine')
  await expect(main().getByRole('row', { name: /^Own network/ })).toContainText('tests, isolated')
  await checkBothThemes(page, 'azure-run-site')
})

test('the wizard offers the networks of Azure, the isolated one for tests, and protects to it', async () => {
  await page.goto(`${product.address}/protect?targetSiteId=${azure.id}`)
  await choose(page, 'Source site', 'Lab site A')
  await choose(page, 'Policy', 'Every 5 seconds')
  await page.getByRole('checkbox', { name: 'Choose lab-db' }).check()
  await expect(page.getByRole('combobox', { name: /in a test$/ })).toHaveValue('Own network (isolated)')
  await expect(page.getByRole('combobox', { name: /in a failover$/ })).toHaveValue('lan/web')
  const outlook = main().getByRole('region', { name: `What a machine becomes at ${AZURE}` })
  await expect(outlook).toContainText('the smallest that fits the machine')
  await expect(outlook).toContainText('emulated')
  await expect(outlook.getByRole('region', { name: 'Suggested sizes' })).toContainText(/lab-db.*Standard_/)
  await expectNoWordsOfKvm(outlook)
  await checkBothThemes(page, 'azure-run-protect')
  await page.getByRole('button', { name: 'Protect 1 machine' }).click()
  await page.getByRole('row', { name: 'lab-db' }).getByRole('link', { name: 'Follow the job' }).click()
  await jobSucceeds(page, jobSeconds)
  await page.getByRole('region', { name: 'About this job' }).getByRole('link', { name: 'lab-db' }).click()
  await expect(main().getByText('Protected', { exact: true })).toBeVisible({ timeout: 120_000 })
  await expect(main().getByText('emulated', { exact: true }).first()).toBeVisible()
})

test('what an adapter gets in Azure is chosen by keyboard, checked at its field, and kept with the site', async () => {
  await page.getByRole('tab', { name: 'Network' }).click()
  const panel = main().getByRole('region', { name: `What the adapters get at ${AZURE}` })
  const fields = panel.getByRole('group', { name: /^In a failover/ })
  await fields.getByText('Fixed address', { exact: true }).click()
  await fields.getByRole('combobox', { name: 'Security group' }).click()
  await expect(page.getByRole('option', { name: 'closed (replicas)' })).toBeVisible()
  await page.keyboard.press('Escape')
  await fields.getByRole('button', { name: 'Security group: type the resource id' }).click()
  await field(fields, 'Security group').fill('closed')
  await expect(field(fields, 'Security group')).toHaveAccessibleDescription(/resource id/)
  await fields.getByRole('button', { name: 'Security group: choose from the list' }).click()
  const address = field(fields, 'Private address')
  await address.fill('10.1')
  await expect(address).toHaveAccessibleDescription(/Use an address such as/)
  await expect(panel.getByRole('button', { name: 'Save the adapters' })).toBeDisabled()
  await address.fill('10.1.1.10')
  await tabTo(fields.getByRole('checkbox', { name: 'Public address' }))
  await page.keyboard.press('Space')
  await expectNoWordsOfKvm(panel)
  await checkBothThemes(page, 'azure-run-adapters')
  await panel.getByRole('button', { name: 'Save the adapters' }).click()
  await expect(page.getByRole('alert').filter({ hasText: 'The adapters are saved' })).toBeVisible()
  const { settings } = await api.get<Site>(`/sites/${azure.id}`)
  expect(settings.compute).toMatchObject({
    adapters: [{ mode: 'failover', address: '10.1.1.10', publicAddress: true }],
  })
})

test('whether the machine would start in Azure is said long before, and that the emulation is not Azure', async () => {
  await page.getByRole('tab', { name: 'Boot preparation' }).click()
  const panel = main().getByRole('region', { name: 'Boot preparation' })
  const verdict = panel.getByRole('status', { name: 'Verdict' })
  // On a busy computer the guest may not be able to look at everything before its first answer is due.
  await expect(async () => {
    const again = panel.getByRole('button', { name: 'Check again' })
    const isWhole = (await verdict.textContent())?.includes('would not start')
    if (!isWhole && (await again.isVisible())) await again.click()
    await expect(verdict).toContainText('would not start at the place that', { timeout: 60_000 })
  }).toPass({ timeout: 300_000 })
  await expect(verdict).toContainText('Understudy lab guest, judged for Hyper-V hardware')
  await expect(panel).toContainText(`${AZURE} is emulated and gives its machines virtio hardware`)
  const looked = panel.getByRole('list', { name: 'What was looked at' })
  await expect(looked.getByRole('listitem').first()).toContainText('hv_storvsc')
  await expect(looked.getByRole('listitem').filter({ hasText: 'Disks in /etc/fstab' })).toContainText(
    'In order',
  )
  await expect(looked.getByRole('listitem').filter({ hasText: 'Network configuration' })).toContainText(
    'Not checked',
  )
  await panel.getByRole('button', { name: 'Check again' }).click()
  await expect(panel.getByRole('button', { name: 'Asking the machine …' })).toBeVisible()
  await expect(panel.getByRole('button', { name: 'Check again' })).toBeVisible({ timeout: 120_000 })
  await checkBothThemes(page, 'azure-run-boot')
})

test('a test failover answers from the emulated Azure and is cleaned up', async () => {
  const dialog = await ask(page, 'Test failover')
  await expect(dialog.getByText('emulated', { exact: true })).toBeVisible()
  await dialog.getByRole('button', { name: 'Start the test' }).click()
  // What the boot is at is said while it is: with big disks it takes hours.
  const told = main().getByText(
    /Copying disks? |Azure makes managed disk|Azure makes the adapters|Starting lab-db/,
  )
  await Promise.all([
    expect(told.first()).toBeVisible({ timeout: jobSeconds * 1000 }),
    followTheJob(page, 'Test failover', 'lab-db', jobSeconds),
  ])
  const run = page.getByRole('region', { name: `Test of lab-db at ${AZURE}` })
  await expect(run.getByText('emulated', { exact: true })).toBeVisible()
  const guest = await waitForGuest(await addressIn(run))
  expect(guest.chain.state).toBe('ok')
  expect(recordAtBoot(guest)).toBeGreaterThan(0)
  await expectNoWordsOfKvm(run)
  await checkBothThemes(page, 'azure-run-test')
  const cleanUp = await ask(page, 'Clean up test')
  await cleanUp.getByRole('button', { name: 'Clean up' }).click()
  await followTheJob(page, 'Clean up the test', 'lab-db', jobSeconds)
  await expect(run).toBeHidden()
})

test('a planned failover loses nothing, and is committed', async () => {
  const before = await waitForGuest(await originalAddress(home, 'lab-db'))
  const dialog = await ask(page, 'Planned failover')
  await expect(dialog.getByRole('group', { name: 'Data loss' })).toContainText('none')
  await checkBothThemes(page, 'azure-run-dialog')
  await dialog.getByRole('button', { name: 'Fail over' }).click()
  await followTheJob(page, 'Planned failover', 'lab-db', jobSeconds)
  awayAddress = await addressIn(page.getByRole('region', { name: `lab-db runs at ${AZURE}` }))
  const guest = await waitForGuest(awayAddress)
  expect(guest.chain.state).toBe('ok')
  expect(guest.database?.integrity).toBe('ok')
  expect(recordAtBoot(guest)).toBeGreaterThanOrEqual(before.chain.step)
  await page.getByRole('tab', { name: 'Overview' }).click()
  const failover = page.getByRole('region', { name: `lab-db runs at ${AZURE}` })
  await expect(failover).toContainText('it answered')
  // Its disks were there before it started.
  await expect(failover).not.toContainText('it already runs meanwhile')
  const machine = main().getByRole('region', { name: 'Machine', exact: true })
  await expect(machine).toContainText('Running', { timeout: 20_000 })
  await expect(machine).not.toContainText('Not known')
  await checkBothThemes(page, 'azure-run-failover')
  await commit()
  await expect(main()).toContainText(`lab-db runs at ${AZURE} and is not protected there`)
  await checkBothThemes(page, 'azure-run-committed')
})

test('reprotect turns the direction round, and fail back brings home what was written in Azure', async () => {
  const reprotect = await ask(page, 'Reprotect')
  await reprotect.getByRole('button', { name: 'Reprotect' }).click()
  await followTheJob(page, 'Reprotect', 'lab-db', jobSeconds)
  await until('the machine in Azure is protected', 120, async () => {
    const [protection] = await api.items<Protection>('/protections')
    return protection?.state === 'protected' && protection.direction === 'reverse' ? true : null
  })
  const away = await waitForGuest(awayAddress)
  await checkBothThemes(page, 'azure-run-reverse')
  const dialog = await ask(page, 'Fail back')
  await expect(dialog.getByRole('group', { name: 'Data loss' })).toContainText('none')
  await dialog.getByRole('button', { name: 'Fail back' }).click()
  await followTheJob(page, 'Fail back', 'lab-db', jobSeconds)
  await expect(page.getByRole('region', { name: 'lab-db runs at Lab site A' })).toBeVisible()
  const guest = await waitForGuest(await originalAddress(home, 'lab-db'))
  expect(guest.chain.state).toBe('ok')
  expect(guest.database?.integrity).toBe('ok')
  expect(recordAtBoot(guest)).toBeGreaterThanOrEqual(away.chain.step)
  await commit()
})

test('the wall says what is emulated, and nothing went wrong in the browser on the whole way', async () => {
  await page.setViewportSize({ width: 3840, height: 2160 })
  await page.goto(`${product.address}/wall`)
  await expect(page.getByText(/emulated/).first()).toBeVisible()
  await checkBothThemes(page, 'azure-run-wall')
  await page.setViewportSize({ width: 1440, height: 900 })
  expect(errors).toEqual([])
})

async function commit(): Promise<void> {
  const dialog = await ask(page, 'Commit')
  await dialog.getByRole('button', { name: 'Commit' }).click()
  await followTheJob(page, 'Commit the failover', 'lab-db', jobSeconds)
}

async function addressIn(run: Locator): Promise<string> {
  const link = run.getByRole('link', { name: /^http:/ }).first()
  await expect(link).toBeVisible()
  return (await link.getAttribute('href')) ?? ''
}

const expectNoWordsOfKvm = (part: Locator): Promise<void> =>
  expect(part).not.toContainText(/\bhosts?\b|libvirt|\bbridge\b/i)
