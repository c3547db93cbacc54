// Finding machines: libvirt knows them.
import { Refusal } from '@understudy/base/errors'
import type { DiscoveredMachine, MachineRef, PowerState } from '@understudy/domain/machines/machine'
import { inGroups, type MachineDirectory } from '../machine-directory.ts'
import type { MachineLocation } from '../monitor.ts'
import { type Domain, parseDomain, toDefinition, toHardware } from './domain-xml.ts'
import { agentAddress, findDomain, type LibvirtHost, monitorAddress } from './libvirt-host.ts'
import { isNoSuchDomain } from './virsh-failure.ts'
import { type VirshSession, word } from './virsh-session.ts'

export type LibvirtMachine = {
  readonly host: LibvirtHost
  readonly domain: Domain
  readonly location: MachineLocation
}

export interface LibvirtDirectory extends MachineDirectory {
  /** As it is now. Errors as `find`. */
  findMachine(ref: MachineRef, signal?: AbortSignal): Promise<LibvirtMachine>
  /** As it is now. Null when no host has it. */
  lookFor(ref: MachineRef, signal?: AbortSignal): Promise<LibvirtMachine | null>
  inventory(signal?: AbortSignal): Promise<readonly DiscoveredMachine[]>
}

/** Bounds how much one virsh is asked at once. */
const SIDE_BY_SIDE = 8

export function libvirtDirectory(hosts: readonly LibvirtHost[]): LibvirtDirectory {
  /** Where each machine was last seen, to ask that host first. */
  const seen = new Map<MachineRef, LibvirtHost>()

  const lookFor = async (ref: MachineRef, signal?: AbortSignal): Promise<LibvirtMachine | null> => {
    const last = seen.get(ref)
    const order = last === undefined ? hosts : [last, ...hosts.filter((host) => host !== last)]
    for (const host of order) {
      const found = await host.virsh(async (session) => {
        const domain = await findDomain(session, ref)
        return domain === null ? null : { domain, bytes: await readSizes(session, ref) }
      }, signal)
      if (found === null) continue
      seen.set(ref, host)
      const { domain, bytes } = found
      return { host, domain, location: toLocation(host, domain, bytes) }
    }
    return null
  }
  const findMachine = async (ref: MachineRef, signal?: AbortSignal): Promise<LibvirtMachine> => {
    const machine = await lookFor(ref, signal)
    if (machine === null) throw noSuchMachine(ref)
    return machine
  }
  const readAll = async (signal?: AbortSignal) => {
    const found = await Promise.all(hosts.map((host) => readHost(host, signal)))
    for (const { host, domain } of found.flat()) seen.set(domain.ref, host)
    return found.flat()
  }
  return {
    findMachine,
    lookFor,
    find: async (ref, signal) => (await findMachine(ref, signal)).location,
    all: async (signal) =>
      (await readAll(signal)).map(({ host, domain, bytes }) => toLocation(host, domain, bytes)),
    inventory: async (signal) =>
      (await readAll(signal)).map(({ host, domain, bytes, power }) => ({
        ref: domain.ref,
        name: domain.name,
        host: host.name,
        power,
        hardware: toHardware(domain, bytes),
        guestAgent: domain.agentChannel,
        ownedBy: domain.ownedBy,
      })),
  }
}

type Found = {
  readonly host: LibvirtHost
  readonly domain: Domain
  readonly bytes: ReadonlyMap<string, number>
  readonly power: PowerState
}

const readHost = (host: LibvirtHost, signal: AbortSignal | undefined): Promise<readonly Found[]> =>
  host.virsh(async (session) => {
    const list = await session.ask('list --all --uuid')
    const refs = list.split('\n').filter((line) => line.trim() !== '') as MachineRef[]
    const found = await inGroups(refs, SIDE_BY_SIDE, async (ref): Promise<readonly Found[]> => {
      signal?.throwIfAborted()
      try {
        const domain = parseDomain(await session.ask(`dumpxml ${word(ref.trim())}`))
        if (domain === null) return []
        const bytes = await readSizes(session, domain.ref)
        return [{ host, domain, bytes, power: await readPower(session, domain.ref) }]
      } catch (error) {
        // Removed since the list was made.
        if (isNoSuchDomain(error)) return []
        throw error
      }
    })
    return found.flat()
  }, signal)

/** Bytes by target. A disk that libvirt cannot look into (its file is missing, say) is left out. */
export async function readSizes(
  session: VirshSession,
  ref: MachineRef,
): Promise<ReadonlyMap<string, number>> {
  const table = await session.ask(`domblkinfo ${word(ref)} --all`).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'kvm/libvirt-failed') return ''
    throw error
  })
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/))
  return new Map(
    rows.flatMap(([target = '', capacity = '']): [string, number][] =>
      /^\d+$/.test(capacity) ? [[target, Number(capacity)]] : [],
    ),
  )
}

/** `virsh domstate` in our words: https://libvirt.org/manpages/virsh.html#list */
export async function readPower(session: VirshSession, ref: MachineRef): Promise<PowerState> {
  const state = await session.ask(`domstate ${word(ref)}`)
  switch (state) {
    case 'running':
    case 'idle':
    case 'in shutdown':
      return 'running'
    case 'shut off':
      return 'off'
    case 'paused':
    case 'pmsuspended':
      return 'paused'
    // `crashed` and `no state`: there may still be a process.
    default:
      return 'unknown'
  }
}

const toLocation = (
  host: LibvirtHost,
  domain: Domain,
  bytes: ReadonlyMap<string, number>,
): MachineLocation => ({
  ref: domain.ref,
  name: domain.name,
  host,
  folder: host.folderOf(domain.ref),
  monitorPath: monitorAddress(domain.ref),
  agentPath: domain.agentChannel ? agentAddress(domain.ref) : null,
  definition: toDefinition(domain, bytes),
})

const noSuchMachine = (ref: MachineRef): Refusal =>
  new Refusal({
    code: 'source/no-such-machine',
    message: `No libvirt of this site has a machine ${ref}`,
    remedy: 'Refresh the inventory; the machine may have been removed or moved.',
  })
