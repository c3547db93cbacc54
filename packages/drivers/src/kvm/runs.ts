// Finding what was made for a run. A folder's name only says where to look; the definition inside says whose it is.
import { join } from 'node:path'
import { Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { Host } from './host.ts'
import { loadMachineDefinition, machineFiles } from './machine-definition.ts'
import type { MachineLocation } from './monitor.ts'
import { folderEnd } from './replica-definition.ts'

export type RunMachine = MachineLocation & { readonly definition: NonNullable<MachineLocation['definition']> }

/** Null when nothing of this run is on any host. Outage when a host that may have it cannot be asked. */
export async function findRun(hosts: readonly Host[], runId: RunId): Promise<RunMachine | null> {
  for (const { host, folder } of await runFolders(hosts, runId)) {
    const machine = await loadRunMachine(host, folder)
    if (machine?.definition.ownedBy === runId) return machine
  }
  return null
}

/** Refusal `run/not-found` when there is nothing. */
export async function getRun(hosts: readonly Host[], runId: RunId): Promise<RunMachine> {
  const machine = await findRun(hosts, runId)
  if (machine !== null) return machine
  throw new Refusal({
    code: 'run/not-found',
    message: `No host of this site has a machine of run ${runId}`,
    remedy: 'Start it again, or clean it up.',
  })
}

/** Folders that may be this run's, by their name alone. */
export async function runFolders(
  hosts: readonly Host[],
  runId: RunId,
): Promise<readonly { readonly host: Host; readonly folder: string }[]> {
  const found = await Promise.all(
    hosts.map(async (host) => {
      const entries = await host.list(host.machinesFolder)
      return entries
        .filter(({ name, kind }) => kind === 'folder' && name.endsWith(folderEnd(runId)))
        .map(({ name }) => ({ host, folder: join(host.machinesFolder, name) }))
    }),
  )
  return found.flat()
}

export async function loadRunMachine(host: Host, folder: string): Promise<RunMachine | null> {
  const definition = await loadMachineDefinition(host, folder)
  if (definition === null) return null
  const files = machineFiles(folder)
  const { ref, name, guestAgent } = definition
  return {
    ref,
    name,
    host,
    folder,
    monitorPath: files.monitor,
    agentPath: guestAgent ? files.agent : null,
    definition,
  }
}
