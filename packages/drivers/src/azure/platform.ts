// A site in Azure: a container of a storage account that keeps replicas. Machines are not replicated from it.
import { Refusal, toFailureReport } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import type { Site } from '@understudy/domain/sites/site'
import type { ReplicaStore } from '@understudy/engine/ports/replica-store'
import type { TargetPlatform } from '@understudy/engine/ports/target-platform'
import { makeContainer } from './azure-calls.ts'
import { openAzureStore } from './azure-store.ts'
import { checkContainer, refuseMissingRights } from './check-container.ts'
import { asAnswered } from './failures.ts'
import { type AzureSettings, checkAzureSettings, toContainer } from './settings.ts'

export type AzurePlatformDeps = {
  readonly clock: Clock
  /**
   * The site is being tried or saved: whoever does it may want the container made. Later a container that is not there was deleted,
   * and an empty one in its place would look like a site that has lost all its replicas.
   */
  readonly isTrial: boolean
}

export type AzurePlatform = {
  readonly settings: AzureSettings
  readonly replicas: ReplicaStore
  /** Absent: the site keeps replicas, and they cannot run there. */
  readonly target?: TargetPlatform
  readonly withoutTarget: string
  checkConnection(signal?: AbortSignal): Promise<{ readonly summary: string }>
  close(): Promise<void>
}

/** Every right is asked for by using it, a dozen requests; in between it is enough that the container answers. */
const RIGHTS_EVERY_MS = 3_600_000
/** A person waits for the answer: asked again a little, not for a minute. */
const trialPatience = { attempts: 3, firstPauseMs: 250, isInUse: false }
const NOBODY = 'connection-check' as ReplicaId

const BY_HAND =
  'Replication goes on, and its points stay good. By hand: in the container each disk is a fixed VHD with one snapshot for each point; a copy of a snapshot becomes a managed disk in the Azure portal. For Understudy to run it, its protection has to be towards a site with hosts.'

/** Refusal `azure/settings` or `azure/no-sign-in`. Connects to nothing until something is asked. */
export function openAzurePlatform(
  site: Pick<Site, 'settings'>,
  secrets: Readonly<Record<string, string>>,
  { clock, isTrial }: AzurePlatformDeps,
): AzurePlatform {
  const settings = checkAzureSettings(site.settings)
  const container = toContainer(settings, secrets)
  const patience = isTrial ? trialPatience : {}
  const replicas = openAzureStore({ container, clock, pace: settings.pace, patience })
  let checkedAt: Instant | null = null

  async function checkRights(signal: AbortSignal | undefined): Promise<string> {
    const made = isTrial && settings.makeContainer && (await makeIt(signal))
    const check = await checkContainer(container, trialPatience).catch((error: unknown) => {
      throw isTrial ? withOffer(error, settings) : error
    })
    refuseMissingRights(check, settings.container)
    checkedAt = clock.now()
    return [
      `${settings.account}: container ${settings.container} ${made ? 'was made' : 'answers'}, everything that replicas need is allowed`,
      ...endOf(secrets.signature),
      ...(check.pageDiff ? [] : ['it cannot tell changed pages, as an emulator: slower, not wrong']),
    ].join('; ')
  }

  const makeIt = (signal: AbortSignal | undefined): Promise<boolean> =>
    makeContainer(container, signal).catch((error: unknown) => {
      const { code } = toFailureReport(error)
      if (code !== 'azure/permission-missing' && code !== 'azure/not-authorized') throw error
      throw new Refusal({
        code: 'azure/cannot-make-container',
        message: `The sign-in may not make the container ${settings.container}`,
        remedy:
          'Make it in the Azure portal (private access), or sign in with an account key; then test the connection again.',
        cause: error,
      })
    })

  return {
    settings,
    replicas,
    withoutTarget: BY_HAND,
    async checkConnection(signal) {
      if (isTrial || checkedAt === null || clock.now() - checkedAt >= RIGHTS_EVERY_MS)
        return { summary: await checkRights(signal) }
      // The smallest question that needs the account, the container and the sign-in.
      await replicas.exists(NOBODY).catch((error: unknown) => {
        throw asAnswered(error)
      })
      return { summary: `${settings.account}: container ${settings.container} answers` }
    },
    close: async () => {},
  }
}

/** Whoever tries a site may have it made; nobody else is told so. */
function withOffer(error: unknown, { container, makeContainer: wanted }: AzureSettings): unknown {
  if (!(error instanceof Refusal) || error.code !== 'azure/container-missing' || wanted) return error
  return new Refusal({
    code: error.code,
    message: `The container ${container} is not there`,
    remedy: 'Correct its name, or say that it shall be made ("Make the container").',
    cause: error,
  })
}

/** Until when a signature lets us in: nobody else remembers it. */
function endOf(signature: string | undefined): readonly string[] {
  const end = new URLSearchParams((signature ?? '').replace(/^.*\?/, '')).get('se')
  return end === null ? [] : [`the signature is valid until ${end}`]
}
