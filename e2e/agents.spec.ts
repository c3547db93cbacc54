// A server becomes an agent by the command of the console, is seen there, and is revoked.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { type BrowserContext, expect, type Page, test } from '@playwright/test'
import { becomeOwner, field, heading, watchForErrors } from './console.ts'
import { dismantle, newHome, type Product, startProduct } from './product.ts'
import { apiOf, checkBothThemes, openTwoSites } from './simulated-sites.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

let home: string
let agentHome: string
let product: Product
let context: BrowserContext
let page: Page
let errors: readonly string[]
let agent: ChildProcess | null = null
let harbourId: string

test.beforeAll(async ({ browser }) => {
  home = await newHome()
  agentHome = await mkdtemp(path.join(tmpdir(), 'us-agent-'))
  await run('npm', ['run', '--silent', 'build:agent'], root)
  product = await startProduct(home, { environment: { UNDERSTUDY_AGENT_PORT: '0' } })
  context = await browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'] })
  page = await context.newPage()
  errors = watchForErrors(page)
  await becomeOwner(page, product.setupLink ?? '')
  const { harbour } = await openTwoSites(apiOf(context, product.address), 0)
  harbourId = harbour.id
  await page.goto(`${product.address}/sites/${harbourId}?tab=agents`)
  await expect(heading(page, 'Harbour')).toBeVisible()
})
test.afterAll(async () => {
  agent?.kill('SIGTERM')
  await context?.close()
  await dismantle(home, product ?? null)
  await rm(agentHome, { recursive: true, force: true })
})

/** Throws with what it printed when it fails. */
async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  const printed = Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await once(child, 'close')
  expect(code, `${command} ${args.join(' ')}\n${(await printed).join('\n')}`).toBe(0)
}

/** The program that was fetched, as somebody at that server would start it where there is no systemd. */
const startAgent = (args: readonly string[]): ChildProcess =>
  spawn(path.join(agentHome, 'understudy-agent'), [...args, '--home', path.join(agentHome, 'state')], {
    cwd: agentHome,
    stdio: 'inherit',
  })

test('without the program the dialog says how it is built, and enrols what the server has', async () => {
  const invitations = '**/agent-invitations'
  await page.route(invitations, async (route) => {
    const response = await route.fetch()
    const invitation = (await response.json()) as object
    await route.fulfill({ response, json: { ...invitation, installCommand: null } })
  })
  await page.getByRole('button', { name: 'Enrol an agent' }).click()
  const dialog = page.getByRole('dialog', { name: 'Enrol an agent at Harbour' })
  await field(dialog, 'Proxy').fill('proxy:3128')
  await dialog.getByRole('button', { name: 'Make the command' }).click()
  await expect(dialog.getByText('Write it as http://host:port')).toBeVisible()
  await field(dialog, 'Proxy').fill('http://proxy:3128')
  await checkBothThemes(page, 'enrol-agent-form')
  await dialog.getByRole('button', { name: 'Make the command' }).click()
  await expect(dialog.getByLabel('Command')).toHaveText(
    /^understudy-agent enrol .* --proxy http:\/\/proxy:3128$/,
  )
  await expect(dialog.getByText('npm run build:agent')).toBeVisible()
  await checkBothThemes(page, 'enrol-agent-not-built')
  await page.unroute(invitations)
  await page.keyboard.press('Escape')
  await expect(dialog).toHaveCount(0)
})

test('a server is enrolled by the command that the console shows, and is seen', async () => {
  await page.getByRole('button', { name: 'Enrol an agent' }).click()
  const dialog = page.getByRole('dialog', { name: 'Enrol an agent at Harbour' })
  await expect(dialog.getByText('Protected server', { exact: true })).toBeVisible()
  await expect(dialog.getByText('Vault')).toHaveCount(0)
  await dialog.getByRole('button', { name: 'Make the command' }).click()
  await expect(dialog.getByRole('timer')).toHaveText(/The token works for (59|60):\d\d/)
  const shown = await dialog.getByLabel('Command').innerText()
  await dialog.getByRole('button', { name: 'Copy the command' }).click()
  await expect(dialog.getByRole('button', { name: 'Copied' })).toBeVisible()
  const command = await page.evaluate(() => navigator.clipboard.readText())
  expect(command).toBe(shown)
  await checkBothThemes(page, 'enrol-agent')

  // All of it but the last word: a service is made of it elsewhere, not on the computer that runs the tests.
  const [fetching = '', installing = ''] = command.split(/ && (?=\.\/understudy-agent install )/)
  await run('sh', ['-c', fetching], agentHome)
  const words = installing.replace(/^\S+ install /, '').split(' ')
  const enrolling = startAgent(['enrol', ...words, '--name', 'db-1'])
  expect(await once(enrolling, 'close')).toEqual([0, null])
  await expect(dialog.getByText('db-1 is enrolled')).toBeVisible({ timeout: 30_000 })
  await dialog.getByRole('button', { name: 'Done' }).click()

  const row = page.getByRole('table', { name: 'Agents' }).getByRole('row', { name: /db-1/ })
  await expect(row.getByText('Not seen yet')).toBeVisible()
  agent = startAgent(['run'])
  await expect(row.getByText('Connected')).toBeVisible({ timeout: 60_000 })
  await expect(row.getByRole('cell', { name: /of .*iB/ })).toBeVisible({ timeout: 30_000 })
  await expect(row.getByText('agrees')).toBeVisible()
  await checkBothThemes(page, 'agents')
})

