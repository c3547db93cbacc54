import { createPipelineRequest } from '@azure/core-rest-pipeline'
import { expect, onTestFinished, test } from 'vitest'
import { serveDouble } from '../double/double-line.ts'
import { testSite } from '../test-site.ts'
import { openSnapshotClient } from './snapshot-client.ts'

test('the content of snapshots is read over TLS with a certificate that is checked', async () => {
  const { double } = await testSite()
  const server = await serveDouble(double)
  onTestFinished(() => server.close())
  const request = () => createPipelineRequest({ url: `${server.address}/nothing` })
  const believing = await openSnapshotClient({ certificate: server.certificate })
  expect((await believing.sendRequest(request())).status).toBeGreaterThanOrEqual(400)
  const doubting = await openSnapshotClient({})
  await expect(doubting.sendRequest(request())).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
})
