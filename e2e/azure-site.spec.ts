// Azure as the second site, emulated on this computer: offered, filled in by keyboard with each mistake beside its field, told to keep
// replicas only, protected to, watched, told honestly that nothing can run there, and cleaned up to the last blob. Free of barriers in
// both themes.
import { type BrowserContext, expect, type Page, test } from '@playwright/test'
import type { Job } from '@understudy/contract/job'
import type { Policy } from '@understudy/contract/policy'
import type { Protection } from '@understudy/contract/protection'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import type { Site } from '@understudy/contract/site'
import { choose, field, goTo, heading } from './console.ts'
import { closeConsole, openConsole } from './open-console.ts'
import { type Product, startProduct } from './product.ts'
import { type Api, apiOf, checkBothThemes, simulatedSettings, tabTo } from './simulated-sites.ts'
import { until } from './until.ts'

test.describe.configure({ mode: 'serial' })

const AZURE = 'Azure (Azurite on this computer)'

let home: string
let product: Product
let context: BrowserContext
let page: Page
let errors: readonly string[]
let api: Api
let azure: Site

test.beforeAll(async ({ browser }) => {
  ;({ home, product, context, page, errors, api } = await openConsole(browser))
  const harbour = await api.send<Site>('POST', '/sites', {
    name: 'Harbour',
    platform: 'simulated',
    settings: simulatedSettings(2, 1),
    secrets: {},
  })
  await api.send('POST', `/sites/${harbour.id}/refresh`, {})
})
test.afterAll(async () => {
  await closeConsole({ home, product, context })
})

test('a site in Azure is filled in by keyboard, and what is wrong stands beside its field', async () => {
  await goTo(page, 'Sites')
  await page.getByRole('main').getByRole('button', { name: 'Register a site' }).first().click()
  const drawer = page.getByRole('dialog', { name: 'Register a site' })
  await drawer.getByText('Azure', { exact: true }).click()
  await tabTo(drawer.getByRole('button', { name: 'Test the connection' }))
  await page.keyboard.press('Enter')
  await expect(field(drawer, 'Account key')).toHaveAccessibleDescription(/Fill this in/)
  await expect(field(drawer, 'Storage account')).toHaveAccessibleDescription(/3 to 24 small letters/)
  // The form is longer than the screen.
  await expect(field(drawer, 'Name')).toBeFocused()
  await checkBothThemes(page, 'azure-register-wrong')

  await field(drawer, 'Name').fill('Cloud')
  await field(drawer, 'Storage account').fill('devstoreaccount1')
  await field(drawer, 'Account key').fill(Buffer.alloc(64, 1).toString('base64'))
  await drawer.getByRole('button', { name: 'Address, proxy and limits' }).click()
  await field(drawer, 'Address of the blobs').fill('http://contoso.blob.core.windows.net')
  await drawer.getByRole('button', { name: 'Test the connection' }).click()
  await expect(field(drawer, 'Address of the blobs')).toHaveAccessibleDescription(/Begin it with https/)
  await field(drawer, 'Address of the blobs').fill('http://127.0.0.1:9/devstoreaccount1')
  await drawer.getByRole('button', { name: 'Test the connection' }).click()
  await expect(drawer.getByRole('alert')).toContainText('gave no answer')
  await expect(drawer.getByRole('alert')).toContainText('Check the address')
})

test('running machines there is off, says what it costs, and asks for what it needs', async () => {
  const drawer = page.getByRole('dialog', { name: 'Register a site' })
  const wanted = drawer.getByRole('switch', { name: 'Run machines there' })
  await expect(wanted).not.toBeChecked()
  await expect(field(drawer, 'Subscription')).toBeHidden()
  await tabTo(wanted)
  await page.keyboard.press('Space')
  const part = drawer.getByRole('region', { name: 'Run machines there' })
  await expect(part).toContainText('Azure charges for the replicas only, until a test or a failover')
  await expect(part).toContainText('Contributor on the resource group')
  await drawer.getByRole('button', { name: 'Test the connection' }).click()
  await expect(field(drawer, 'Subscription')).toHaveAccessibleDescription(/Use an id of the form/)
  await expect(field(drawer, 'Client secret')).toHaveAccessibleDescription(/Fill this in/)
  await part.getByText('Managed identity', { exact: true }).click()
  await expect(field(drawer, 'Client secret')).toBeHidden()
  await part.getByText('Service principal', { exact: true }).click()
  await drawer.getByRole('button', { name: 'Sizes, disks, zone, tags and other clouds' }).click()
  await field(drawer, 'Tags').fill('a/b = 1')
  await expect(field(drawer, 'Tags')).toHaveAccessibleDescription(/Leave out/)
  await checkBothThemes(page, 'azure-register-compute')
})

