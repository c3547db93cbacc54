// Finding machines on the site's hosts: our own folders with a machine.json, and monitor sockets of QEMUs that somebody
// else started.
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import { hasProcess } from './elsewhere.ts'
import type { Host } from './host.ts'
import { loadMachineDefinition, machineFiles } from './machine-definition.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { digest } from './ownership.ts'

/** A host (`folder` is null) or a folder of it that could not be read just now; what lies in it may be there all the same. */
export type Unread = {
  readonly host: Host
  readonly folder: string | null
  /** Not our folder: only the monitor of a QEMU that somebody else started did not answer. */
  readonly foreignMonitor: string | null
  readonly error: Outage
}

export type Survey = {
  readonly machines: readonly MachineLocation[]
  /** Hosts that answered, even if not for every folder. */
  readonly hosts: readonly Host[]
  readonly unread: readonly Unread[]
}

export interface MachineDirectory {
  /** What the hosts that answer have, and what could not be read. A machine that several hosts show is there once: where it runs. */
  survey(signal?: AbortSignal): Promise<Survey>
  /** All machines of all hosts. Outage when a host or a folder cannot be read. */
  all(signal?: AbortSignal): Promise<readonly MachineLocation[]>
  /**
   * Refusal `source/no-such-machine` when no host has it; Outage when it was not found and a host or folder that may have it
   * cannot be read.
   */
  find(ref: MachineRef, signal?: AbortSignal): Promise<MachineLocation>
}

const FOREIGN_SOCKET = /\.(sock|qmp)$/
const FOREIGN_MILLISECONDS = 2000
const SIDE_BY_SIDE = 8

/** `onProblem` hears of every folder that could not be read as a machine. */
export function machineDirectory(
  hosts: readonly Host[],
  onProblem: (problem: { host: string; folder: string; error: unknown }) => void,
): MachineDirectory {
  /** Where each machine was last seen. More than one: they share storage, or a copy stayed behind. */
  const places = new Map<MachineRef, readonly MachineLocation[]>()

  const survey = async (signal?: AbortSignal): Promise<Survey> => {
    const found = await Promise.all(hosts.map((host) => readHost(host, onProblem, signal)))
    const machines = found.flatMap((one) => one.machines)
    const unread = found.flatMap((one) => one.unread)
    const before = [...places.values()].flat().filter((place) => unread.some((one) => covers(one, place)))
    places.clear()
    for (const machine of [...machines, ...before])
      places.set(machine.ref, [...(places.get(machine.ref) ?? []), machine])
    const now = new Set(machines)
    const chosen = await Promise.all(
      [...places.values()].map((all) => choosePlace(all.filter((place) => now.has(place)))),
    )
    return {
      machines: chosen.filter((machine) => machine !== null),
      hosts: hosts.filter((host) => !unread.some((one) => one.host === host && one.folder === null)),
      unread,
    }
  }

  return {
    survey,
    async all(signal) {
      const { machines, unread } = await survey(signal)
      const [first] = unread.filter(({ foreignMonitor }) => foreignMonitor === null)
      if (first !== undefined) throw first.error
      return machines
    },
    async find(ref, signal) {
      const { there, outage } = await stillThere(places.get(ref) ?? [])
      const known = await choosePlace(there)
      if (known !== null) return known
      const { machines, unread } = await survey(signal)
      const found = machines.find((machine) => machine.ref === ref)
      if (found !== undefined) return found
      if (outage !== null) throw outage
      for (const one of unread) if (await mayHide(one, ref, signal)) throw one.error
      throw noSuchMachine(ref)
    },
  }
}

const covers = ({ host, folder }: Unread, place: MachineLocation): boolean =>
  host === place.host && (folder === null || folder === place.folder)

/** Null: none. Of several the one that runs; else the first. */
async function choosePlace(places: readonly MachineLocation[]): Promise<MachineLocation | null> {
  const [first, ...others] = places
  if (first === undefined || others.length === 0) return first ?? null
  const looks = await Promise.allSettled(places.map(({ host, ref }) => hasProcess(host, ref)))
  return places.find((_, index) => isTrue(looks[index])) ?? first
}

const isTrue = (look: PromiseSettledResult<boolean> | undefined): boolean =>
  look?.status === 'fulfilled' && look.value

/** A foreign monitor that is always busy must not hide every machine of the site: its process says which one it is. */
async function mayHide(
  { host, foreignMonitor }: Unread,
  ref: MachineRef,
  signal?: AbortSignal,
): Promise<boolean> {
  if (foreignMonitor === null) return true
  return ref === socketRef(host, foreignMonitor) || hasProcess(host, ref, signal)
}

