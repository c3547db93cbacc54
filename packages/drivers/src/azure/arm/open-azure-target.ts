// Opens the place where replicas run, for a site whose replicas lie in a container.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Clock } from '@understudy/base/instant'
import type { CloudServices } from '@understudy/engine/ports/cloud-services'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import type { TargetPlatform } from '@understudy/engine/ports/target-platform'
import { type AzureContainer, connectAzure } from '../azure-calls.ts'
import { patientCalls } from '../patient-calls.ts'
import { azureTarget } from './azure-target.ts'
import { checkArm } from './check-arm.ts'
import { type ArmSignIn, type Cloud, connectArm } from './connect-arm.ts'
import { azureServices } from './services/azure-services.ts'
import { type ArmSettings, checkArmSettings } from './settings.ts'
import { azureSource } from './source/azure-source.ts'
import { snapshotCalls } from './source/snapshot-calls.ts'
import { openSnapshotClient } from './source/snapshot-client.ts'
import type { TargetParts, Waits } from './target-parts.ts'

export type AzureTargetOptions = {
  /** The copies of disks lie beside the replicas. */
  readonly container: AzureContainer
  readonly settings: ArmSettings
  readonly signIn: ArmSignIn
  readonly clock: Clock
  /** Left out: the public cloud. */
  readonly cloud?: Cloud
} & Pick<TargetParts, 'askService' | 'copyWithin' | 'presents'>

export type AzureTarget = {
  readonly target: TargetPlatform
  /** Of what runs there: the way back. */
  readonly source: SourcePlatform
  /** What steps of plans change. */
  readonly cloudServices: CloudServices
  /** The connection test of the part that runs machines. */
  check(signal?: AbortSignal): Promise<{ readonly summary: string }>
}

export async function openAzureTarget(options: AzureTargetOptions): Promise<AzureTarget> {
  const { container, signIn, clock, cloud, askService, copyWithin, presents } = options
  const settings = checkArmSettings(options.settings)
  const { arm, services } = await connectArm(settings, signIn, cloud ?? null, container.proxy)
  const parts: TargetParts = {
    arm,
    storage: patientCalls(await connectAzure(container)),
    addressOfBlob: (name) => blobAddress(container, name),
    settings,
    clock,
    waits,
    ...(askService === undefined ? {} : { askService }),
    ...(copyWithin === undefined ? {} : { copyWithin }),
    ...(presents === undefined ? {} : { presents }),
  }
  const client = await openSnapshotClient({ ...cloud, ...container })
  const pages = snapshotCalls({ client, pause: waits.pause })
  const source = azureSource({ arm, settings, clock, waits, pages, watchMs: WATCH_MS })
  return {
    target: azureTarget(parts),
    source,
    cloudServices: azureServices({ calls: services, arm, settings, clock }),
    check: (signal) => checkArm(arm, settings, signal),
  }
}

const WATCH_MS = 60_000

const waits: Waits = {
  lookMs: 5000,
  minutes: 90,
  pause: (milliseconds, signal) => sleep(milliseconds, undefined, signal === undefined ? {} : { signal }),
}

/** Without any signature: Azure reads the blob by its own right to the account. */
export const blobAddress = ({ endpoint, container }: AzureContainer, name: string): string =>
  `${endpoint.replace(/\/$/, '')}/${container}/${name.split('/').map(encodeURIComponent).join('/')}`