test('rights that are missing stand by what they are for, in sight, and can be taken along', async () => {
  const drawer = page.getByRole('dialog', { name: 'Register a site' })
  await field(drawer, 'Tags').fill('')
  const id = '00000000-0000-4000-8000-000000000001'
  for (const name of ['Subscription', 'Tenant', 'Application']) await field(drawer, name).fill(id)
  await field(drawer, 'Resource group').fill('replicas')
  await field(drawer, 'Region').fill('westeurope')
  await field(drawer, 'Client secret').fill('secret')
  const right = (name: string, scope: string, purpose: string) => ({ right: name, scope, purpose })
  const disks = (verb: string) =>
    right(`Microsoft.Compute/disks/${verb}`, 'resource group replicas', 'to make disks of copies')
  // An identity that lacks rights is nothing that the emulated Azure can be asked for.
  await page.route('**/sites/test-connection', (route) =>
    route.fulfill({
      status: 409,
      json: {
        type: 'about:blank',
        title: 'Refused',
        status: 409,
        code: 'azure/right-missing',
        detail: 'The identity of the site lacks rights in Azure',
        cause: null,
        remedy: 'Give it a role with these actions.',
        missingRights: [
          disks('read'),
          disks('write'),
          right('Microsoft.Compute/skus/read', 'the subscription', 'to choose the size of a machine'),
        ],
      },
    }),
  )
  await drawer.getByRole('button', { name: 'Test the connection' }).click()
  await expect(drawer.getByRole('alert')).toContainText('lacks 3 rights')
  await expect(drawer.getByRole('alert')).toBeInViewport()
  const inGroup = drawer.getByRole('list', { name: 'Missing in resource group replicas' })
  await expect(inGroup.getByRole('listitem')).toHaveText([
    /to make disks of copies.*disks\/read.*disks\/write/,
  ])
  await expect(drawer.getByRole('button', { name: 'Copy the rights' })).toBeVisible()
  await checkBothThemes(page, 'azure-register-rights')
  await page.unroute('**/sites/test-connection')
})

test('whoever has no account gets an emulated one, which says what it is', async () => {
  const drawer = page.getByRole('dialog', { name: 'Register a site' })
  await drawer.getByRole('button', { name: 'Add the emulated Azure' }).click()
  await expect(heading(page, AZURE)).toBeVisible({ timeout: 60_000 })
  const main = page.getByRole('main')
  await expect(main.getByText('emulated', { exact: true }).first()).toBeVisible()
  await expect(main.getByRole('tab')).toHaveText([
    'Machines',
    'Replicas kept here',
    'Networks',
    'Agents',
    'Settings',
  ])
  await expect(main.getByRole('region', { name: 'Where machines run' })).toContainText('westeurope')
})

