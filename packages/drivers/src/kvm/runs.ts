// Finding what was made for a run. A folder's name only says where to look; the definition inside says whose it is.
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { RunId } from '@understudy/domain/failover/failover'
import type { Whereabouts } from '@understudy/engine/ports/target-platform'
import type { Host } from './host.ts'
import { loadMachineDefinition, machineFiles } from './machine-definition.ts'
import type { MachineLocation } from './monitor.ts'
import { folderEnd } from './replica-definition.ts'
import { refuseUnseen, type SilentHost } from './whereabouts.ts'

export type RunMachine = MachineLocation & { readonly definition: NonNullable<MachineLocation['definition']> }

/** Of the hosts' own lives: which runs were seen there. They are asked first, so the others need not answer. */
const seenRuns = new WeakMap<Host, Set<RunId>>()

export type RunSearch = {
  readonly machine: RunMachine | null
  /** Folders that may be this run's, by their name alone. */
  readonly folders: readonly RunFolder[]
  /** Hosts that could not be asked. Empty when it was found where it was seen before. */
  readonly silent: readonly SilentHost[]
}
export type RunFolder = { readonly host: Host; readonly folder: string }

/** Null when nothing of this run is on any host. Outage when it was not found and a host that may have it cannot be asked. */
export async function findRun(hosts: readonly Host[], runId: RunId): Promise<RunMachine | null> {
  const { machine, silent } = await searchRun(hosts, runId)
  const [first] = silent
  if (machine === null && first !== undefined) throw first.error
  return machine
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

/** For making and removing: an Outage when it may be at a host that does not answer. */
export async function searchBegun(
  hosts: readonly Host[],
  runId: RunId,
  whereabouts: Whereabouts,
): Promise<RunSearch> {
  const search = await searchRun(hosts, runId)
  refuseUnseen(hosts, whereabouts, { ...search, found: search.machine?.host ?? null })
  return search
}

/** Asks where it was seen before; only when it is not there, all hosts. Never fails for a host that does not answer. */
async function searchRun(hosts: readonly Host[], runId: RunId): Promise<RunSearch> {
  const before = hosts.filter((host) => seenRuns.get(host)?.has(runId))
  const first = await searchHosts(before, runId)
  if (first.machine !== null || before.length === hosts.length) return first
  const rest = await searchHosts(
    hosts.filter((host) => !before.includes(host)),
    runId,
  )
  return {
    machine: rest.machine,
    folders: [...first.folders, ...rest.folders],
    silent: [...first.silent, ...rest.silent],
  }
}

async function searchHosts(hosts: readonly Host[], runId: RunId): Promise<RunSearch> {
  const searches = await Promise.all(hosts.map((host) => searchHost(host, runId)))
  return {
    machine: searches.map(({ machine }) => machine).find((machine) => machine !== null) ?? null,
    folders: searches.flatMap(({ folders }) => folders),
    silent: searches.flatMap(({ silent }) => silent),
  }
}

async function searchHost(host: Host, runId: RunId): Promise<RunSearch> {
  try {
    const entries = await host.list(host.machinesFolder)
    const folders = entries
      .filter(({ name, kind }) => kind === 'folder' && name.endsWith(folderEnd(runId)))
      .map(({ name }) => ({ host, folder: join(host.machinesFolder, name) }))
    for (const { folder } of folders) {
      const machine = await loadRunMachine(host, folder)
      if (machine?.definition.ownedBy !== runId) continue
      seenRuns.set(host, (seenRuns.get(host) ?? new Set<RunId>()).add(runId))
      return { machine, folders, silent: [] }
    }
    return { machine: null, folders, silent: [] }
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    return { machine: null, folders: [], silent: [{ host, error }] }
  }
}

/** The run's machine has been removed. */
export const forgetRun = (host: Host, runId: RunId): void => void seenRuns.get(host)?.delete(runId)

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
