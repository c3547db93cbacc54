// The line to the content of snapshots: through the proxy of the site, and believing the certificate of its cloud.
import type { HttpClient } from '@azure/core-rest-pipeline'
import type { AzureContainer } from '../../azure-calls.ts'
import { believing, type Cloud } from '../connect-arm.ts'

export type SnapshotLine = Pick<Cloud, 'certificate'> & Pick<AzureContainer, 'proxy'>

/** Asks once: whoever calls knows what may be asked again. */
export async function openSnapshotClient({ proxy, ...cloud }: SnapshotLine): Promise<HttpClient> {
  const { createDefaultHttpClient, createPipelineFromOptions } = await import('@azure/core-rest-pipeline')
  const line = createDefaultHttpClient()
  const pipeline = createPipelineFromOptions({
    retryOptions: { maxRetries: 0 },
    userAgentOptions: { userAgentPrefix: 'understudy' },
    ...believing(cloud),
    ...(proxy === undefined ? {} : { proxyOptions: proxy }),
  })
  return { sendRequest: (request) => pipeline.sendRequest(line, request) }
}
