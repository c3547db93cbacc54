import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { present } from '@understudy/base/invariant'
import type { SiteId } from '@understudy/domain/sites/site'
import { openAzurePlatform } from '@understudy/drivers/azure/platform'
import type { NewSite } from '@understudy/engine/requests'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { sampleSite } from '@understudy/simulator/sample-rows'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type AzureLab, composeAzureLab } from './compose-azure-lab.ts'

let home: string
let stores: ReturnType<typeof memoryStores>
let lab: AzureLab
/** What was asked for, though it may have been refused. */
let registered: NewSite[]
const by = { by: 'olga' }

const newLab = (): AzureLab =>
  composeAzureLab({
    sites: stores.sites,
    home,
    registerSite: async (wanted: NewSite) => {
      registered.push(wanted)
      const site = sampleSite({ ...wanted, id: 'azure' as SiteId })
      await stores.sites.create(site, wanted.secrets)
      return site
    },
    updateSite: async (siteId, change) => {
      await stores.sites.update(siteId, { settings: change.settings ?? {} }, change.secrets)
      return present(await stores.sites.find(siteId), 'it is registered')
    },
    log: () => {},
  })

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), 'us-azure-lab-'))
  stores = memoryStores()
  registered = []
  lab = newLab()
})
afterEach(async () => {
  await lab.stop()
  await rm(home, { recursive: true, force: true })
})

const addressOf = async (): Promise<string> =>
  String(present(await lab.findSite(), 'the site is registered').settings.endpoint)
const answers = async (): Promise<boolean> =>
  fetch(await addressOf()).then(
    (response) => response.headers.get('server')?.startsWith('Azurite') === true,
    () => false,
  )

test('the emulated Azure is added once, answers at the address of its site, and keeps what it has in the folder of the lab', async () => {
  expect(await lab.status()).toEqual({
    available: true,
    reason: null,
    whyNoMachines: null,
    siteId: null,
  })
  expect(await lab.add(by)).toEqual({ siteId: 'azure' })
  expect(await lab.add(by)).toEqual({ siteId: 'azure' })
  expect(await lab.status()).toEqual({
    available: true,
    reason: null,
    whyNoMachines: null,
    siteId: 'azure',
  })
  expect(await answers()).toBe(true)
  expect((await stat(path.join(home, 'lab', 'azurite'))).isDirectory()).toBe(true)
})

test('it ends with the server and comes up at the same address with the next one', async () => {
  await lab.add(by)
  await lab.stop()
  expect(await answers()).toBe(false)
  lab = newLab()
  await lab.resume()
  await expect.poll(answers, { timeout: 20_000 }).toBe(true)
})

test('it is found and comes up again whatever its site is called by now, and other emulators are left alone', async () => {
  const elsewhere = { account: 'devstoreaccount1', endpoint: 'http://127.0.0.1:1/devstoreaccount1' }
  const others = [
    { ...elsewhere, container: 'replicas' },
    { ...elsewhere, container: 'understudy', endpoint: 'https://azurite.test/devstoreaccount1' },
  ]
  for (const [index, settings] of others.entries())
    await stores.sites.create(sampleSite({ id: `other-${index}` as SiteId, platform: 'azure', settings }), {})
  expect(await lab.findSite()).toBeNull()
  await lab.add(by)
  await lab.stop()
  await stores.sites.update('azure' as SiteId, { name: 'Cloud of the lab' })
  lab = newLab()
  await lab.resume()
  await expect.poll(answers, { timeout: 20_000 }).toBe(true)
  expect(await lab.add(by)).toEqual({ siteId: 'azure' })
  expect((await lab.status()).siteId).toBe('azure')
})

test('machines can run there; a site from before gets what it takes when it is asked for again', async () => {
  await lab.add(by)
  const whole = present(await lab.findSite(), 'the site is registered')
  const secrets = await stores.sites.secrets(whole.id)
  const { compute: _, ...before } = whole.settings
  await stores.sites.update(whole.id, { settings: before }, { accountKey: secrets.accountKey ?? '' })
  await lab.stop()
  lab = newLab()
  await lab.resume()
  await expect.poll(answers, { timeout: 20_000 }).toBe(true)
  expect((await lab.findSite())?.settings.compute).toBeUndefined()

  expect(await lab.add(by)).toEqual({ siteId: 'azure' })
  const site = present(await lab.findSite(), 'the site is registered')
  expect(site.settings).toEqual({
    ...before,
    compute: expect.objectContaining({ resourceGroup: 'replicas', region: 'westeurope' }),
  })
  const platform = await openAzurePlatform(
    site,
    { ...secrets, ...(await stores.sites.secrets(site.id)) },
    {
      clock: { now: () => Date.now() },
      isTrial: true,
    },
  )
  expect((await platform.checkConnection()).summary).toContain('everything that running machines needs')
  await lab.stop()
  lab = newLab()
  await lab.resume()
  // At the same address and with the same certificate, which the site believes.
  await expect
    .poll(
      () =>
        platform.target?.networks().then(
          (all) => all.length,
          () => 0,
        ),
      { timeout: 20_000 },
    )
    .toBe(3)
})

test('a second server of the same home leaves it to the first', async () => {
  await lab.add(by)
  const second = newLab()
  await second.resume()
  expect(await answers()).toBe(true)
  await second.stop()
  expect(await answers()).toBe(true)
})

test('without its site nothing is started', async () => {
  await lab.resume()
  await expect(stat(path.join(home, 'lab'))).rejects.toMatchObject({ code: 'ENOENT' })
})

test('two clicks at once are one lab', async () => {
  expect(await Promise.all([lab.add(by), lab.add(by)])).toEqual([{ siteId: 'azure' }, { siteId: 'azure' }])
  expect(registered).toHaveLength(1)
  expect(await answers()).toBe(true)
})

test('two servers of one home that add it at once mean the same emulators', async () => {
  const second = newLab()
  await Promise.allSettled([lab.add(by), second.add(by)])
  expect(new Set(registered.map(({ settings }) => JSON.stringify(settings))).size).toBe(1)
  expect(await answers()).toBe(true)
  await second.stop()
})

test('machines that do not start leave the storage of the site as it was', async () => {
  await lab.add(by)
  const { settings } = present(await lab.findSite(), 'the site is registered')
  await lab.stop()
  const { compute: _, ...before } = settings
  await stores.sites.update('azure' as SiteId, { settings: before })
  await writeFile(path.join(home, 'lab', 'azure', 'state.json'), '{"version":99}')
  lab = newLab()
  await lab.resume()
  await expect.poll(answers, { timeout: 20_000 }).toBe(true)
  await expect(lab.add(by)).rejects.toMatchObject({ code: 'lab/emulator-failed' })
  expect(await answers()).toBe(true)
})
