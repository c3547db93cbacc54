// A site in Azure: a container that keeps replicas and, where somebody wants it, the resource group in which they run.
import { z } from 'zod'

const isThisComputer = (host: string): boolean => ['127.0.0.1', '[::1]', 'localhost'].includes(host)
const isAddress = (text: string): boolean => ['http:', 'https:'].includes(URL.parse(text)?.protocol ?? '')

const Uuid = z
  .string()
  .regex(
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i,
    'Use an id of the form 00000000-0000-0000-0000-000000000000',
  )
const resourceId = (kind: string, words: string) =>
  z
    .string()
    .max(500)
    .regex(
      new RegExp(`^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/${kind}$`, 'i'),
      `Copy the resource id of ${words} from the portal: /subscriptions/…`,
    )
const httpsAddress = z
  .string()
  .max(500)
  .refine((text) => URL.parse(text)?.protocol === 'https:', 'Write it as https://…')

/** What one adapter of a machine gets in Azure. The network itself is chosen in the protection. */
export const AzureAdapterRule = z
  .strictObject({
    macAddress: z
      .string()
      .regex(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i, 'Use the form 52:54:00:12:34:56')
      .describe('Of the adapter at its source'),
    mode: z.enum(['test', 'failover']),
    address: z.ipv4('Use an address such as 10.1.1.10').optional().describe('Left out: Azure gives one'),
    securityGroupId: resourceId(
      'Microsoft\\.Network/networkSecurityGroups/[^/]+',
      'the security group',
    ).optional(),
    backendPoolIds: z
      .array(
        resourceId('Microsoft\\.Network/loadBalancers/[^/]+/backendAddressPools/[^/]+', 'the back-end pool'),
      )
      .max(20)
      .optional(),
    publicAddress: z.boolean().optional().describe('Makes one that goes with the machine'),
  })
  .meta({ id: 'AzureAdapterRule' })

export const AzureCompute = z
  .strictObject({
    subscriptionId: Uuid,
    resourceGroup: z
      .string()
      .regex(/^[\w().-]{0,89}[\w()-]$/, 'Copy the name of the resource group from the portal')
      .describe('Everything that is made lies here'),
    region: z
      .string()
      .regex(/^[a-z][a-z0-9]{2,49}$/, 'Use small letters and digits, as in westeurope')
      .describe('That of the storage account'),
    signIn: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('secret'), tenantId: Uuid, clientId: Uuid }),
      z.strictObject({
        kind: z.literal('managed'),
        clientId: Uuid.optional().describe('Of several identities of the machine that Understudy runs on'),
      }),
    ]),
    storageAccountId: resourceId('Microsoft\\.Storage/storageAccounts/[a-z0-9]{3,24}', 'the storage account')
      .optional()
      .describe('Left out: the account of the site, in the same resource group'),
    diskType: z.enum(['Standard_LRS', 'StandardSSD_LRS', 'Premium_LRS']).default('StandardSSD_LRS'),
    preferredSizes: z
      .array(z.string().regex(/^\w{1,60}$/, 'Use the name of a size, as in Standard_D2s_v5'))
      .max(20)
      .default([])
      .describe('Taken where they fit, in this order; else the smallest that fits'),
    zone: z
      .string()
      .regex(/^[1-9]$/, 'Use the number of the zone')
      .optional(),
    availabilitySetId: resourceId(
      'Microsoft\\.Compute/availabilitySets/[^/]+',
      'the availability set',
    ).optional(),
    licenseType: z
      .string()
      .regex(/^\w{1,60}$/, 'Use its name, as in Windows_Server')
      .optional(),
    adapters: z.array(AzureAdapterRule).max(2000).default([]),
    tags: z
      .record(z.string().regex(/^[^<>%&\\?/]{1,512}$/, 'Leave out < > % & \\ ? /'), z.string().max(256))
      .refine((tags) => Object.keys(tags).length <= 40, 'Azure takes 50 tags; ten are left for ours')
      .default({})
      .describe('Put on everything that is made'),
    cloud: z
      .strictObject({
        resourceManager: httpsAddress,
        directory: httpsAddress,
        certificate: z.string().max(20_000).optional().describe('PEM, to believe beside those of the system'),
      })
      .optional()
      .describe('Left out: the public cloud. For sovereign clouds and stand-ins'),
  })
  .refine(({ zone, availabilitySetId }) => zone === undefined || availabilitySetId === undefined, {
    path: ['availabilitySetId'],
    message: 'Leave out the zone or the availability set: machines cannot be in both',
  })
  .meta({ id: 'AzureCompute' })

export const AzureSettings = z
  .strictObject({
    account: z.string().regex(/^[a-z0-9]{3,24}$/, 'Use 3 to 24 small letters and digits'),
    container: z
      .string()
      .min(3, 'Use at least 3 letters')
      .max(63)
      .regex(/^[a-z0-9](?:-?[a-z0-9])*$/, 'Use small letters, digits and single hyphens'),
    endpoint: z
      .string()
      .refine(isAddress, 'Write it as https://account.blob.core.windows.net')
      .refine((text) => {
        const url = URL.parse(text)
        return url === null || (url.search === '' && url.username === '' && url.password === '')
      }, 'Leave the signature out: it has a field of its own')
      .refine((text) => {
        const url = URL.parse(text)
        return url === null || url.protocol === 'https:' || isThisComputer(url.hostname)
      }, 'Begin it with https; only an emulator on this computer is reached over http')
      .optional()
      .describe('Where the blobs of the account are, for other clouds and emulators'),
    signIn: z.enum(['key', 'signature']).default('key').describe('Account key or shared access signature'),
    makeContainer: z
      .boolean()
      .default(false)
      .describe('Make the container where it is not there, when the site is tested or saved; never later'),
    proxyUrl: z
      .string()
      .refine(isAddress, 'Write it as http://proxy.example.net:3128')
      .refine(
        (text) => (URL.parse(text)?.password ?? '') === '',
        'Leave the password out: it has a field of its own',
      )
      .optional(),
    connections: z.number().int().min(1).max(256).optional().describe('At a time, of all machines together'),
    requestsPerSecond: z.number().int().min(1).max(100_000).optional(),
    compute: AzureCompute.optional().describe(
      'Where replicas run; left out: the site keeps them and cannot run them',
    ),
  })
  .meta({ id: 'AzureSettings' })

/** Written only; no answer ever holds them. */
export const AzureSecrets = z.strictObject({
  accountKey: z.string().max(200).optional(),
  signature: z.string().max(2000).optional(),
  proxyPassword: z.string().max(200).optional(),
  clientSecret: z.string().max(500).optional().describe('Of the application that signs in to run machines'),
})
