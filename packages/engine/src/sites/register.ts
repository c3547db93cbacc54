// Sites from the operator's side: test, register, change, remove.
import { isDeepStrictEqual } from 'node:util'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Protection } from '@understudy/domain/protection/protection'
import type { Site, SiteId } from '@understudy/domain/sites/site'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import { leftOf } from '../failover/left-replicas.ts'
import type { SitePlatform } from '../ports/platforms.ts'
import type { Asker, NewSite, SiteChange } from '../requests.ts'
import { refreshQuietly } from './inventory.ts'
import { replicasAt } from './platform-of.ts'
import { LOW_SPACE } from './watch-room.ts'

const never = (): AbortSignal => new AbortController().signal

/** Connects once and keeps nothing. */
export async function checkSite(parts: EngineParts, wanted: NewSite): Promise<{ readonly summary: string }> {
  return await tryOut(parts, toSite(parts, wanted), wanted.secrets)
}

async function tryOut(
  parts: EngineParts,
  site: Site,
  secrets: NewSite['secrets'],
): Promise<{ readonly summary: string }> {
  const platform = await parts.platforms.preview(site, secrets)
  try {
    await refuseLostRun(parts, site, platform)
    return await platform.checkConnection()
  } finally {
    await platform.close()
  }
}

/** Without its host nobody could tell any more whether a run's machine is on, nor remove it. */
async function refuseLostRun(
  parts: Pick<EngineParts, 'stores'>,
  site: Site,
  { target }: Pick<SitePlatform, 'target'>,
): Promise<void> {
  const { stores } = parts
  const left = await Promise.all((await stores.protections.withLeftReplicas()).map((id) => leftOf(parts, id)))
  const placed = [...(await stores.runs.active()), ...left.flat()].filter(
    ({ targetSiteId, place }) => targetSiteId === site.id && place !== null,
  )
  if (placed.length === 0) return
  const places = new Set(await target?.places())
  const lost = placed.find(({ place }) => place !== null && !places.has(place))
  if (lost === undefined) return
  const protection = await stores.protections.find(lost.protectionId)
  throw new Refusal({
    code: 'site/carries-run',
    message: `With these settings ${site.name} loses the place of the running replica of ${protection?.name ?? lost.protectionId} (${lost.place})`,
    remedy:
      'Clean up the test, commit or roll back the failover, or wait until what a roll back has left is removed, first. Until then the site needs everything with which that place is reached.',
  })
}

const toSite = (parts: EngineParts, wanted: NewSite): Site => ({
  id: parts.newId() as SiteId,
  name: wanted.name,
  platform: wanted.platform,
  settings: wanted.settings,
  health: 'unknown',
  healthNote: null,
  checkedAt: null,
  createdAt: parts.clock.now(),
})

export async function registerSite(parts: EngineParts, wanted: NewSite, asker: Asker): Promise<Site> {
  const site = toSite(parts, wanted)
  await tryOut(parts, site, wanted.secrets)
  await parts.stores.sites.create(site, wanted.secrets)
  parts.live.changed('sites', site.id)
  await tell(parts, site, 'site/registered', `${site.name} was registered by ${asker.by}`)
  await refreshQuietly(parts, site, never())
  return await loadSite(parts, site.id)
}

export async function updateSite(
  parts: EngineParts,
  siteId: SiteId,
  change: SiteChange,
  asker: Asker,
): Promise<Site> {
  const site = await loadSite(parts, siteId)
  const { name = site.name, settings = site.settings } = change
  refuseEditedMeanwhile(site, change.before)
  // Nobody sees what is kept, so nobody can send it along: of several secrets those that are left out stay.
  const known = await parts.stores.sites.secrets(siteId)
  const secrets = {
    ...keepSecrets(parts, site, { settings, known, given: change.secrets }),
    ...change.secrets,
  }
  const isSame = isDeepStrictEqual(secrets, known)
  if (change.settings || change.secrets) {
    const wanted = { ...site, name, settings }
    // Before it is tried: a try may make what is not there, and an empty place would look like one that has kept nothing yet.
    await refuseLostReplicas(parts, site, { site: wanted, secrets })
    await tryOut(parts, wanted, secrets)
  }
  await parts.stores.sites.update(siteId, { name, settings }, isSame ? undefined : secrets)
  // What is open to the site serves running replicas: not for a new name.
  if (!isSame || !isDeepStrictEqual(settings, site.settings)) await parts.platforms.forget(siteId)
  parts.live.changed('sites', siteId)
  await tell(parts, site, 'site/changed', `${name} was changed by ${asker.by}`)
  await refreshQuietly(parts, await loadSite(parts, siteId), never())
  return await loadSite(parts, siteId)
}

/** Two forms that were open at once: the older one would put back what the other has changed. */
function refuseEditedMeanwhile({ name, settings }: Site, before: SiteChange['before']): void {
  if (before === undefined || isDeepStrictEqual(asJson(settings), asJson(before))) return
  throw new Refusal({
    code: 'site/edited-meanwhile',
    message: `The settings of ${name} were changed by somebody else while this form was open`,
    remedy: 'Open the settings again and change there what is still to be changed.',
  })
}

