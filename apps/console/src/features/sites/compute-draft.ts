// What the form of a site in Azure holds about running machines there. Pure.
import type { AzureAdapterRule, AzureCompute } from '@understudy/contract/azure-site'
import type { z } from 'zod'
import { FILL_IN, filledIn, list, type Problems, record, text } from './draft-fields.ts'

export type AdapterRule = z.output<typeof AzureAdapterRule>
type ComputeInput = z.input<typeof AzureCompute>
type DiskType = NonNullable<ComputeInput['diskType']>

export type ComputeDraft = {
  /** Off: the site keeps replicas and cannot run them. */
  readonly wanted: boolean
  readonly subscriptionId: string
  readonly resourceGroup: string
  readonly region: string
  readonly signIn: 'secret' | 'managed'
  readonly tenantId: string
  readonly clientId: string
  readonly clientSecret: string
  /** The application whose secret the server keeps; empty: none. */
  readonly knownApplication: string
  readonly storageAccountId: string
  readonly diskType: DiskType
  /** `Standard_D2s_v5, Standard_D4s_v5` */
  readonly preferredSizes: string
  readonly zone: string
  readonly availabilitySetId: string
  readonly licenseType: string
  /** One a line: `department = finance` */
  readonly tags: string
  readonly resourceManager: string
  readonly directory: string
  readonly certificate: string
  /** They are edited with the adapters of a machine, and kept here. */
  readonly adapters: readonly AdapterRule[]
}

export const diskTypes: readonly { readonly value: DiskType; readonly label: string }[] = [
  { value: 'StandardSSD_LRS', label: 'Standard SSD' },
  { value: 'Premium_LRS', label: 'Premium SSD' },
  { value: 'Standard_LRS', label: 'Standard HDD' },
]

export const emptyCompute: ComputeDraft = {
  wanted: false,
  subscriptionId: '',
  resourceGroup: '',
  region: '',
  signIn: 'secret',
  tenantId: '',
  clientId: '',
  clientSecret: '',
  knownApplication: '',
  storageAccountId: '',
  diskType: 'StandardSSD_LRS',
  preferredSizes: '',
  zone: '',
  availabilitySetId: '',
  licenseType: '',
  tags: '',
  resourceManager: '',
  directory: '',
  certificate: '',
  adapters: [],
}

/** Null: machines shall not run there. */
export function toComputeInput(draft: ComputeDraft): {
  readonly compute: ComputeInput | null
  readonly secrets: { readonly clientSecret?: string }
} {
  if (!draft.wanted) return { compute: null, secrets: {} }
  const compute: ComputeInput = {
    subscriptionId: draft.subscriptionId.trim(),
    resourceGroup: draft.resourceGroup.trim(),
    region: draft.region.trim(),
    signIn: toSignIn(draft),
    diskType: draft.diskType,
    preferredSizes: wordsIn(draft.preferredSizes),
    adapters: draft.adapters.map((rule) => ({ ...rule })),
    tags: Object.fromEntries(tagLines(draft.tags)),
    ...filledIn('storageAccountId', draft.storageAccountId.trim()),
    ...filledIn('zone', draft.zone),
    ...filledIn('availabilitySetId', draft.availabilitySetId.trim()),
    ...filledIn('licenseType', draft.licenseType.trim()),
    ...toCloud(draft),
  }
  const secrets = draft.signIn === 'secret' ? filledIn('clientSecret', draft.clientSecret.trim()) : {}
  return { compute, secrets }
}

const toSignIn = ({ signIn, tenantId, clientId }: ComputeDraft): ComputeInput['signIn'] =>
  signIn === 'secret'
    ? { kind: 'secret', tenantId: tenantId.trim(), clientId: clientId.trim() }
    : { kind: 'managed', ...filledIn('clientId', clientId.trim()) }

function toCloud(draft: ComputeDraft): Pick<ComputeInput, 'cloud'> {
  const resourceManager = draft.resourceManager.trim()
  const directory = draft.directory.trim()
  const certificate = draft.certificate.trim()
  if (resourceManager === '' && directory === '' && certificate === '') return {}
  return { cloud: { resourceManager, directory, ...filledIn('certificate', certificate) } }
}

export const wordsIn = (words: string): string[] => words.split(/[\s,]+/).filter((word) => word !== '')

const tagLines = (tags: string): (readonly [name: string, value: string])[] =>
  tags
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [name = '', ...value] = line.split('=')
      return [name.trim(), value.join('=').trim()]
    })

/** What is not kept asks for the secret; a secret that is kept fits one application only. */
export const isApplicationKnown = (draft: ComputeDraft): boolean =>
  draft.signIn === 'secret' &&
  draft.knownApplication !== '' &&
  draft.knownApplication === applicationOf(draft)

const applicationOf = ({
  tenantId,
  clientId,
}: {
  readonly tenantId: string
  readonly clientId: string
}): string => `${tenantId.trim()} ${clientId.trim()}`.toLowerCase()

export function checkCompute(draft: ComputeDraft): Problems {
  if (!draft.wanted) return {}
  const needsSecret = draft.signIn === 'secret' && !isApplicationKnown(draft)
  const names = tagLines(draft.tags).map(([name]) => name.toLowerCase())
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  return {
    ...(needsSecret && draft.clientSecret.trim() === '' ? { 'secrets.clientSecret': FILL_IN } : {}),
    ...(twice === undefined ? {} : { 'settings.compute.tags': `"${twice}" is there twice` }),
  }
}

export function toComputeDraft(settings: unknown): ComputeDraft {
  if (settings === undefined) return emptyCompute
  const compute = record(settings)
  const signIn = record(compute.signIn)
  const cloud = record(compute.cloud)
  const tenantId = text(signIn.tenantId)
  const clientId = text(signIn.clientId)
  const isSecret = signIn.kind === 'secret'
  return {
    wanted: true,
    subscriptionId: text(compute.subscriptionId),
    resourceGroup: text(compute.resourceGroup),
    region: text(compute.region),
    signIn: isSecret ? 'secret' : 'managed',
    tenantId,
    clientId,
    clientSecret: '',
    knownApplication: isSecret ? applicationOf({ tenantId, clientId }) : '',
    storageAccountId: text(compute.storageAccountId),
    diskType: diskTypes.find(({ value }) => value === compute.diskType)?.value ?? 'StandardSSD_LRS',
    preferredSizes: list(compute.preferredSizes).join(', '),
    zone: text(compute.zone),
    availabilitySetId: text(compute.availabilitySetId),
    licenseType: text(compute.licenseType),
    tags: Object.entries(record(compute.tags))
      .map(([name, value]) => `${name} = ${text(value)}`)
      .join('\n'),
    resourceManager: text(cloud.resourceManager),
    directory: text(cloud.directory),
    certificate: text(cloud.certificate),
    // The server has checked them when they were saved.
    adapters: list(compute.adapters) as readonly AdapterRule[],
  }
}
