// Opens Azure Resource Manager with the sign-in of a site. Microsoft's clients are loaded when they are first needed: they take a second
// and a hundred MiB, and most sites are none of Azure's.
import { rootCertificates } from 'node:tls'
import type { TokenCredential } from '@azure/identity'
import { Outage } from '@understudy/base/errors'
import type { AzureProxy } from '../azure-calls.ts'
import type { ArmCalls } from './arm-calls.ts'
import { type SdkParts, sdkCalls } from './sdk-calls.ts'
import { sdkServiceCalls } from './services/sdk-service-calls.ts'
import type { ServiceCalls } from './services/service-calls.ts'
import type { ArmSettings } from './settings.ts'

export type ArmSignIn =
  /** An application of the directory. */
  | { readonly kind: 'secret'; readonly tenantId: string; readonly clientId: string; readonly secret: string }
  /** Of the machine in Azure on which this server runs; `clientId` chooses among several. */
  | { readonly kind: 'managed'; readonly clientId?: string }

/** Where Azure is, when it is not the public one: sovereign clouds, and stand-ins. */
export type Cloud = {
  readonly resourceManager: string
  readonly directory: string
  /** A certificate to believe beside those of the system. */
  readonly certificate?: string
}

const POLL_MS = 5000
const OPERATION_MINUTES = 90
const LARGEST_SCREEN_BYTES = 32 * 2 ** 20

/** Two views of one line. */
export type ArmLine = { readonly arm: ArmCalls; readonly services: ServiceCalls }

export async function connectArm(
  settings: ArmSettings,
  signIn: ArmSignIn,
  cloud: Cloud | null = null,
  proxy?: AzureProxy,
): Promise<ArmLine> {
  const throughProxy = proxy === undefined ? {} : { proxyOptions: proxy }
  const [{ ComputeManagementClient }, { NetworkManagementClient }, credential] = await Promise.all([
    import('@azure/arm-compute'),
    import('@azure/arm-network'),
    credentialOf(signIn, cloud, throughProxy),
  ])
  const options = {
    userAgentOptions: { userAgentPrefix: 'understudy' },
    ...throughProxy,
    ...(cloud === null
      ? {}
      : {
          endpoint: cloud.resourceManager,
          $host: cloud.resourceManager,
          credentials: { scopes: [`${cloud.resourceManager.replace(/\/$/, '')}/.default`] },
          credentialScopes: `${cloud.resourceManager.replace(/\/$/, '')}/.default`,
          ...believing(cloud),
        }),
  }
  const parts: SdkParts = {
    compute: new ComputeManagementClient(credential, settings.subscriptionId, options),
    network: new NetworkManagementClient(credential, settings.subscriptionId, options),
    settings,
    pollMs: POLL_MS,
    operationMinutes: OPERATION_MINUTES,
    fetchBytes,
  }
  return { arm: sdkCalls(parts), services: sdkServiceCalls(parts) }
}

/** Node takes a list of certificates in the place of its own ones. */
export const believing = (cloud: Pick<Cloud, 'certificate'> | null) =>
  cloud?.certificate === undefined ? {} : { tlsOptions: { ca: [...rootCertificates, cloud.certificate] } }

async function credentialOf(
  signIn: ArmSignIn,
  cloud: Cloud | null,
  throughProxy: { readonly proxyOptions?: AzureProxy },
): Promise<TokenCredential> {
  const { ClientSecretCredential, ManagedIdentityCredential } = await import('@azure/identity')
  // Asked of the machine's own host, to which no proxy leads.
  if (signIn.kind === 'managed')
    return signIn.clientId === undefined
      ? new ManagedIdentityCredential()
      : new ManagedIdentityCredential({ clientId: signIn.clientId })
  const { tenantId, clientId, secret } = signIn
  return new ClientSecretCredential(tenantId, clientId, secret, {
    ...throughProxy,
    // A directory of one's own is not in the public list of directories.
    ...(cloud === null ? {} : { authorityHost: cloud.directory, disableInstanceDiscovery: true }),
    ...believing(cloud),
  })
}

/** Azure signs the address of the picture: whoever has it may read it, without more. */
async function fetchBytes(address: string, signal: AbortSignal): Promise<Buffer> {
  const failed = (message: string, cause: unknown): Outage =>
    new Outage({
      code: 'target/no-screenshot',
      message: `The picture of the screen could not be fetched: ${message}`,
      remedy: 'Check that this computer reaches the storage of Azure, then try again.',
      cause,
    })
  try {
    const answer = await fetch(address, { signal })
    if (!answer.ok) throw failed(`${answer.status} ${answer.statusText}`, null)
    if (Number(answer.headers.get('content-length') ?? 0) > LARGEST_SCREEN_BYTES)
      throw failed('it is too large', null)
    return Buffer.from(await answer.arrayBuffer())
  } catch (error) {
    if (signal.aborted || error instanceof Outage) throw error
    throw failed(error instanceof Error ? error.message : String(error), error)
  }
}
