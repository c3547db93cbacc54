// Two simulated sites with protected machines, and how a test asks the API about them as whoever is signed in.
import { type BrowserContext, expect, type Locator, type Page } from '@playwright/test'
import type { Machine } from '@understudy/contract/machine'
import type { Policy } from '@understudy/contract/policy'
import type { Protection } from '@understudy/contract/protection'
import type { Site } from '@understudy/contract/site'
import { checkAccessibility } from './accessibility.ts'
import { photograph } from './screenshots.ts'
import { until } from './until.ts'

export type Api = {
  get<Answer>(path: string): Promise<Answer>
  items<Row>(path: string): Promise<readonly Row[]>
  send<Answer>(method: 'POST' | 'PATCH' | 'DELETE', path: string, data: object): Promise<Answer>
}

/** As the browser of this context, which somebody has signed in with. */
export function apiOf(context: BrowserContext, address: string): Api {
  const url = (path: string): string => `${address}/api/v1${path}`
  const get = async <Answer>(path: string): Promise<Answer> => {
    const response = await context.request.get(url(path))
    expect(response.ok(), path).toBe(true)
    return (await response.json()) as Answer
  }
  return {
    get,
    items: async (path) => (await get<{ readonly items: readonly never[] }>(path)).items,
    async send<Answer>(method: 'POST' | 'PATCH' | 'DELETE', path: string, data: object): Promise<Answer> {
      const { csrfToken } = await get<{ readonly csrfToken: string }>('/session')
      const headers = { 'x-csrf-token': csrfToken, origin: address }
      const answer = await context.request.fetch(url(path), { method, headers, data })
      expect(answer.ok(), `${path}: ${await answer.text()}`).toBe(true)
      return (await answer.json()) as Answer
    },
  }
}

export const simulatedSettings = (machines: number, seed: number) => ({
  machines,
  diskBytes: 16 * 2 ** 20,
  seed,
  bootSeconds: 1,
})

type TwoSites = {
  readonly harbour: Site
  readonly hillside: Site
  /** Of Harbour, in the order of their names. */
  readonly machines: readonly Machine[]
}

/** Harbour with so many machines, and Hillside, which has none. */
export async function openTwoSites(api: Api, count: number): Promise<TwoSites> {
  const site = (name: string, machines: number, seed: number): Promise<Site> =>
    api.send('POST', '/sites', {
      name,
      platform: 'simulated',
      settings: simulatedSettings(machines, seed),
      secrets: {},
    })
  const harbour = await site('Harbour', count, 1)
  const hillside = await site('Hillside', 0, 2)
  await api.send('POST', `/sites/${harbour.id}/refresh`, {})
  return { harbour, hillside, machines: await api.items<Machine>('/machines?limit=100&sort=name') }
}

/** In the order of their names. */
export const untilProtected = (api: Api, count: number): Promise<readonly Protection[]> =>
  until('all are protected', 120, async () => {
    const ready = await api.items<Protection>('/protections?state=protected&sort=name')
    return ready.length === count ? ready : null
  })

/** Harbour with so many machines, all of them protected to Hillside every five seconds, in the order of their names. */
export async function protectHarbour(
  api: Api,
  count: number,
): Promise<{ readonly harbour: Site; readonly protections: readonly Protection[] }> {
  const { harbour, hillside, machines } = await openTwoSites(api, count)
  const policy = (await api.items<Policy>('/policies')).find(({ name }) => name === 'Every 5 seconds')
  const machineIds = machines.map(({ id }) => id)
  const wanted = { targetSiteId: hillside.id, policyId: policy?.id }
  const { suggestedAdapters } = await api.send<{ suggestedAdapters: Record<string, unknown> }>(
    'POST',
    '/protections/preview',
    { machineIds, ...wanted },
  )
  for (const machineId of machineIds)
    await api.send('POST', '/protections', { machineId, ...wanted, adapters: suggestedAdapters[machineId] })
  return { harbour, protections: await untilProtected(api, machineIds.length) }
}

export async function checkBothThemes(page: Page, name: string): Promise<void> {
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
  await checkAccessibility(page, `${name}, dark`)
  await page.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
  await checkAccessibility(page, `${name}, light`, { contrastOnly: true })
  await photograph(page, `simulated/${name}`, ['dark', 'light'])
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
}

/** Presses Tab until it is there; fails when it cannot be reached. */
export async function tabTo(target: Locator): Promise<void> {
  await expect(target).toBeVisible()
  for (let presses = 0; presses < 80; presses++) {
    if (await target.evaluate((element) => element === document.activeElement)) return
    await target.page().keyboard.press('Tab')
  }
  throw new Error('It cannot be reached with the Tab key')
}
