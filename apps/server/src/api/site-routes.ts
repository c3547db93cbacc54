import { present } from '@understudy/base/invariant'
import type { Site as ShownSite } from '@understudy/contract/site'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import type { NewSite } from '@understudy/engine/requests'
import { askerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'
import { findSite } from './find.ts'
import { showSite } from './show-site.ts'
import { abilitiesOf, freeBytesOf } from './site-facts.ts'

type SiteBody = Parameters<Parameters<typeof os.sites.create.handler>[0]>[0]['input']

const toNewSite = (body: SiteBody): NewSite => ({
  name: body.name,
  platform: body.platform,
  settings: body.settings,
  secrets: Object.fromEntries(
    Object.entries(body.secrets).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  ),
})

export function siteRoutes(deps: ApiDeps) {
  const showAll = async (sites: readonly Site[]): Promise<ShownSite[]> => {
    const [machines, protections, summaries, noTargets] = await Promise.all([
      deps.stores.machines.list(),
      deps.stores.protections.list(),
      deps.stores.protections.summaries(),
      deps.engine.noTargets(sites.map(({ id }) => id)),
    ])
    const facts = await Promise.all(
      sites.map(async (site) => ({
        abilities: await abilitiesOf(deps, site),
        freeBytes: await freeBytesOf(deps, site),
      })),
    )
    return sites.map((site, index) => {
      const here = protections.filter((protection) => protection.targetSiteId === site.id)
      const storedBytes = here.reduce((sum, each) => sum + (summaries.get(each.id)?.storedBytes ?? 0), 0)
      return showSite(site, {
        machines,
        protections,
        summaries,
        storedBytes,
        noTarget: noTargets.get(site.id) ?? null,
        ...present(facts[index], 'facts of each site'),
      })
    })
  }
  const showOne = async (id: string): Promise<ShownSite> => {
    const [shown] = await showAll([await findSite(deps, id)])
    return shown as ShownSite
  }

  return {
    list: os.sites.list.handler(async () => {
      const items = await showAll(await deps.stores.sites.list())
      return { items, next: null, total: items.length }
    }),
    get: os.sites.get.handler(({ input }) => showOne(input.id)),
    create: os.sites.create.handler(async ({ input, context }) => {
      context.audit(null, { name: input.name, platform: input.platform })
      const site = await deps.engine.registerSite(toNewSite(input), askerOf(context))
      context.audit(site.id, {})
      return showOne(site.id)
    }),
    update: os.sites.update.handler(async ({ input, context }) => {
      const { name, platform, settings, secrets } = toNewSite(input.site)
      context.audit(input.id, { name, secretsGoTo: deps.platforms.secretPlaces({ platform, settings }) })
      // Secrets that are left out stay as they are: the console never gets them, so it cannot send them back.
      const change = {
        name,
        settings,
        ...(Object.keys(secrets).length === 0 ? {} : { secrets }),
        ...(input.before === undefined ? {} : { before: input.before }),
      }
      await deps.engine.updateSite(input.id as SiteId, change, askerOf(context))
      return showOne(input.id)
    }),
    remove: os.sites.remove.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await deps.engine.removeSite(input.id as SiteId, askerOf(context))
      return {}
    }),
    testConnection: os.sites.testConnection.handler(async ({ input, context }) => {
      context.audit(null, { name: input.name, platform: input.platform })
      const { summary } = await deps.engine.checkSite(toNewSite(input))
      return { ok: true, summary }
    }),
    refresh: os.sites.refresh.handler(async ({ input }) => {
      await deps.engine.refreshSite(input.id as SiteId)
      return showOne(input.id)
    }),
    networks: os.sites.networks.handler(async ({ input }) => {
      await findSite(deps, input.id)
      return { items: [...(await deps.engine.networks(input.id as SiteId))] }
    }),
    placementChoices: os.sites.placementChoices.handler(async ({ input }) => {
      await findSite(deps, input.id)
      return { items: [...(await deps.engine.placementChoices(input.id as SiteId))] }
    }),
  }
}