type Read = { readonly machines: readonly MachineLocation[]; readonly unread: readonly Unread[] }
type OnProblem = Parameters<typeof machineDirectory>[1]

async function readHost(host: Host, onProblem: OnProblem, signal: AbortSignal | undefined): Promise<Read> {
  try {
    const folders = (await listMachines(host)).filter(({ kind }) => kind === 'folder')
    const read = await inGroups(folders, SIDE_BY_SIDE, ({ name }) => {
      signal?.throwIfAborted()
      return readOrTell(host, join(host.machinesFolder, name), onProblem)
    })
    return {
      machines: read.flatMap(({ machines }) => machines),
      unread: read.flatMap(({ unread }) => unread),
    }
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    return { machines: [], unread: [{ host, folder: null, foreignMonitor: null, error }] }
  }
}

async function readOrTell(host: Host, folder: string, onProblem: OnProblem): Promise<Read> {
  try {
    const read = await readFolder(host, folder)
    for (const { error } of read.unread) onProblem({ host: host.name, folder, error })
    return read
  } catch (error) {
    onProblem({ host: host.name, folder, error })
    // What we may never enter, such as lost+found, is no machine of ours. Anything else may be one in a moment.
    const passing = error instanceof Outage && !isForbidden(error.cause)
    return { machines: [], unread: passing ? [{ host, folder, foreignMonitor: null, error }] : [] }
  }
}

/** EACCES of this computer; 3 is SSH_FX_PERMISSION_DENIED (draft-ietf-secsh-filexfer-02 section 7). */
const isForbidden = (cause: unknown): boolean =>
  cause instanceof Error && ['EACCES', 'EPERM', 3].includes((cause as { code?: string | number }).code ?? '')

/** The places as they are now: definitions are read afresh, because disks may have changed. */
async function stillThere(
  places: readonly MachineLocation[],
): Promise<{ readonly there: readonly MachineLocation[]; readonly outage: Outage | null }> {
  const there: MachineLocation[] = []
  let outage: Outage | null = null
  for (const place of places) {
    try {
      const now = await lookAgain(place)
      if (now !== null) there.push(now)
    } catch (error) {
      if (!(error instanceof Outage)) throw error
      outage = error
    }
  }
  return { there, outage }
}

async function lookAgain(machine: MachineLocation): Promise<MachineLocation | null> {
  const definition = await loadMachineDefinition(machine.host, machine.folder)
  if (definition === null) {
    if (machine.definition !== null) return null
    return (await machine.host.status(machine.monitorPath)) === null ? null : machine
  }
  return definition.ref === machine.ref ? { ...machine, name: definition.name, definition } : null
}

async function readFolder(host: Host, folder: string): Promise<Read> {
  const definition = await loadMachineDefinition(host, folder)
  if (definition !== null) {
    const files = machineFiles(folder)
    const machine: MachineLocation = {
      ref: definition.ref,
      name: definition.name,
      host,
      folder,
      monitorPath: files.monitor,
      agentPath: definition.guestAgent ? files.agent : null,
      definition,
    }
    return { machines: [machine], unread: [] }
  }
  const entries = await host.list(folder)
  const agentPath = entries.some(({ name }) => name === 'agent.sock') ? join(folder, 'agent.sock') : null
  const sockets = entries.filter(
    ({ name, kind }) =>
      kind === 'socket' && FOREIGN_SOCKET.test(name) && name !== 'agent.sock' && !name.startsWith('us-'),
  )
  const asked = await Promise.all(sockets.map(({ name }) => askForeign(host, folder, name, agentPath)))
  return {
    machines: asked.flatMap((one) => (one !== null && 'ref' in one ? [one] : [])),
    unread: asked.flatMap((one) => (one !== null && 'error' in one ? [one] : [])),
  }
}

async function askForeign(
  host: Host,
  folder: string,
  socket: string,
  agentPath: string | null,
): Promise<MachineLocation | Unread | null> {
  const monitorPath = join(folder, socket)
  const fallbackName = socket.replace(FOREIGN_SOCKET, '')
  const location = {
    // A QEMU without -uuid says zeros, and so does the next one: its socket is what tells them apart.
    ref: socketRef(host, monitorPath),
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
    if (error instanceof Outage) return { host, folder, foreignMonitor: monitorPath, error }
    throw error
  }
}

const socketRef = (host: Host, monitorPath: string): MachineRef =>
  `socket-${digest(`${host.name}:${monitorPath}`)}` as MachineRef

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
    remedy:
      'Refresh the inventory: it may have been removed or moved. If it is lost, its replica can be brought up by an unplanned failover.',
  })
