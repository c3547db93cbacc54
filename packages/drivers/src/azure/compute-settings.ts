// What an operator tells us about running replicas in Azure, checked before anything is done with it.
import { Refusal } from '@understudy/base/errors'
import type { ArmSignIn, Cloud } from './arm/connect-arm.ts'
import { type AdapterRule, type ArmSettings, checkArmSettings } from './arm/settings.ts'
import {
  checkFields,
  type Fields,
  readList,
  readOptionalText,
  readPart,
  readText,
  wrong,
} from './read-settings.ts'

export type AzureCompute = {
  readonly arm: ArmSettings
  /** The secret of an application is kept apart. */
  readonly signIn:
    | { readonly kind: 'secret'; readonly tenantId: string; readonly clientId: string }
    | { readonly kind: 'managed'; readonly clientId?: string }
  /** Null: the public cloud. */
  readonly cloud: Cloud | null
}

const WHERE = 'settings.compute'
const known = [
  'subscriptionId',
  'resourceGroup',
  'region',
  'signIn',
  'storageAccountId',
  'diskType',
  'preferredSizes',
  'zone',
  'availabilitySetId',
  'licenseType',
  'adapters',
  'tags',
  'cloud',
]
const diskTypes = ['Standard_LRS', 'StandardSSD_LRS', 'Premium_LRS'] as const

/** Throws Refusal `azure/settings` or `azure/bad-settings`, saying what is wrong. `account`: that of the replicas. */
export function checkComputeSettings(value: unknown, account: string): AzureCompute {
  const compute = readPart(value, WHERE)
  checkFields(compute, known, WHERE)
  const subscriptionId = readText(compute, 'subscriptionId', WHERE)
  const resourceGroup = readText(compute, 'resourceGroup', WHERE)
  const region = readText(compute, 'region', WHERE)
  if (!/^[a-z][a-z0-9]+$/.test(region))
    throw wrong(
      `${WHERE}.region is not the name of a region`,
      'Use small letters and digits, as in "westeurope".',
    )
  const given = compute.diskType ?? 'StandardSSD_LRS'
  const diskType = diskTypes.find((one) => one === given)
  if (diskType === undefined)
    throw wrong(`${WHERE}.diskType is not a type of managed disks`, `Use one of ${diskTypes.join(', ')}.`)
  const arm = checkArmSettings({
    subscriptionId,
    resourceGroup,
    region,
    storageAccountId:
      readOptionalText(compute, 'storageAccountId', WHERE) ??
      `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Storage/storageAccounts/${account}`,
    diskType,
    preferredSizes: readTexts(compute.preferredSizes, `${WHERE}.preferredSizes`),
    ...readTextFields(compute, ['zone', 'availabilitySetId'], WHERE),
    ...readLicence(compute),
    adapters: readList(compute.adapters, `${WHERE}.adapters`).map((rule, index) =>
      toAdapterRule(rule, `${WHERE}.adapters.${index}`),
    ),
    tags: readTags(compute.tags),
  })
  return { arm, signIn: readSignIn(compute.signIn), cloud: readCloud(compute.cloud) }
}

/** With the secret, which is kept apart. Refuses (`azure/no-sign-in`) when it is not there. */
export function toArmSignIn(
  { signIn }: Pick<AzureCompute, 'signIn'>,
  { clientSecret }: Readonly<Record<string, string>>,
): ArmSignIn {
  if (signIn.kind === 'managed') return signIn
  const secret = clientSecret?.trim() ?? ''
  if (secret !== '') return { ...signIn, secret }
  throw new Refusal({
    code: 'azure/no-sign-in',
    message: `No secret of the application ${signIn.clientId} is known, with which Understudy signs in to run machines`,
    remedy:
      'Make one under "Certificates & secrets" of the application in the Azure portal and copy its value, not its id, into the settings of the site. Or sign in with a managed identity.',
  })
}

function readSignIn(value: unknown): AzureCompute['signIn'] {
  const where = `${WHERE}.signIn`
  const signIn = readPart(value, where)
  if (signIn.kind === 'secret') {
    checkFields(signIn, ['kind', 'tenantId', 'clientId'], where)
    return {
      kind: 'secret',
      tenantId: readText(signIn, 'tenantId', where),
      clientId: readText(signIn, 'clientId', where),
    }
  }
  if (signIn.kind !== 'managed')
    throw wrong(`${where}.kind must be secret or managed`, 'Say how Understudy signs in to run machines.')
  checkFields(signIn, ['kind', 'clientId'], where)
  return { kind: 'managed', ...readTextFields(signIn, ['clientId'], where) }
}

