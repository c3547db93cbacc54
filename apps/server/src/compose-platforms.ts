// Where sites meet their drivers and replica stores. Nothing else in the product knows a platform by name.
import { createHmac } from 'node:crypto'
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { AgentLine } from '@understudy/agent-protocol/agent-line'
import type { ReceiverLine } from '@understudy/agent-protocol/receiver-line'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import { isEmulated, type Site, type SiteId } from '@understudy/domain/sites/site'
import { askEmulated, emulatedHardware } from '@understudy/drivers/azure/arm/double/keep-cloud'
import { openAzurePlatform } from '@understudy/drivers/azure/platform'
import { azureSecretPlaces } from '@understudy/drivers/azure/secret-places'
import { openKvmPlatform } from '@understudy/drivers/kvm/platform'
import { openPhysicalPlatform } from '@understudy/drivers/physical/platform'
import { openSimulatedPlatform } from '@understudy/drivers/simulated/platform'
import type { Platforms, SitePlatform } from '@understudy/engine/ports/platforms'
import type { ReplicaStore } from '@understudy/engine/ports/replica-store'
import type { MachineStore, SiteStore } from '@understudy/engine/ports/stores'
import { openJournalStore } from '@understudy/journal/journal-store'
import { cloudFolder } from './compose-azure-lab.ts'

export type PlatformParts = {
  readonly sites: SiteStore
  readonly machines: Pick<MachineStore, 'list'>
  readonly agents: AgentLine
  readonly receivers: ReceiverLine
  readonly home: string
  readonly clock: Clock
  readonly sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>
  /** Keys of encrypted replicas are derived from it. */
  readonly secretKey: Buffer
}

type Opened = {
  readonly settings: string
  readonly platform: Promise<SitePlatform>
  /** What it was opened with; null until that is known. */
  secrets: string | null
  secretsSeenAt: Instant
}

/** Secrets are kept apart from the site's row, so nothing in the row says that another server process has renewed them. */
const secretsMilliseconds = 5000

export function composePlatforms(parts: PlatformParts): Platforms & { close(): Promise<void> } {
  const opened = new Map<SiteId, Opened>()

  async function open(
    site: Site,
    secrets: Readonly<Record<string, string>>,
    purpose: 'use' | 'trial',
  ): Promise<SitePlatform> {
    if (site.platform === 'azure')
      return openAzurePlatform(site, secrets, {
        clock: parts.clock,
        isTrial: purpose === 'trial',
        // Machines of the lab's emulated Azure are reached from this computer alone, in a way that only their emulator knows.
        ...(isEmulated(site)
          ? { askService: askEmulated(cloudFolder(parts.home)), presents: emulatedHardware }
          : {}),
      })
    if (site.platform === 'physical')
      return {
        ...openPhysicalPlatform(site, {
          line: parts.agents,
          lastSeen: (siteId) => parts.machines.list(siteId),
          clock: parts.clock,
          receivers: parts.receivers,
          sleep: parts.sleep,
        }),
        // Of its own servers, on their way home.
        replicas: await openReplicas(parts, site, findReplicaFolder),
      }
    const prepareFolder = purpose === 'trial' ? makeReplicaFolder : findReplicaFolder
    const replicas = await openReplicas(parts, site, prepareFolder)
    const { source, target, hostPrograms, checkConnection, close } = await openDriver(
      parts,
      site.platform,
      site,
      secrets,
    )
    return {
      ...(source ? { source } : {}),
      ...(target ? { target } : {}),
      ...(hostPrograms ? { hostPrograms } : {}),
      replicas,
      checkConnection,
      close,
    }
  }

  async function forget(siteId: SiteId): Promise<void> {
    const known = opened.get(siteId)
    opened.delete(siteId)
    const platform = await known?.platform.catch(() => null)
    await platform?.close()
  }

  function openAnew(site: Site, settings: string): Promise<SitePlatform> {
    const before = opened.has(site.id) ? forget(site.id) : Promise.resolve()
    const platform = before
      .then(() => parts.sites.secrets(site.id))
      .then((secrets) => {
        entry.secrets = canonicalText(secrets)
        return open(site, secrets, 'use')
      })
    const entry: Opened = { settings, platform, secrets: null, secretsSeenAt: parts.clock.now() }
    opened.set(site.id, entry)
    // A platform that could not be opened is tried anew at the next call.
    platform.catch(() => {
      if (opened.get(site.id) === entry) opened.delete(site.id)
    })
    return platform
  }

  async function withNewestSecrets(site: Site, known: Opened): Promise<SitePlatform> {
    // A store that does not answer says nothing about the site.
    const secrets = await parts.sites.secrets(site.id).then(canonicalText, () => known.secrets)
    const now = opened.get(site.id)
    // Meanwhile it may have been opened anew, or been forgotten.
    if (now !== known) return await (now?.platform ?? openAnew(site, known.settings))
    const isSame = known.secrets === null || secrets === known.secrets
    return await (isSame ? known.platform : openAnew(site, known.settings))
  }

  return {
    of(site) {
      // Another server process may have changed the site: the row that the caller read is the truth.
      const settings = canonicalText(site.settings)
      const known = opened.get(site.id)
      if (known?.settings !== settings) return openAnew(site, settings)
      const now = parts.clock.now()
      // Either way: a clock that is set back must not keep it from being looked at.
      if (Math.abs(now - known.secretsSeenAt) < secretsMilliseconds) return known.platform
      known.secretsSeenAt = now
      return withNewestSecrets(site, known)
    },
    preview: (site, secrets) => open(site, secrets, 'trial'),
    // The private key of KVM sites is shown to nobody: ssh proves that one has it.
    secretPlaces: (site) => (site.platform === 'azure' ? azureSecretPlaces(site) : {}),
    forget,
    async close() {
      await Promise.all([...opened.keys()].map(forget))
    },
  }
}

