// Where the secrets of a site in Azure are sent, so that what was given for one place is not sent to another. Pure.
import { createHash } from 'node:crypto'
import type { Site } from '@understudy/domain/sites/site'
import type { AzureCompute } from './compute-settings.ts'
import { checkAzureSettings } from './settings.ts'

/** By the name of the secret; one that is sent nowhere is absent. Throws Refusal `azure/settings`. */
export function azureSecretPlaces({ settings }: Pick<Site, 'settings'>): Readonly<Record<string, string>> {
  const { account, endpoint, signIn, proxyUrl, compute } = checkAzureSettings(settings)
  return {
    [signIn === 'key' ? 'accountKey' : 'signature']: `${account} at ${endpoint}`,
    ...(proxyUrl === null || new URL(proxyUrl).username === '' ? {} : { proxyPassword: proxyUrl }),
    ...(compute?.signIn.kind === 'secret'
      ? { clientSecret: directoryOf(compute.signIn, compute.cloud) }
      : {}),
  }
}

/** With the secret comes a token for Resource Manager, and whoever has the certificate can stand in for both. */
function directoryOf(
  { tenantId, clientId }: Extract<AzureCompute['signIn'], { kind: 'secret' }>,
  cloud: AzureCompute['cloud'],
): string {
  const application = `application ${clientId} of tenant ${tenantId}`
  if (cloud === null) return `${application} in the public cloud`
  const { directory, resourceManager, certificate } = cloud
  const believed =
    certificate === undefined
      ? ''
      : `, certificate SHA-256 ${createHash('sha256').update(certificate.trim()).digest('hex')}`
  return `${application} at ${directory}, for ${resourceManager}${believed}`
}