test('an agent that comes from other hardware is shown, and accepted by name', async () => {
  // Hardware cannot be exchanged here: the server's answer says that it was.
  const otherHardware = {
    at: new Date().toISOString(),
    hostName: 'db-1',
    model: 'QEMU Standard PC (Q35 + ICH9, 2009)',
    why: 'the id of its firmware is another one',
  }
  const list = '**/api/v1/agents?*'
  await page.route(list, async (route) => {
    const response = await route.fetch()
    const body = (await response.json()) as { items: object[] }
    await route.fulfill({
      response,
      json: { ...body, items: body.items.map((item) => ({ ...item, otherHardware })) },
    })
  })
  await expect(page.getByText('Comes from other hardware')).toBeVisible({ timeout: 30_000 })
  await page.getByRole('button', { name: 'Accept the new hardware of db-1' }).click()
  const dialog = page.getByRole('dialog', { name: 'New hardware of db-1?' })
  await expect(dialog.getByText('QEMU Standard PC')).toBeVisible()
  await expect(dialog.getByRole('button', { name: 'It is db-1' })).toBeDisabled()
  await checkBothThemes(page, 'new-hardware')
  await field(dialog, 'Type db-1 to go on').fill('db-1')
  await dialog.getByRole('button', { name: 'It is db-1' }).click()
  // What was shown is not there any more.
  await expect(dialog.getByText('does not come from that hardware any more')).toBeVisible()
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await page.unroute(list)
  await expect(page.getByText('Comes from other hardware')).toHaveCount(0, { timeout: 30_000 })
})

test('an agent is upgraded from beside it, all of them at once, and what hinders one is said', async () => {
  // A newer program cannot be built here: the server's answer says that there is one.
  const program = { version: '0.2.0', whyNot: null }
  const hindered = { version: '0.2.0', whyNot: 'It does not run as root.' }
  const failure =
    'The program 0.2.0 was not connected within its time, and 0.1.0 was put back: no route to the control plane'
  const list = '**/api/v1/agents?*'
  await page.route(list, async (route) => {
    const response = await route.fetch()
    const body = (await response.json()) as { items: object[] }
    const items = body.items.flatMap((item) => [
      { ...item, upgrade: program },
      { ...item, id: 'two', name: 'db-2', upgrade: program, upgradeFailure: failure },
      { ...item, id: 'three', name: 'db-3', version: '0.0.1', versionSkew: 'too-old', upgrade: hindered },
    ])
    await route.fulfill({ response, json: { ...body, items } })
  })
  await expect(page.getByText(failure)).toBeVisible({ timeout: 30_000 })
  await expect(page.getByText('Too old: it can only be upgraded')).toBeVisible()
  const hinderedButton = page.getByRole('button', { name: 'Upgrade db-3 to 0.2.0' })
  await expect(hinderedButton).toHaveAccessibleDescription('It does not run as root.')
  await checkBothThemes(page, 'upgrade-agents')
  // The server knows better than what was shown.
  await page.getByRole('button', { name: 'Upgrade db-1 to 0.2.0' }).click()
  await expect(page.getByText('There is no newer program here for the agent db-1')).toBeVisible()
  const asked = page.waitForResponse((response) => response.url().endsWith('/upgrade-agents'))
  await page.getByRole('button', { name: 'Upgrade all 2' }).click()
  expect(await (await asked).json()).toEqual({ asked: 0 })
  // One that is on its way is let go with it.
  await page.unrouteAll({ behavior: 'ignoreErrors' })
  await expect(page.getByText(failure)).toHaveCount(0, { timeout: 30_000 })
})

test('a site of physical servers is registered, keeps nothing, and asks for agents', async () => {
  await page.goto(`${product.address}/sites`)
  await page.getByRole('button', { name: 'Register a site' }).first().click()
  const drawer = page.getByRole('dialog', { name: 'Register a site' })
  await drawer.getByText('Physical servers', { exact: true }).click()
  await field(drawer, 'Name').fill('Rack 4')
  await drawer.getByRole('button', { name: 'Test the connection' }).click()
  await expect(drawer.getByText('No server is enrolled yet')).toBeVisible()
  await checkBothThemes(page, 'register-physical-site')
  await drawer.getByRole('button', { name: 'Register', exact: true }).click()
  await expect(heading(page, 'Rack 4')).toBeVisible()
  const tabs = page.getByRole('tab')
  await expect(tabs).toHaveText(['Machines', 'Agents', 'Settings'])
  await expect(page.getByText('A server appears when the agent on it is there')).toBeVisible()
  await expect(page.getByText('Stored here')).toHaveCount(0)
  await page.getByRole('tab', { name: 'Agents' }).click()
  await expect(page.getByText('No agent at this site')).toBeVisible()
  await checkBothThemes(page, 'physical-site')
  await page.goto(`${product.address}/sites/${harbourId}?tab=agents`)
})

test('an agent is revoked by its name, and ends', async () => {
  const running = agent
  if (!running) throw new Error('the agent runs')
  const ended = once(running, 'close')
  await page.getByRole('button', { name: 'Revoke db-1' }).click()
  const dialog = page.getByRole('dialog', { name: 'Revoke db-1?' })
  await field(dialog, 'Type db-1 to go on').fill('db-1')
  await dialog.getByRole('button', { name: 'Revoke db-1' }).click()
  await expect(page.getByText('No agent at this site')).toBeVisible()
  // So that nothing starts it again.
  expect(await ended).toEqual([78, null])
  await page.getByRole('button', { name: 'Show 1 revoked' }).click()
  await expect(
    page.getByRole('table', { name: 'Agents' }).getByText('Revoked', { exact: true }),
  ).toBeVisible()
  // The refusals that were provoked above.
  const others = errors.filter((error) => !/\/(?:accept-hardware|agent-invitations|upgrade)\)$/.test(error))
  expect(others).toEqual([])
})