/** Equal settings give equal text, whatever order the database keeps their keys in. */
const canonicalText = (value: unknown): string =>
  JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([left], [right]) => (left < right ? -1 : 1)))
      : part,
  )

function openDriver(
  parts: PlatformParts,
  platform: Exclude<Site['platform'], 'azure' | 'physical'>,
  site: Site,
  secrets: Readonly<Record<string, string>>,
) {
  switch (platform) {
    case 'kvm':
      return openKvmPlatform(site, secrets, { clock: parts.clock })
    case 'simulated':
      return openSimulatedPlatform(site, secrets, {
        clock: parts.clock,
        sleep: parts.sleep,
        folder: path.join(parts.home, 'simulated'),
      })
  }
}

/** Null: they are in our own home. */
export function chosenReplicaFolder({ settings }: Site): string | null {
  return typeof settings.replicaFolder === 'string' ? settings.replicaFolder : null
}

async function openReplicas(
  parts: PlatformParts,
  site: Site,
  prepareFolder: typeof makeReplicaFolder,
): Promise<ReplicaStore> {
  const chosen = chosenReplicaFolder(site)
  const folder = chosen ?? path.join(parts.home, 'replicas', site.id)
  // Our own home cannot be missing; what an operator has chosen may be a disk that is not mounted yet.
  await (chosen === null ? mkdir(folder, { recursive: true }) : prepareFolder(folder, site.name))
  return openJournalStore({
    folder,
    clock: parts.clock,
    key: (replicaId) => createHmac('sha256', parts.secretKey).update(`replica ${replicaId}`).digest(),
  })
}

/**
 * One level after the other: where the file system takes none (`/proc`), the recursive `mkdir` of Node asks the same question
 * for ever, with a processor each.
 */
async function makeFolders(folder: string): Promise<void> {
  if (await isThere(folder)) return
  await makeFolders(path.dirname(folder))
  await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
}

const folderMark = '.understudy-replicas'

/** At a test of the connection and at registration: whoever saves the site has said that this folder is the right one. */
async function makeReplicaFolder(folder: string, siteName: string): Promise<void> {
  try {
    await makeFolders(folder)
    await writeFile(path.join(folder, folderMark), 'Replicas of Understudy are kept in this folder.\n')
  } catch (cause) {
    throw new Refusal({
      code: 'replica/folder-not-writable',
      message: `The replica folder ${folder} of ${siteName} cannot be written: ${String(cause)}`,
      remedy: 'Choose a folder that this server may write to.',
      cause,
    })
  }
}

/**
 * Later: the same folder or none. Were it simply made, a disk that is not mounted would look like a site that has lost all its
 * replicas, and new ones would fill the disk below the mount.
 */
async function findReplicaFolder(folder: string, siteName: string): Promise<void> {
  if (await isThere(path.join(folder, folderMark))) return
  // Sites that were registered before folders were marked.
  const names = await readdir(folder).catch(() => [])
  const isOurs = await Promise.all(names.map((name) => isThere(path.join(folder, name, 'replica.json'))))
  if (isOurs.includes(true)) return makeReplicaFolder(folder, siteName)
  throw new Outage({
    code: 'replica/folder-missing',
    message: `The replica folder ${folder} of ${siteName} is not the one that was there when the site was saved`,
    remedy:
      'Mount the disk that it lies on. If the replicas are gone for good, save the settings of the site again.',
  })
}

const isThere = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  )
