// A site in Azure: a container of a storage account that keeps replicas and, where its settings say so, a resource group in which they
// run and from which they come back.
import { Refusal } from '@understudy/base/errors'
import type { Clock, Instant } from '@understudy/base/instant'
import type { Site } from '@understudy/domain/sites/site'
import type { CloudServices } from '@understudy/engine/ports/cloud-services'
import type { ReplicaStore } from '@understudy/engine/ports/replica-store'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { TargetPlatform } from '@understudy/engine/ports/target-platform'
import { openAzureTarget } from './arm/open-azure-target.ts'
import type { TargetParts } from './arm/target-parts.ts'
import type { AzureContainer } from './azure-calls.ts'
import { openAzureStore } from './azure-store.ts'
import { endOfSignature, replicasCheck, trialPatience } from './check-replicas.ts'
import { type AzureCompute, refuseUnknownLicence, toArmSignIn } from './compute-settings.ts'
import { type ConnectionCheck, lookAt, lookAtAll } from './connection-check.ts'
import { type AzureSettings, checkAzureSettings, toContainer } from './settings.ts'

export type AzurePlatformDeps = {
  readonly clock: Clock
  /**
   * The site is being tried or saved: whoever does it may want the container made. Later a container that is not there was deleted,
   * and an empty one in its place would look like a site that has lost all its replicas.
   */
  readonly isTrial: boolean
} & Pick<TargetParts, 'askService' | 'presents'>

export type AzurePlatform = {
  readonly settings: AzureSettings
  readonly replicas: ReplicaStore
  /** Both absent: the site keeps replicas, and they cannot run there. */
  readonly target?: TargetPlatform
  readonly source?: SourcePlatform
  /** Of the subscription in which machines run; absent as well where they do not. */
  readonly cloudServices?: CloudServices
  /** Where `target` is absent: what can be done all the same. */
  readonly withoutTarget?: string
  /** Of a shared access signature; absent with a key. */
  readonly signInEndsAt?: Instant
  checkConnection(signal?: AbortSignal): Promise<{ readonly summary: string }>
  close(): Promise<void>
}

const BY_HAND =
  'Replication goes on, and its points stay good. By hand: in the container each disk is a fixed VHD with one snapshot for each point; a copy of a snapshot becomes a managed disk in the Azure portal. For Understudy to run it, fill in "Run machines there" in the settings of the site.'

/** Refusal `azure/settings` or `azure/no-sign-in`. Connects to nothing until something is asked. */
export async function openAzurePlatform(
  site: Pick<Site, 'settings'>,
  secrets: Readonly<Record<string, string>>,
  deps: AzurePlatformDeps,
): Promise<AzurePlatform> {
  const { clock, isTrial } = deps
  const settings = checkAzureSettings(site.settings)
  if (isTrial && settings.compute !== null) refuseUnknownLicence(settings.compute)
  const container = toContainer(settings, secrets)
  const patience = isTrial ? trialPatience : {}
  const replicas = openAzureStore({ container, clock, pace: settings.pace, patience })
  const keeping = replicasCheck({
    settings,
    container,
    replicas,
    signature: secrets.signature,
    clock,
    isTrial,
  })
  const running =
    settings.compute === null ? null : await openCompute(settings.compute, container, secrets, deps)
  const looks = [keeping, ...(running === null ? [] : [running.check])].map((check) => lookAt(check, deps))
  const endsAt = container.signIn.kind === 'signature' ? endOfSignature(container.signIn.token) : null
  return {
    settings,
    replicas,
    ...(endsAt === null ? {} : { signInEndsAt: endsAt }),
    ...(running === null ? { withoutTarget: BY_HAND } : running.sides),
    checkConnection: (signal) => lookAtAll(looks, signal),
    close: async () => {},
  }
}

type Compute = {
  readonly sides: Pick<AzurePlatform, 'source' | 'target' | 'cloudServices' | 'withoutTarget'>
  readonly check: ConnectionCheck
}

async function openCompute(
  compute: AzureCompute,
  container: AzureContainer,
  secrets: Readonly<Record<string, string>>,
  { clock, isTrial, askService, presents }: AzurePlatformDeps,
): Promise<Compute> {
  try {
    const { target, source, cloudServices, check } = await openAzureTarget({
      container,
      settings: compute.arm,
      signIn: toArmSignIn(compute, secrets),
      clock,
      ...(compute.cloud === null ? {} : { cloud: compute.cloud }),
      ...(askService === undefined ? {} : { askService }),
      ...(presents === undefined ? {} : { presents }),
    })
    const { resourceGroup } = compute.arm
    const whole = async (signal?: AbortSignal): Promise<string> =>
      `resource group ${resourceGroup}: ${(await check(signal)).summary}, everything that running machines needs is allowed`
    return { sides: { target, source, cloudServices }, check: { whole, brief: async () => null } }
  } catch (error) {
    // What keeps the replicas goes on without; the site says that it is not whole.
    if (isTrial || !(error instanceof Refusal)) throw error
    const refuse = async (): Promise<never> => {
      throw error
    }
    return {
      sides: { withoutTarget: `${error.message}. ${error.remedy}` },
      check: { whole: refuse, brief: refuse },
    }
  }
}