function readCloud(value: unknown): Cloud | null {
  if (value === undefined) return null
  const where = `${WHERE}.cloud`
  const cloud = readPart(value, where)
  checkFields(cloud, ['resourceManager', 'directory', 'certificate'], where)
  const address = (name: string): string => {
    const text = readText(cloud, name, where)
    if (URL.parse(text)?.protocol === 'https:') return text.replace(/\/$/, '')
    throw wrong(`${where}.${name} is not an address`, 'Write it as https://management.example.net.')
  }
  return {
    resourceManager: address('resourceManager'),
    directory: address('directory'),
    ...readTextFields(cloud, ['certificate'], where),
  }
}

function toAdapterRule(value: unknown, where: string): AdapterRule {
  const rule = readPart(value, where)
  checkFields(
    rule,
    ['macAddress', 'mode', 'address', 'securityGroupId', 'backendPoolIds', 'publicAddress'],
    where,
  )
  const { mode, publicAddress } = rule
  if (mode !== 'test' && mode !== 'failover')
    throw wrong(`${where}.mode must be test or failover`, 'Say for which of the two the adapter gets this.')
  return {
    macAddress: readText(rule, 'macAddress', where),
    mode,
    ...readTextFields(rule, ['address', 'securityGroupId'], where),
    ...(rule.backendPoolIds === undefined
      ? {}
      : { backendPoolIds: readTexts(rule.backendPoolIds, `${where}.backendPoolIds`) }),
    ...(publicAddress === true ? { publicAddress } : {}),
  }
}

/** What Azure takes as the licence of a machine that brings its own, as far as this version knows. */
const LICENCES = [
  'Windows_Server',
  'Windows_Client',
  'RHEL_BYOS',
  'RHEL_BASE',
  'RHEL_EUS',
  'RHEL_SAPAPPS',
  'RHEL_SAPHA',
  'RHEL_BASESAPAPPS',
  'RHEL_BASESAPHA',
  'SLES_BYOS',
  'SLES',
  'SLES_SAP',
  'SLES_HPC',
  'UBUNTU_PRO',
  'None',
]

/** What is saved is used: Azure may know more by then, and no machine may be held up by a word. */
function readLicence(compute: Fields): { readonly licenseType?: string } {
  const text = readOptionalText(compute, 'licenseType', WHERE)
  return text === null ? {} : { licenseType: knownLicence(text) ?? text }
}

const knownLicence = (text: string): string | undefined =>
  LICENCES.find((one) => one.toLowerCase() === text.toLowerCase())

/** For who fills it in. Refusal `azure/settings`. */
export function refuseUnknownLicence({ arm: { licenseType } }: Pick<AzureCompute, 'arm'>): void {
  if (licenseType === undefined || knownLicence(licenseType) !== undefined) return
  throw wrong(
    `${WHERE}.licenseType is no licence that Azure knows: ${licenseType}`,
    `Use one of ${LICENCES.join(', ')}, or leave it out.`,
  )
}

const readTexts = (value: unknown, where: string): readonly string[] =>
  readList(value, where).map((text) => {
    if (typeof text === 'string' && text !== '') return text
    throw wrong(`${where} holds something that is no text`, 'Correct it, or leave it out.')
  })

const readTags = (value: unknown): Readonly<Record<string, string>> => {
  const tags = value === undefined ? {} : readPart(value, `${WHERE}.tags`)
  return Object.fromEntries(
    Object.entries(tags).map(([name, text]) => {
      if (typeof text === 'string') return [name, text]
      throw wrong(`${WHERE}.tags.${name} is no text`, 'Correct it, or leave it out.')
    }),
  )
}

/** Those of them that are filled in. */
const readTextFields = <Name extends string>(
  fields: Fields,
  names: readonly Name[],
  where: string,
): { readonly [Key in Name]?: string } =>
  Object.fromEntries(
    names.flatMap((name) => {
      const text = readOptionalText(fields, name, where)
      return text === null ? [] : [[name, text] as const]
    }),
  ) as { readonly [Key in Name]?: string }
