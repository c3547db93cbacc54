// A first copy that goes by disk: asked for on the machine's page, waited for, imported with the wrong and the right passphrase.
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type BrowserContext, expect, type Page, test } from '@playwright/test'
import type { Policy } from '@understudy/contract/policy'
import type { Protection } from '@understudy/contract/protection'
import type { RecoveryPoint } from '@understudy/contract/recovery-point'
import { ask } from './console.ts'
import { closeConsole, openConsole } from './open-console.ts'
import type { Product } from './product.ts'
import { type Api, checkBothThemes, openTwoSites } from './simulated-sites.ts'
import { until } from './until.ts'

test.describe.configure({ mode: 'serial' })

const passphrase = 'correct horse battery'

let home: string
let disk: string
let product: Product
let context: BrowserContext
let page: Page
let errors: readonly string[]
let api: Api

test.beforeAll(async ({ browser }) => {
  ;({ home, product, context, page, errors, api } = await openConsole(browser))
  disk = await mkdtemp(path.join(tmpdir(), 'understudy-disk-'))
})
test.afterAll(async () => {
  await closeConsole({ home, product, context })
  await rm(disk, { recursive: true, force: true })
})

const protection = async (): Promise<Protection> => {
  const [found] = await api.items<Protection>('/protections')
  if (!found) throw new Error('there is a protection')
  return found
}

/** From the menu behind "More". */
async function askFromMenu(action: string): Promise<void> {
  await page.getByRole('button', { name: 'More' }).click()
  await page.getByRole('menuitem', { name: action }).click()
}

test('a first copy that would take days over the line is exported to a disk', async () => {
  const { hillside, machines } = await openTwoSites(api, 1)
  const [machine] = machines
  const [fast] = (await api.items<Policy>('/policies')).filter(({ name }) => name === 'Every 5 seconds')
  if (!fast) throw new Error('the first policies are offered')
  const { id: _, protectionCount: __, ...settings } = fast
  const slow = await api.send<Policy>('POST', '/policies', {
    ...settings,
    name: 'Slow line',
    rateLimitBytesPerSecond: 50_000,
  })
  await api.send('POST', '/protections', {
    machineId: machine?.id,
    targetSiteId: hillside.id,
    policyId: slow.id,
  })
  await page.goto(`${product.address}/machines/${machine?.id}`)
  await expect(page.getByRole('main')).toContainText('First copy')
  await askFromMenu('Seed by disk')
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByRole('button', { name: 'Export' })).toBeDisabled()
  await dialog.getByLabel('Folder on the server').fill(disk)
  await dialog.getByLabel('Passphrase').first().fill(passphrase)
  const again = dialog.getByRole('textbox', { name: 'Passphrase again' })
  await again.fill('correct hoarse')
  await expect(again).toHaveAccessibleDescription(/It differs from the one above/)
  await expect(dialog.getByRole('button', { name: 'Export' })).toBeDisabled()
  await again.fill(passphrase)
  // The disk of this test is a folder of the computer that the server runs on.
  await dialog.getByLabel('The folder may lie on a disk of the server').check()
  await checkBothThemes(page, 'seed-export')
  await dialog.getByRole('button', { name: 'Export' }).click()
  await expect(page.getByRole('main')).toContainText(/Waiting for the seed of/, { timeout: 120_000 })
  await checkBothThemes(page, 'seed-waiting')
  expect((await protection()).newestPoint).toBeNull()
  expect((await readdir(disk)).length).toBe(1)
})

test('the disk is carried, and a wrong passphrase is refused with what to do', async () => {
  const carried = path.join(disk, 'carried')
  await mkdir(carried)
  for (const name of await readdir(disk))
    if (name.startsWith('understudy-seed')) await rename(path.join(disk, name), path.join(carried, name))
  const dialog = await ask(page, 'Import the seed')
  await dialog.getByLabel('Folder on the server').fill(carried)
  await dialog.getByLabel('Passphrase').first().fill('not the passphrase')
  await dialog.getByRole('button', { name: 'Import' }).click()
  await until('the job to fail', 60, async () => {
    const [job] = await api.items<{ kind: string; state: string; failure: { code: string } | null }>(
      '/jobs?limit=1',
    )
    return job?.kind === 'import-seed' && job.failure?.code === 'seed/wrong-passphrase' ? job : null
  })
})

test('the right one makes the first point, and changes follow over the line', async () => {
  await page.reload()
  const dialog = await ask(page, 'Import the seed')
  await dialog.getByLabel('Passphrase').first().fill(passphrase)
  await dialog.getByRole('button', { name: 'Import' }).click()
  const { id } = await until('points after the seed', 120, async () => {
    const now = await protection()
    return now.state === 'protected' && now.pointCount >= 2 ? now : null
  })
  const points = await api.items<RecoveryPoint>(`/protections/${id}/recovery-points?limit=50`)
  expect(points.length).toBeGreaterThanOrEqual(2)
  expect((await protection()).lastCycle?.kind).toMatch(/delta|idle/)
  await expect(page.getByRole('main')).not.toContainText('Waiting for the seed')
  expect(errors).toEqual([])
})
