// Finding machines on the site's hosts: our own folders with a machine.json, and monitor sockets of QEMUs that somebody
// else started.
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Host } from './host.ts'
import { loadMachineDefinition, machineFiles } from './machine-definition.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { digest } from './ownership.ts'

export interface MachineDirectory {
  /** All machines of all hosts. A folder that cannot be read as a machine is left out and told to `onProblem`. */
  all(signal?: AbortSignal): Promise<readonly MachineLocation[]>
  /** Refusal `source/no-such-machine` when no host has it; Outage when a host that may have it cannot be asked. */
  find(ref: MachineRef, signal?: AbortSignal): Promise<MachineLocation>
}

const FOREIGN_SOCKET = /\.(sock|qmp)$/
const FOREIGN_MILLISECONDS = 2000
const SIDE_BY_SIDE = 8

export function machineDirectory(
  hosts: readonly Host[],
  onProblem: (problem: { host: string; folder: string; error: unknown }) => void,
): MachineDirectory {
  const known = new Map<MachineRef, MachineLocation>()

  const all = async (signal?: AbortSignal): Promise<readonly MachineLocation[]> => {
    const found: MachineLocation[] = []
    for (const host of hosts) {
      const folders = (await listMachines(host)).filter(({ kind }) => kind === 'folder')
      const machines = await inGroups(folders, SIDE_BY_SIDE, async ({ name }) => {
        signal?.throwIfAborted()
        const folder = join(host.machinesFolder, name)
        try {
          return await readFolder(host, folder)
        } catch (error) {
          onProblem({ host: host.name, folder, error })
          return []
        }
      })
      found.push(...machines.flat())
    }
    known.clear()
    for (const machine of found) known.set(machine.ref, machine)
    return found
  }

  return {
    all,
    async find(ref, signal) {
      const remembered = known.get(ref)
      const location = remembered === undefined ? null : await stillThere(remembered)
      if (location !== null) return location
      await all(signal)
      const found = known.get(ref)
      if (found === undefined) throw noSuchMachine(ref)
      return found
    },
  }
}

/** The location as it is now: the definition is read afresh, because its disks may have changed. */
async function stillThere(machine: MachineLocation): Promise<MachineLocation | null> {
  const definition = await loadMachineDefinition(machine.host, machine.folder)
  if (definition === null) {
    if (machine.definition !== null) return null
    return (await machine.host.status(machine.monitorPath)) === null ? null : machine
  }
  return definition.ref === machine.ref ? { ...machine, name: definition.name, definition } : null
}

async function readFolder(host: Host, folder: string): Promise<readonly MachineLocation[]> {
  const definition = await loadMachineDefinition(host, folder)
  if (definition !== null) {
    const files = machineFiles(folder)
    return [
      {
        ref: definition.ref,
        name: definition.name,
        host,
        folder,
        monitorPath: files.monitor,
        agentPath: definition.guestAgent ? files.agent : null,
        definition,
      },
    ]
  }
  const entries = await host.list(folder)
  const agentPath = entries.some(({ name }) => name === 'agent.sock') ? join(folder, 'agent.sock') : null
  const sockets = entries.filter(
    ({ name, kind }) =>
      kind === 'socket' && FOREIGN_SOCKET.test(name) && name !== 'agent.sock' && !name.startsWith('us-'),
  )
  const machines = await Promise.all(sockets.map(({ name }) => askForeign(host, folder, name, agentPath)))
  return machines.filter((machine) => machine !== null)
}

async function askForeign(
  host: Host,
  folder: string,
  socket: string,
  agentPath: string | null,
): Promise<MachineLocation | null> {
  const monitorPath = join(folder, socket)
  const fallbackName = socket.replace(FOREIGN_SOCKET, '')
  const location = {
    // A QEMU without -uuid says zeros, and so does the next one: its socket is what tells them apart.
    ref: `socket-${digest(`${host.name}:${monitorPath}`)}` as MachineRef,
    name: fallbackName,
    host,
    folder,
    monitorPath,
    agentPath,
    definition: null,
  }
  try {
    return await withMonitor(
      location,
      async (qmp) => {
        const { UUID } = await qmp.execute<{ readonly UUID: string }>('query-uuid')
        const { name } = await qmp.execute<{ readonly name?: string }>('query-name')
        const ref = /^[0-]*$/.test(UUID) ? location.ref : (UUID as MachineRef)
        return { ...location, ref, name: name ?? fallbackName }
      },
      { connectMilliseconds: FOREIGN_MILLISECONDS },
    )
  } catch (error) {
    // A socket file that nobody listens on is what a stopped QEMU leaves behind.
    if (error instanceof Outage && error.code === 'kvm/socket-closed') return null
    throw error
  }
}

/** In order, with at most `count` under way. */
export async function inGroups<Item, Result>(
  items: readonly Item[],
  count: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const worker = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      const item = items[index]
      if (item !== undefined) results[index] = await work(item)
    }
  }
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, worker))
  return results
}

/** A folder that is not there says nothing about its machines: its disk may not be mounted. That they have gone would end protections. */
async function listMachines(host: Host) {
  const entries = await host.list(host.machinesFolder)
  if (entries.length > 0 || (await host.status(host.machinesFolder)) !== null) return entries
  throw new Outage({
    code: 'kvm/machines-folder-missing',
    message: `The machines folder ${host.machinesFolder} of host ${host.name} is not there`,
    remedy: 'Mount its disk or bring the folder back; or correct the path in the settings of the site.',
  })
}

const noSuchMachine = (ref: MachineRef): Refusal =>
  new Refusal({
    code: 'source/no-such-machine',
    message: `No host of this site has a machine ${ref}`,
    remedy: 'Refresh the inventory; the machine may have been removed or moved.',
  })
