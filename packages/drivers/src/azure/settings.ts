// What an operator tells us about a site in Azure, checked before anything is done with it.
import { Refusal } from '@understudy/base/errors'
import type { AzureContainer, AzureProxy, AzureSignIn } from './azure-calls.ts'
import { type AzureCompute, checkComputeSettings } from './compute-settings.ts'
import type { Pace } from './paced-calls.ts'
import { checkFields, readNumber, readText, wrong } from './read-settings.ts'

export type AzureSettings = {
  readonly account: string
  readonly container: string
  /** Where the blobs of the account are reached; that of Azure's public cloud unless it is given. No slash at the end. */
  readonly endpoint: string
  readonly signIn: 'key' | 'signature'
  /** Whoever saves the site wants the container to be made where it is not there. Never afterwards. */
  readonly makeContainer: boolean
  /** `http://[user@]host:port`. The password is a secret of the site. */
  readonly proxyUrl: string | null
  readonly pace: Pace
  /** Where replicas run. Null: they are kept, and cannot run here. */
  readonly compute: AzureCompute | null
}

const known = [
  'account',
  'container',
  'endpoint',
  'signIn',
  'makeContainer',
  'proxyUrl',
  'connections',
  'requestsPerSecond',
  'compute',
]

/** Throws Refusal `azure/settings`, naming the field that is wrong. */
export function checkAzureSettings(settings: Readonly<Record<string, unknown>>): AzureSettings {
  checkFields(settings, known, 'settings')
  const account = readText(settings, 'account')
  if (!/^[a-z0-9]{3,24}$/.test(account))
    throw wrong(
      'settings.account is not the name of a storage account',
      'Use 3 to 24 small letters and digits.',
    )
  const container = readText(settings, 'container')
  if (!/^(?=.{3,63}$)[a-z0-9]+(?:-[a-z0-9]+)*$/.test(container))
    throw wrong(
      'settings.container is not the name of a container',
      'Use 3 to 63 small letters, digits and single hyphens.',
    )
  const signIn = settings.signIn ?? 'key'
  if (signIn !== 'key' && signIn !== 'signature')
    throw wrong('settings.signIn must be key or signature', 'Say how the account lets us in.')
  const compute = settings.compute === undefined ? null : checkComputeSettings(settings.compute, account)
  const proxyUrl = readProxy(settings.proxyUrl)
  if (proxyUrl !== null && compute?.cloud?.certificate !== undefined)
    throw wrong(
      'settings.compute.cloud.certificate cannot be used through a proxy',
      'Leave the proxy out, or have the system of this server believe the certificate (NODE_EXTRA_CA_CERTS).',
    )
  return {
    account,
    container,
    endpoint: readEndpoint(settings.endpoint, account),
    signIn,
    makeContainer: settings.makeContainer === true,
    proxyUrl,
    pace: {
      connections: readNumber(settings, 'connections', 256) ?? DEFAULT_CONNECTIONS,
      requestsPerSecond: readNumber(settings, 'requestsPerSecond', 100_000),
    },
    compute,
  }
}

/** Of all replicas of the site together. */
const DEFAULT_CONNECTIONS = 32

/** Where the blobs are and how they are reached. Refuses (`azure/no-sign-in`) when the secret is not there. */
export function toContainer(
  settings: AzureSettings,
  secrets: Readonly<Record<string, string>>,
): AzureContainer {
  const { endpoint, container, proxyUrl } = settings
  const proxy = proxyUrl === null ? {} : { proxy: toProxy(proxyUrl, secrets.proxyPassword) }
  return { endpoint, container, signIn: toSignIn(settings, secrets), ...proxy }
}

function toSignIn(
  { account, signIn }: AzureSettings,
  { accountKey, signature }: Readonly<Record<string, string>>,
): AzureSignIn {
  if (signIn === 'key') {
    if (!accountKey) throw noSignIn(`No key of the storage account ${account} is known`, 'account key')
    const key = accountKey.trim()
    if (!/^[A-Za-z0-9+/]{20,}={0,2}$/.test(key))
      throw noSignIn('The account key is not base64, as Azure shows it', 'account key')
    return { kind: 'key', account, key }
  }
  if (!signature) throw noSignIn(`No signature for the storage account ${account} is known`, 'signature')
  // The portal shows it alone, with a question mark, and as the end of an address.
  const token = signature.trim().replace(/^.*\?/, '')
  if (!new URLSearchParams(token).has('sig'))
    throw noSignIn('The shared access signature has no part "sig"', 'signature')
  return { kind: 'signature', token }
}

const noSignIn = (message: string, what: string): Refusal =>
  new Refusal({
    code: 'azure/no-sign-in',
    message,
    remedy: `Copy the ${what} from the storage account in the Azure portal into the settings of the site.`,
  })

function toProxy(url: string, password: string | undefined): AzureProxy {
  const { protocol, hostname, port, username } = new URL(url)
  return {
    host: `${protocol}//${hostname}`,
    port: Number(port === '' ? (protocol === 'https:' ? 443 : 80) : port),
    // Without a name of whom it is, a password is none.
    ...(username === '' ? {} : { username: decodeURIComponent(username), ...(password ? { password } : {}) }),
  }
}

const isThisComputer = (host: string): boolean => ['127.0.0.1', '[::1]', 'localhost'].includes(host)

function readEndpoint(value: unknown, account: string): string {
  if (value === undefined || value === '') return `https://${account}.blob.core.windows.net`
  const url = typeof value === 'string' ? URL.parse(value) : null
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw wrong(
      'settings.endpoint is not an address',
      `Write it as https://${account}.blob.core.windows.net, or leave it out.`,
    )
  if (url.search !== '' || url.username !== '' || url.password !== '')
    throw wrong(
      'settings.endpoint holds more than an address',
      'Leave the signature out of it: it has a field of its own, where it is kept encrypted.',
    )
  if (url.protocol === 'http:' && !isThisComputer(url.hostname))
    throw wrong(
      'settings.endpoint is not encrypted on its way',
      'Begin it with https. Only an emulator on this computer is reached over http.',
    )
  return url.href.replace(/\/$/, '')
}

function readProxy(value: unknown): string | null {
  if (value === undefined || value === '') return null
  const url = typeof value === 'string' ? URL.parse(value) : null
  if (url === null || !['http:', 'https:'].includes(url.protocol))
    throw wrong(
      'settings.proxyUrl is not the address of a proxy',
      'Write it as http://proxy.example.net:3128.',
    )
  if (url.password !== '')
    throw wrong(
      'settings.proxyUrl holds a password',
      'Leave it out of the address: it has a field of its own, where it is kept encrypted.',
    )
  return url.href.replace(/\/$/, '')
}
