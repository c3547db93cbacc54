// Starts the emulated Azure in which machines run: Resource Manager's double with its state in a folder, and QEMU.
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { keepFirst } from '../../../wires/replace-file.ts'
import { type AzureContainer, connectAzure } from '../../azure-calls.ts'
import type { Emulating } from '../../emulator/keep-up.ts'
import { patientCalls } from '../../patient-calls.ts'
import { blobAddress } from '../open-azure-target.ts'
import { openCloudState } from './cloud-state.ts'
import { type DoubleApplication, type DoubleIdentity, makeIdentity, serveDouble } from './double-line.ts'
import { emulateAzure, emulatedSettings, placeServices } from './emulated-azure.ts'
import { qemuRunner } from './qemu-runner.ts'
import { PROFILE } from './service-rules.ts'

export type CloudOptions = {
  /** Short enough for the paths of sockets in it. */
  readonly folder: string
  readonly port: number
  /** In which the replicas lie that run here. */
  readonly container: AzureContainer
  readonly onTrouble: (error: unknown) => void
}

/** It signs in as one does at Azure. No secret: whoever can use this computer reaches the emulated storage in the same way. */
const application: DoubleApplication = {
  tenantId: '00000000-0000-4000-8000-00000000000a',
  clientId: '00000000-0000-4000-8000-00000000000b',
  secret: 'emulated',
}
const IDENTITY_DAYS = 3650
/** As many as Azure tells at a time. */
const LIST_RANGES = 10_000

/** The settings and the secret with which a site is registered that runs replicas here. */
export async function cloudSite({ folder, port }: Pick<CloudOptions, 'folder' | 'port'>) {
  const { certificate } = await loadIdentity(folder)
  const { subscriptionId, resourceGroup, region } = emulatedSettings
  const { tenantId, clientId, secret } = application
  const address = `https://localhost:${port}`
  return {
    compute: {
      subscriptionId,
      resourceGroup,
      region,
      signIn: { kind: 'secret', tenantId, clientId },
      cloud: { resourceManager: address, directory: address, certificate },
    },
    secrets: { clientSecret: secret },
  } as const
}

export async function startCloud({ folder, port, container, onTrouble }: CloudOptions): Promise<Emulating> {
  const identity = await loadIdentity(folder)
  const runner = qemuRunner(folder)
  const storage = patientCalls(await connectAzure(container))
  const { double } = await emulateAzure({
    storage,
    blobAddress: blobAddress(container, ''),
    room: runner.room,
    runner,
    listRanges: LIST_RANGES,
  })
  // What is noted after a restart must be later than what was noted before.
  double.site.now = () => new Date().toISOString()
  // Nothing is read before the port is ours: it is what keeps two servers of one home apart.
  const state = Promise.withResolvers<Awaited<ReturnType<typeof openCloudState>>>()
  state.promise.catch(() => {})
  const { handle } = double
  double.handle = async (request) => {
    const kept = await state.promise
    const answer = await handle(request)
    await kept.save()
    return answer
  }
  const server = await serveDouble(double, application, { port, identity })
  const ended = Promise.withResolvers<void>()
  const stop = async (): Promise<void> => {
    await server.close()
    await runner.close()
    await state.promise.then(
      (kept) => kept.close(),
      () => {},
    )
    ended.resolve()
  }
  try {
    const kept = await openCloudState(folder, double.site, runner, { pause: sleep, onTrouble })
    // A cloud of an earlier version had none.
    if (double.ofType(PROFILE).length === 0) await placeServices(double)
    state.resolve(kept)
  } catch (error) {
    state.reject(error)
    await stop()
    throw error
  }
  return { ended: ended.promise, stop }
}

/** Made once: the site that is registered believes this certificate. */
async function loadIdentity(folder: string): Promise<DoubleIdentity> {
  const file = join(folder, 'identity.json')
  await mkdir(folder, { recursive: true })
  const kept = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (kept !== null) return JSON.parse(kept) as DoubleIdentity
  const made = JSON.stringify(await makeIdentity(IDENTITY_DAYS))
  return JSON.parse(await keepFirst(file, made)) as DoubleIdentity
}