/** As it comes back from whoever was shown it: without what is not set. */
const asJson = (settings: unknown): unknown => JSON.parse(JSON.stringify(settings))

/**
 * Whoever changes a site does not know its secrets, and must not learn them by naming another place to which they are sent: what was
 * given for one place is refused at another, and one that is not used any more is forgotten.
 */
function keepSecrets(
  parts: EngineParts,
  site: Site,
  wanted: {
    readonly settings: Site['settings']
    readonly known: NewSite['secrets']
    readonly given: SiteChange['secrets']
  },
): NewSite['secrets'] {
  const { settings, known, given = {} } = wanted
  if (isDeepStrictEqual(settings, site.settings)) return known
  const before = savedPlaces(parts, site)
  const after = parts.platforms.secretPlaces({ ...site, settings })
  const moved = Object.keys(known).filter((name) => before[name] !== after[name])
  const missing = moved.find((name) => after[name] !== undefined && given[name] === undefined)
  if (missing !== undefined)
    throw new Refusal({
      code: 'site/secret-for-another-place',
      message: `The ${missing} that is kept for ${site.name} was given for another place. With these settings it would go to ${after[missing]}`,
      remedy: 'Enter it again together with the new settings.',
      facts: {
        fields: [{ path: `secrets.${missing}`, message: `Enter it again: it would go to ${after[missing]}` }],
      },
    })
  return Object.fromEntries(Object.entries(known).filter(([name]) => !moved.includes(name)))
}

/** Settings that were saved by an older version may be refused by now: then nobody can say where its secrets went. */
function savedPlaces(parts: EngineParts, site: Site): Readonly<Record<string, string>> {
  try {
    return parts.platforms.secretPlaces(site)
  } catch (error) {
    if (error instanceof Refusal) return {}
    throw error
  }
}

/** With other settings every replica has to be where it is looked for: in another folder there would be none, and nobody would notice. */
async function refuseLostReplicas(
  parts: EngineParts,
  site: Site,
  wanted: { readonly site: Site; readonly secrets: Readonly<Record<string, string>> },
): Promise<void> {
  const kept = (await parts.stores.protections.list()).filter(({ targetSiteId }) => targetSiteId === site.id)
  if (kept.length === 0) return
  const after = await parts.platforms.preview(wanted.site, wanted.secrets)
  try {
    for (const protection of kept) {
      if (await replicasAt(after).exists(protection.replicaId)) continue
      if (!(await mayHaveHad(parts, site, protection))) continue
      throw new Refusal({
        code: 'site/replicas-elsewhere',
        message: `With these settings the replica of "${protection.name}" would not be found any more`,
        remedy:
          'Keep the folder for replicas as it is. To move them, pause the protections, copy the whole folder to the new place, and save then.',
      })
    }
  } finally {
    await after.close()
  }
}

/**
 * Settings are changed most of all when the old ones have stopped working: a place that cannot be asked any more (its key was renewed, its
 * disk is away) had whatever was ever sealed there.
 */
async function mayHaveHad(
  parts: EngineParts,
  site: Site,
  { id, replicaId }: Pick<Protection, 'id' | 'replicaId'>,
): Promise<boolean> {
  try {
    const before = await parts.platforms.of(site)
    return await replicasAt(before).exists(replicaId)
  } catch (error) {
    if (!(error instanceof Refusal || error instanceof Outage)) throw error
    return (await parts.stores.protections.summary(id)).newestPoint !== null
  }
}

export async function removeSite(parts: EngineParts, siteId: SiteId, asker: Asker): Promise<void> {
  const site = await loadSite(parts, siteId)
  const user = (await parts.stores.protections.list()).find(
    (row) => row.sourceSiteId === siteId || row.targetSiteId === siteId,
  )
  if (user)
    throw new Refusal({
      code: 'site/in-use',
      message: `${site.name} is used by the protection "${user.name}"`,
      remedy: 'End its protections first.',
    })
  await parts.stores.sites.remove(siteId)
  await parts.platforms.forget(siteId)
  for (const code of ['site/unreachable', LOW_SPACE])
    await parts.stores.alerts.resolve(code, siteId, parts.clock.now())
  parts.live.changed('sites', siteId)
  await tell(parts, site, 'site/removed', `${site.name} was removed by ${asker.by}`)
}

export async function loadSite(parts: Pick<EngineParts, 'stores'>, siteId: SiteId): Promise<Site> {
  const site = await parts.stores.sites.find(siteId)
  if (site) return site
  throw new Refusal({
    code: 'site/not-found',
    message: `There is no site ${siteId}`,
    remedy: 'Reload the page: it may have been removed.',
  })
}

const tell = (parts: EngineParts, site: Site, code: string, message: string): Promise<void> =>
  recordEvent(parts, { severity: 'info', code, message, subject: { id: site.id, name: site.name } })