test('that machines run there is switched off again without any of its secrets', async () => {
  const main = page.getByRole('main')
  await main.getByRole('tab', { name: 'Settings' }).click()
  const wanted = main.getByRole('switch', { name: 'Run machines there' })
  await expect(wanted).toBeChecked()
  await expect(field(main, 'Client secret')).toHaveAccessibleDescription(/the one that is saved stays/)
  await expect(main.getByRole('button', { name: 'Test the connection' })).toBeDisabled()
  await checkBothThemes(page, 'azure-settings')
  await field(main, 'Application').fill('00000000-0000-4000-8000-0000000000ff')
  await main.getByRole('button', { name: 'Save', exact: true }).click()
  await expect(field(main, 'Client secret')).toHaveAccessibleDescription(/Fill this in/)

  await tabTo(wanted)
  await page.keyboard.press('Space')
  await expect(field(main, 'Application')).toBeHidden()
  await main.getByRole('button', { name: 'Save', exact: true }).click()
  await expect(main.getByText('keeps replicas', { exact: true })).toBeVisible()
  await expect(main.getByText(`${AZURE} keeps replicas but cannot run machines yet`)).toBeVisible()
  // It has no inventory to show any more.
  await expect(main.getByRole('tab')).toHaveText(['Replicas kept here', 'Settings'])
  const sites = await api.items<Site>('/sites')
  const found = sites.find(({ name }) => name === AZURE)
  if (!found) throw new Error('the site is registered')
  azure = found
  expect(azure).toMatchObject({
    emulated: true,
    canBeTarget: false,
    canKeepReplicas: true,
    canEncrypt: false,
  })
})

test('a policy that encrypts is refused beside the field, and one that does not protects to Azure', async () => {
  const policies = await api.items<Policy>('/policies')
  const fast = policies.find(({ name }) => name === 'Every 5 seconds')
  if (!fast) throw new Error('the first policies are offered')
  const { id: _, protectionCount: __, ...settings } = fast
  await api.send('POST', '/policies', { ...settings, name: 'Vault', encrypt: true })
  await page.goto(`${product.address}/protect?targetSiteId=${azure.id}`)
  await page.getByRole('checkbox', { name: 'Choose sim-0001' }).click()
  await choose(page, 'Policy', 'Vault')
  await expect(page.getByRole('main')).toContainText('Vault encrypts, which')
  await expect(page.getByRole('button', { name: /^Protect/ })).toBeDisabled()
  await checkBothThemes(page, 'azure-protect-encrypted')
  await choose(page, 'Policy', 'Every 5 seconds')
  await expect(page.getByRole('main')).not.toContainText('Vault encrypts, which')
  await page.getByRole('button', { name: 'Protect 1 machine' }).click()
  await expect(page.getByRole('main')).toContainText('sim-0001')
})

const protection = async (): Promise<Protection> => {
  const [found] = await api.items<Protection>('/protections')
  if (!found) throw new Error('there is a protection')
  return found
}

test('its points come, its page says where they lie and that nothing can run there', async () => {
  const { id } = await until('three points in Azure', 120, async () => {
    const now = await protection()
    return now.state === 'protected' && now.pointCount >= 3 ? now : null
  })
  const points = await api.items<RecoveryPoint>(`/protections/${id}/recovery-points?limit=50`)
  expect(points.length).toBeGreaterThanOrEqual(3)
  await goTo(page, 'Machines')
  await page.getByRole('main').getByRole('link', { name: 'sim-0001' }).first().click()
  const main = page.getByRole('main')
  await expect(main.getByText('emulated · keeps the replica only')).toBeVisible()
  const button = main.getByRole('button', { name: 'Test failover' }).first()
  await expect(button).toBeDisabled()
  await checkBothThemes(page, 'azure-machine')
  await page.goto(`${product.address}/sites/${azure.id}`)
  await expect(main.getByRole('tab', { name: 'Replicas kept here', selected: true })).toBeVisible()
  await expect(main.getByText('devstoreaccount1', { exact: true })).toBeVisible()
  await expect(main.getByText('Slowed down by the account')).toBeVisible()
  await expect(main.getByRole('link', { name: 'sim-0001' }).first()).toBeVisible()
  await checkBothThemes(page, 'azure-site')
  // Before the server is killed: what cannot be reached then is told as well. The address where nothing answers was tried on purpose.
  expect(errors.filter((error) => !error.includes('/sites/test-connection'))).toEqual([])
})

