// The one place where an emulated storage account is started: Azurite in a folder of its own, the proxy that corrects it, and
// containers in it on demand.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContainerClient, StorageSharedKeyCredential } from '@azure/storage-blob'
import type { AzureContainer } from '../azure-calls.ts'
import { type CorrectingProxy, startCorrectingProxy } from './correcting-proxy.ts'
import { EMULATOR_ACCOUNT, EMULATOR_KEY, startAzurite } from './start-azurite.ts'

export type Emulator = {
  readonly proxy: CorrectingProxy
  /** A new container of this name, reached through the proxy, or at Azurite itself with all its faults. */
  makeContainer(name: string, through?: 'proxy' | 'azurite'): Promise<AzureContainer>
  /** The container as its owner sees it, past the store. */
  client(container: AzureContainer): ContainerClient
  /** Killed, it forgets the last seconds; else it keeps everything. */
  restart(how: 'killed' | 'in peace'): Promise<void>
  stop(): Promise<void>
}

export async function startEmulator(): Promise<Emulator> {
  const folder = await mkdtemp(join(tmpdir(), 'understudy-azurite-'))
  let azurite = await startAzurite(folder)
  const proxy = await startCorrectingProxy(azurite.port)
  const client = ({ endpoint, container }: AzureContainer): ContainerClient =>
    new ContainerClient(
      `${endpoint}/${container}`,
      new StorageSharedKeyCredential(EMULATOR_ACCOUNT, EMULATOR_KEY),
      // Whoever looks on must not hang on what the emulator was told to do to others.
      { retryOptions: { maxTries: 1 } },
    )
  return {
    proxy,
    client,
    async makeContainer(container, through = 'proxy') {
      const port = through === 'proxy' ? proxy.port : azurite.port
      const made: AzureContainer = {
        endpoint: `http://127.0.0.1:${port}/${EMULATOR_ACCOUNT}`,
        container,
        signIn: { kind: 'key', account: EMULATOR_ACCOUNT, key: EMULATOR_KEY },
      }
      await client(made).createIfNotExists()
      return made
    },
    async restart(how) {
      await azurite.stop(how === 'killed' ? 'SIGKILL' : 'SIGTERM')
      azurite = await startAzurite(folder)
      proxy.upstreamPort = azurite.port
    },
    async stop() {
      await proxy.close()
      await azurite.stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
