// What the form of a site in Azure holds, and how that becomes what the API takes. Pure.
import type { SiteInput } from '@understudy/contract/site'
import type { z } from 'zod'
import {
  type ComputeDraft,
  checkCompute,
  emptyCompute,
  isApplicationKnown,
  toComputeDraft,
  toComputeInput,
} from './compute-draft.ts'
import { FILL_IN, filledIn, type Loose, optionalNumber, type Problems, text } from './draft-fields.ts'

export type AzureDraft = {
  readonly account: string
  readonly container: string
  readonly makeContainer: boolean
  readonly signIn: 'key' | 'signature'
  readonly accountKey: string
  readonly signature: string
  readonly endpoint: string
  readonly proxyUrl: string
  readonly proxyPassword: string
  /** Empty: as many, or as fast, as it goes. */
  readonly connections: number | ''
  readonly requestsPerSecond: number | ''
  readonly compute: ComputeDraft
}

type AzureInput = Extract<z.input<typeof SiteInput>, { platform: 'azure' }>

export const emptyAzure: AzureDraft = {
  account: '',
  container: 'understudy',
  makeContainer: true,
  signIn: 'key',
  accountKey: '',
  signature: '',
  endpoint: '',
  proxyUrl: '',
  proxyPassword: '',
  connections: '',
  requestsPerSecond: '',
  compute: emptyCompute,
}

export function toAzureInput({
  name,
  azure,
}: {
  readonly name: string
  readonly azure: AzureDraft
}): AzureInput {
  const { account, container, makeContainer, signIn, connections, requestsPerSecond } = azure
  const proxyUrl = azure.proxyUrl.trim()
  const secret =
    signIn === 'key'
      ? filledIn('accountKey', azure.accountKey.trim())
      : filledIn('signature', azure.signature.trim())
  const { compute, secrets } = toComputeInput(azure.compute)
  return {
    name,
    platform: 'azure',
    settings: {
      account: account.trim(),
      container: container.trim(),
      signIn,
      makeContainer,
      ...filledIn('endpoint', azure.endpoint.trim()),
      ...filledIn('proxyUrl', proxyUrl),
      ...(connections === '' ? {} : { connections }),
      ...(requestsPerSecond === '' ? {} : { requestsPerSecond }),
      ...(compute === null ? {} : { compute }),
    },
    secrets: {
      ...secret,
      ...(proxyUrl === '' ? {} : filledIn('proxyPassword', azure.proxyPassword)),
      ...secrets,
    },
  }
}

/** Of a site that is registered already. */
export const toAzureDraft = (settings: Loose): AzureDraft => ({
  account: text(settings.account),
  container: text(settings.container),
  // That it was made once is no wish to have it made again: one that has gone since was deleted.
  makeContainer: false,
  signIn: settings.signIn === 'signature' ? 'signature' : 'key',
  accountKey: '',
  signature: '',
  endpoint: text(settings.endpoint),
  proxyUrl: text(settings.proxyUrl),
  proxyPassword: '',
  connections: optionalNumber(settings.connections),
  requestsPerSecond: optionalNumber(settings.requestsPerSecond),
  compute: toComputeDraft(settings.compute),
})

/** What the schema of the API cannot tell: secrets that are needed and not kept yet, and lines that say nothing. */
export const checkAzure = (draft: AzureDraft, saved: boolean): Problems => ({
  ...(saved ? {} : missingSecret(draft)),
  ...checkCompute(draft.compute),
})

function missingSecret({ signIn, accountKey, signature }: AzureDraft): Problems {
  if (signIn === 'key') return accountKey.trim() === '' ? { 'secrets.accountKey': FILL_IN } : {}
  return signature.trim() === '' ? { 'secrets.signature': FILL_IN } : {}
}

/** Of the secrets that a connection takes at least one is kept on the server and not in the form. */
export const needsStoredAzureSecret = ({ signIn, accountKey, signature, compute }: AzureDraft): boolean =>
  (signIn === 'key' ? accountKey : signature).trim() === '' ||
  (compute.wanted && isApplicationKnown(compute) && compute.clientSecret.trim() === '')