test('steps in Azure are filled in beside what is wrong with them', async () => {
  const endpoint = { kind: 'address', address: '' } as const
  const step = (id: string, action: object) => ({
    id,
    name: id,
    action,
    whenItFails: 'stop',
    needs: [],
    kinds: ['planned'],
    directions: ['forward'],
  })
  const place = { site: azure.id, resourceGroup: '', timeoutSeconds: 120 }
  const record = { zone: 'lab.example', zoneKind: 'public', recordName: 'shop.lab.example', recordType: 'A' }
  const { id } = await api.send<{ readonly id: string }>('POST', '/plans', {
    name: 'Shop',
    priority: 5,
    targetRtoSeconds: 900,
    parameters: [],
    groups: [
      {
        id: 'group-1',
        name: 'Web',
        start: 'in-order',
        before: [],
        machines: [
          { id: 'machine-1', protectionId: (await protection()).id, whenItFails: 'stop', needs: [] },
        ],
        after: [
          step('record', { kind: 'azure-dns', ...place, ...record, ttlSeconds: 60, values: [endpoint] }),
          step('pool', {
            kind: 'azure-load-balancer',
            ...place,
            loadBalancer: 'front',
            pool: 'web',
            membership: 'in',
            member: { kind: 'adapter', machine: 'machine-1' },
          }),
        ],
      },
    ],
  })
  await page.goto(`${product.address}/plans/${id}?item=record`)
  const form = page.getByRole('region', { name: 'Azure DNS' })
  await expect(form).toContainText('"record" has no address')
  await expect(form.getByRole('combobox', { name: 'Kind of zone' })).toHaveValue('public')
  await expect(field(form, 'Zone')).toHaveValue('lab.example')
  await field(form, 'Address').fill('10.0.0.5')
  await expect(form).not.toContainText('"record" has no address')
  await checkBothThemes(page, 'azure-step-dns')
  await page.goto(`${product.address}/plans/${id}?item=pool`)
  const pool = page.getByRole('region', { name: 'Azure load balancer' })
  await expect(pool.getByRole('combobox', { name: 'Member' })).toHaveValue("a machine's adapter")
  await expect(pool.getByRole('combobox', { name: 'Afterwards' })).toHaveValue('in the pool')
})

test('what a job asks can be read and answered on a phone', async () => {
  const [job] = await api.items<Job>('/jobs?limit=1')
  const label = 'Start the original all the same: two may run until the copy is removed'
  const question = {
    id: 'replica-1',
    text: `The copy at ${AZURE} could not be removed, so it may still run there. Go on without removing it?`,
    answers: [
      { value: 'again', label: 'Try to remove it again', danger: false },
      { value: 'go-on', label, danger: true },
      { value: 'stop', label: 'Stop the roll back', danger: false },
    ],
  }
  await page.route(`**/api/v1/jobs/${job?.id}`, (route) =>
    route.fulfill({ json: { ...job, state: 'waiting', endedAt: null, question } }),
  )
  await page.setViewportSize({ width: 390, height: 844 })
  await page.goto(`${product.address}/jobs/${job?.id}`)
  const asked = page.getByRole('alert').filter({ hasText: 'Waiting for you' })
  for (const { label: name } of question.answers)
    await expect(asked.getByRole('button', { name })).toBeInViewport({ ratio: 1 })
  await checkBothThemes(page, 'azure-question')
  await page.setViewportSize({ width: 1440, height: 900 })
  await page.unroute(`**/api/v1/jobs/${job?.id}`)
})

test('what is in the emulator outlives a crash of the server, and replication goes on from there', async () => {
  const before = (await protection()).pointCount
  await product.kill()
  product = await startProduct(home)
  await page.goto(`${product.address}/sites/${azure.id}`)
  api = apiOf(context, product.address)
  await until('points after the crash', 120, async () => {
    const now = await protection()
    return now.state === 'protected' && now.pointCount > before ? now : null
  })
  expect((await protection()).lastCycle?.kind).not.toBe('seed')
})

test('once the protection has ended, nothing of it is kept at the site any more', async () => {
  const { id } = await protection()
  await api.send('DELETE', `/protections/${id}`, { keepReplica: false })
  await until('the protection is gone', 60, async () =>
    (await api.items<Protection>('/protections')).length === 0 ? true : null,
  )
  const { replicaCount, storedBytes } = await api.get<Site>(`/sites/${azure.id}`)
  expect({ replicaCount, storedBytes }).toEqual({ replicaCount: 0, storedBytes: 0 })
  await page.goto(`${product.address}/sites/${azure.id}`)
  await expect(page.getByRole('main').getByText('No replicas are kept here')).toBeVisible()
})
