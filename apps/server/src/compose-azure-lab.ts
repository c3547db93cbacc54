// Azure in the lab: Microsoft's emulator of Azure Storage on this computer, and a double of Resource Manager whose machines run under
// QEMU; registered like any other site and labelled as emulated.
import { mkdir } from 'node:fs/promises'
import { createServer } from 'node:net'
import path from 'node:path'
import { Refusal, toFailureReport } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import type { Lab as ShownLab } from '@understudy/contract/overview'
import { isEmulated, type Site, type SiteId } from '@understudy/domain/sites/site'
import { cloudSite, findCloudObstacle, keepCloud } from '@understudy/drivers/azure/arm/double/keep-cloud'
import { keepEmulator } from '@understudy/drivers/azure/emulator/keep-emulator'
import type { KeptEmulator } from '@understudy/drivers/azure/emulator/keep-up'
import {
  EMULATOR_ACCOUNT,
  EMULATOR_KEY,
  isAzuriteInstalled,
} from '@understudy/drivers/azure/emulator/start-azurite'
import { keepFirst } from '@understudy/drivers/wires/replace-file'
import type { Engine } from '@understudy/engine/engine'
import type { SiteStore } from '@understudy/engine/ports/stores'
import type { Asker } from '@understudy/engine/requests'

export type AzureLabParts = {
  readonly sites: Pick<SiteStore, 'list'>
  readonly home: string
  readonly registerSite: Engine['registerSite']
  readonly updateSite: Engine['updateSite']
  readonly log: (message: string, error: unknown) => void
}

export type AzureLab = {
  /** Starts the emulators again if their site is registered. Does not wait. */
  resume(): Promise<void>
  status(): Promise<ShownLab['azure']>
  /**
   * Starts the emulators and registers their site, unless that is done already; one that could not run machines gets what it needs
   * for it. Refuses where it cannot work (`lab/not-available`).
   */
  add(asker: Asker): Promise<{ readonly siteId: SiteId }>
  findSite(): Promise<Site | null>
  /** Ends the emulators and the machines that run there; what they keep stays. Repeatable. */
  stop(): Promise<void>
}

const NAME = 'Azure (Azurite on this computer)'
const CONTAINER = 'understudy'

/** Where the machines of the emulated Azure are. */
export const cloudFolder = (home: string): string => path.join(home, 'lab', 'azure')

type Running = { readonly port: number; readonly kept: KeptEmulator }

