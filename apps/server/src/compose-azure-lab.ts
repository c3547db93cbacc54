// Azure in the lab: Microsoft's emulator of Azure Storage on this computer, registered like any other site and labelled as emulated.
import { createServer } from 'node:net'
import path from 'node:path'
import { Refusal, toFailureReport } from '@understudy/base/errors'
import type { Lab as ShownLab } from '@understudy/contract/overview'
import { isEmulated, type Site, type SiteId } from '@understudy/domain/sites/site'
import { type KeptEmulator, keepEmulator } from '@understudy/drivers/azure/emulator/keep-emulator'
import {
  EMULATOR_ACCOUNT,
  EMULATOR_KEY,
  isAzuriteInstalled,
} from '@understudy/drivers/azure/emulator/start-azurite'
import type { Engine } from '@understudy/engine/engine'
import type { SiteStore } from '@understudy/engine/ports/stores'
import type { Asker } from '@understudy/engine/requests'

export type AzureLabParts = {
  readonly sites: Pick<SiteStore, 'list'>
  readonly home: string
  readonly registerSite: Engine['registerSite']
  readonly log: (message: string, error: unknown) => void
}

export type AzureLab = {
  /** Starts the emulator again if its site is registered. Does not wait. */
  resume(): Promise<void>
  status(): Promise<ShownLab['azure']>
  /** Starts the emulator and registers its site, unless that is done already. Refuses where it cannot work (`lab/not-available`). */
  add(asker: Asker): Promise<{ readonly siteId: SiteId }>
  findSite(): Promise<Site | null>
  /** Ends the emulator; what it keeps stays. Repeatable. */
  stop(): Promise<void>
}

const NAME = 'Azure (Azurite on this computer)'
const CONTAINER = 'understudy'

export function composeAzureLab({ registerSite, sites, home, log }: AzureLabParts): AzureLab {
  const folder = path.join(home, 'lab', 'azurite')
  let emulator: { readonly port: number; readonly kept: KeptEmulator } | null = null

  /** By where it is: its name is the operator's to change. Of several the one that still has the name is meant. */
  const findSite = async (): Promise<Site | null> => {
    const ours = (await sites.list()).filter(isOfLab)
    return ours.find(({ name }) => name === NAME) ?? ours[0] ?? null
  }

  async function keep(port: number): Promise<KeptEmulator> {
    if (emulator?.port === port) return emulator.kept
    await emulator?.kept.stop()
    const onTrouble = (error: unknown): void => log('the emulator of the lab does not run', error)
    const kept = keepEmulator({ folder, port, onTrouble })
    emulator = { port, kept }
    return kept
  }

  async function stop(): Promise<void> {
    const running = emulator
    emulator = null
    await running?.kept.stop()
  }

  return {
    findSite,
    async resume() {
      const site = await findSite()
      const port = site === null ? null : portOf(site)
      if (port !== null) await keep(port)
    },
    async status() {
      const available = isAzuriteInstalled()
      return {
        available,
        reason: available ? null : NOT_INSTALLED,
        siteId: (await findSite())?.id ?? null,
      }
    },
    async add(asker) {
      const known = await findSite()
      if (known !== null) return { siteId: known.id }
      if (!isAzuriteInstalled())
        throw new Refusal({
          code: 'lab/not-available',
          message: 'Azurite, the emulator of Azure Storage, is not installed',
          remedy: 'Stop Understudy, run "npm install" in its folder and start it again.',
        })
      const port = emulator?.port ?? (await chooseFreePort())
      try {
        await (await keep(port)).ready()
      } catch (error) {
        await stop()
        throw new Refusal({
          code: 'lab/emulator-failed',
          message: `The emulator did not start: ${toFailureReport(error).message}`,
          remedy: `Look at what lies in ${folder}; without that folder it begins anew.`,
          cause: error,
        })
      }
      const settings = {
        account: EMULATOR_ACCOUNT,
        container: CONTAINER,
        endpoint: `http://127.0.0.1:${port}/${EMULATOR_ACCOUNT}`,
        signIn: 'key',
        makeContainer: true,
      }
      const secrets = { accountKey: EMULATOR_KEY }
      const site = await registerSite({ name: NAME, platform: 'azure', settings, secrets }, asker)
      return { siteId: site.id }
    },
    stop,
  }
}

const NOT_INSTALLED = 'Azurite, the emulator of Azure Storage, is not installed'

/** An emulator elsewhere, or a container of another name in it, is not ours to keep. */
const isOfLab = (site: Site): boolean =>
  isEmulated(site) && site.settings.container === CONTAINER && portOf(site) !== null

function portOf({ settings }: Site): number | null {
  const url = typeof settings.endpoint === 'string' ? URL.parse(settings.endpoint) : null
  return url !== null && url.hostname === '127.0.0.1' && url.port !== '' ? Number(url.port) : null
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