export function composeAzureLab(parts: AzureLabParts): AzureLab {
  const { registerSite, updateSite, sites, home, log } = parts
  const storageFolder = path.join(home, 'lab', 'azurite')
  const folder = cloudFolder(home)
  const running = new Map<'storage' | 'machines', Running>()
  const turn = inTurn()

  /** By where it is: its name is the operator's to change. Of several the one that still has the name is meant. */
  const findSite = async (): Promise<Site | null> => {
    const ours = (await sites.list()).filter(isOfLab)
    return ours.find(({ name }) => name === NAME) ?? ours[0] ?? null
  }

  async function keep(
    part: 'storage' | 'machines',
    port: number,
    start: (onTrouble: (error: unknown) => void) => KeptEmulator,
  ): Promise<KeptEmulator> {
    const known = running.get(part)
    if (known?.port === port) return known.kept
    await known?.kept.stop()
    const kept = start((error) => log(`the emulated Azure of the lab does not run (${part})`, error))
    running.set(part, { port, kept })
    return kept
  }
  const keepStorage = (port: number): Promise<KeptEmulator> =>
    keep('storage', port, (onTrouble) => keepEmulator({ folder: storageFolder, port, onTrouble }))
  const keepMachines = (port: number, storagePort: number): Promise<KeptEmulator> =>
    keep('machines', port, (onTrouble) =>
      keepCloud({ folder, port, container: containerAt(storagePort), onTrouble }),
    )

  async function stop(parts = [...running.keys()]): Promise<void> {
    const all = parts.map((part) => running.get(part))
    for (const part of parts) running.delete(part)
    // The machines first: their disks may still be read from the storage.
    for (const one of all.toReversed()) await one?.kept.stop()
  }

  /** Answers when both are up. A lab without what machines need keeps replicas all the same. */
  async function startAll(storagePort: number, withMachines: boolean) {
    const started: { folder: string } = { folder: storageFolder }
    const before = new Set(running.keys())
    try {
      await (await keepStorage(storagePort)).ready()
      if (!withMachines) return null
      started.folder = folder
      const port = running.get('machines')?.port ?? (await keptPort(folder))
      const site = await cloudSite({ folder, port })
      await (await keepMachines(port, storagePort)).ready()
      return site
    } catch (error) {
      await stop([...running.keys()].filter((part) => !before.has(part)))
      throw new Refusal({
        code: 'lab/emulator-failed',
        message: `The emulator did not start: ${toFailureReport(error).message}`,
        remedy: `Look at what lies in ${started.folder}; without that folder it begins anew.`,
        cause: error,
      })
    }
  }

  async function add(asker: Asker): Promise<{ readonly siteId: SiteId }> {
    const known = await findSite()
    const withMachines = (await findCloudObstacle()) === null
    if (known !== null && (known.settings.compute !== undefined || !withMachines)) return { siteId: known.id }
    if (!isAzuriteInstalled())
      throw new Refusal({
        code: 'lab/not-available',
        message: NOT_INSTALLED,
        remedy: 'Stop Understudy, run "npm install" in its folder and start it again.',
      })
    const port = (known && portOf(known)) ?? running.get('storage')?.port ?? (await keptPort(storageFolder))
    const machines = await startAll(port, withMachines)
    if (known !== null) {
      const { compute, secrets } = machines ?? {}
      await updateSite(known.id, { settings: { ...known.settings, compute }, secrets: { ...secrets } }, asker)
      return { siteId: known.id }
    }
    const settings = {
      account: EMULATOR_ACCOUNT,
      container: CONTAINER,
      endpoint: containerAt(port).endpoint,
      signIn: 'key',
      makeContainer: true,
      ...(machines === null ? {} : { compute: machines.compute }),
    }
    const secrets = { accountKey: EMULATOR_KEY, ...machines?.secrets }
    const site = await registerSite({ name: NAME, platform: 'azure', settings, secrets }, asker)
    return { siteId: site.id }
  }

  return {
    findSite,
    async resume() {
      const site = await findSite()
      const port = site === null ? null : portOf(site)
      if (site === null || port === null) return
      await keepStorage(port)
      const machinesPort = machinesPortOf(site)
      if (machinesPort !== null) await keepMachines(machinesPort, port)
    },
    async status() {
      const available = isAzuriteInstalled()
      return {
        available,
        reason: available ? null : NOT_INSTALLED,
        whyNoMachines: await findCloudObstacle(),
        siteId: (await findSite())?.id ?? null,
      }
    },
    // Two clicks are one lab.
    add: (asker) => turn(() => add(asker)),
    stop: () => stop(),
  }
}

const NOT_INSTALLED = 'Azurite, the emulator of Azure Storage, is not installed'

const containerAt = (port: number) =>
  ({
    endpoint: `http://127.0.0.1:${port}/${EMULATOR_ACCOUNT}`,
    container: CONTAINER,
    signIn: { kind: 'key', account: EMULATOR_ACCOUNT, key: EMULATOR_KEY },
  }) as const

/** An emulator elsewhere, or a container of another name in it, is not ours to keep. */
const isOfLab = (site: Site): boolean =>
  isEmulated(site) && site.settings.container === CONTAINER && portOf(site) !== null

const portOf = ({ settings }: Site): number | null => portIn(settings.endpoint, '127.0.0.1')

/** Where the double of Resource Manager is looked for. */
function machinesPortOf({ settings }: Site): number | null {
  const compute = settings.compute as { readonly cloud?: { readonly resourceManager?: unknown } } | undefined
  return portIn(compute?.cloud?.resourceManager, 'localhost')
}

function portIn(address: unknown, host: string): number | null {
  const url = typeof address === 'string' ? URL.parse(address) : null
  return url !== null && url.hostname === host && url.port !== '' ? Number(url.port) : null
}

/** Chosen once for a folder: two servers of one home meet at the same port, which only one of them gets. */
async function keptPort(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true })
  return Number(await keepFirst(path.join(folder, 'port'), `${await chooseFreePort()}`))
}

function chooseFreePort(): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const server = createServer()
  server.once('error', reject)
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    server.close(() => resolve(port))
  })
  return promise
}
