// Finding machines: libvirt knows them.
import { Outage, Refusal } from '@understudy/base/errors'
import type { DiscoveredMachine, MachineRef, PowerState } from '@understudy/domain/machines/machine'
import { inGroups, type MachineDirectory, type Unread } from '../machine-directory.ts'
import type { MachineLocation } from '../monitor.ts'
import { ownEnds } from '../own-ends.ts'
import type { SilentHost } from '../whereabouts.ts'
import { type Domain, parseDomain, toDefinition, toHardware } from './domain-xml.ts'
import { agentAddress, findDomain, type LibvirtHost, monitorAddress } from './libvirt-host.ts'
import { isNoSuchDomain } from './virsh-failure.ts'
import { type VirshSession, word } from './virsh-session.ts'

export type LibvirtMachine = {
  readonly host: LibvirtHost
  readonly domain: Domain
  readonly location: MachineLocation
  /** The other hosts of its site: it may be defined there too, and run there. */
  readonly otherHosts: readonly LibvirtHost[]
  /** What we know of its end on this host; see own-ends.ts. */
  readonly end: { note(): void; holds(): boolean }
}

export type LibvirtSearch = {
  readonly machine: LibvirtMachine | null
  readonly silent: readonly SilentHost[]
}

export interface LibvirtDirectory extends MachineDirectory {
  /** As it is now, on the host where it runs, else on one that knows it; and who could not be asked. */
  search(ref: MachineRef, signal?: AbortSignal): Promise<LibvirtSearch>
  /** The same. Null when no host has it; Outage when it was not found and a host that may have it cannot be asked. */
  lookFor(ref: MachineRef, signal?: AbortSignal): Promise<LibvirtMachine | null>
  /** As it is now. Errors as `find`. */
  findMachine(ref: MachineRef, signal?: AbortSignal): Promise<LibvirtMachine>
  inventory(signal?: AbortSignal): Promise<readonly DiscoveredMachine[]>
}

/** Bounds how much one virsh is asked at once. */
const SIDE_BY_SIDE = 8

export function libvirtDirectory(hosts: readonly LibvirtHost[]): LibvirtDirectory {
  /** Where each machine was last seen running, to ask that host first. */
  const ranAt = new Map<MachineRef, LibvirtHost>()
  const ends = ownEnds()
  const noteSeen = (domain: Domain, host: LibvirtHost): void => {
    if (!domain.active) return
    ranAt.set(domain.ref, host)
    ends.forget(domain.ref)
  }

  const toMachine = ({ host, domain, bytes }: Known): LibvirtMachine => {
    noteSeen(domain, host)
    return {
      host,
      domain,
      location: toLocation(host, domain, bytes),
      otherHosts: hosts.filter((other) => other !== host),
      end: { note: () => ends.note(domain.ref, host), holds: () => ends.holds(domain.ref, host) },
    }
  }
  const search = async (ref: MachineRef, signal?: AbortSignal): Promise<LibvirtSearch> => {
    const last = ranAt.get(ref)
    const first = last === undefined ? null : await askHost(last, ref, signal)
    // Where it runs there is nothing to ask the others.
    if (first !== null && 'domain' in first && first.domain.active)
      return { machine: toMachine(first), silent: [] }
    const others = hosts.filter((host) => host !== last)
    const answers = [first, ...(await Promise.all(others.map((host) => askHost(host, ref, signal))))]
    const known = answers.filter((answer) => answer !== null && 'domain' in answer)
    const found =
      known.find(({ domain }) => domain.active) ?? known.find(({ movedAway }) => !movedAway) ?? known[0]
    return {
      machine: found === undefined ? null : toMachine(found),
      silent: answers.filter((answer) => answer !== null && 'error' in answer),
    }
  }
  const lookFor = async (ref: MachineRef, signal?: AbortSignal): Promise<LibvirtMachine | null> => {
    const { machine, silent } = await search(ref, signal)
    const [first] = silent
    if (machine === null && first !== undefined) throw first.error
    return machine
  }
  const findMachine = async (ref: MachineRef, signal?: AbortSignal): Promise<LibvirtMachine> => {
    const machine = await lookFor(ref, signal)
    if (machine === null) throw noSuchMachine(ref)
    return machine
  }
  const readAll = async (signal?: AbortSignal) => {
    const asked = await Promise.all(hosts.map((host) => readOrSilent(host, signal)))
    const found = asked.flatMap((one) => one.found)
    for (const { host, domain } of found) noteSeen(domain, host)
    const unread = asked.flatMap((one) => one.unread)
    const answered = hosts.filter((host) => !unread.some((one) => one.host === host))
    return { found: whereTheyRun(found), hosts: answered, unread }
  }
  const readInventory = libvirtInventory(readAll)
  return {
    search,
    lookFor,
    findMachine,
    find: async (ref, signal) => (await findMachine(ref, signal)).location,
    async survey(signal) {
      const { found, ...rest } = await readAll(signal)
      return { ...rest, machines: found.map(({ host, domain, bytes }) => toLocation(host, domain, bytes)) }
    },
    async all(signal) {
      const { found, unread } = await readAll(signal)
      const [silent] = unread
      if (silent !== undefined) throw silent.error
      return found.map(({ host, domain, bytes }) => toLocation(host, domain, bytes))
    },
    inventory: readInventory,
  }
}

type Known = {
  readonly host: LibvirtHost
  readonly domain: Domain
  readonly bytes: ReadonlyMap<string, number>
  /** It is defined here still, but was migrated to another host. */
  readonly movedAway: boolean
}

/** Null: this host does not know it. */
async function askHost(
  host: LibvirtHost,
  ref: MachineRef,
  signal: AbortSignal | undefined,
): Promise<Known | SilentHost | null> {
  try {
    return await host.virsh(async (session) => {
      const domain = await findDomain(session, ref)
      if (domain === null) return null
      const movedAway = !domain.active && (await readState(session, ref)) === 'migrated'
      return { host, domain, bytes: await readSizes(session, ref), movedAway }
    }, signal)
  } catch (error) {
    if (error instanceof Outage) return { host, error }
    throw error
  }
}

/** A domain that was migrated away may stay defined where it was: the one that runs counts. */
function whereTheyRun(found: readonly Found[]): readonly Found[] {
  const chosen = new Map<MachineRef, Found>()
  for (const one of found) {
    const other = chosen.get(one.domain.ref)
    if (other === undefined || rankOf(one) > rankOf(other)) chosen.set(one.domain.ref, one)
  }
  return [...chosen.values()]
}

const rankOf = ({ domain, power }: Found): number => (domain.active ? 2 : power === 'off' ? 1 : 0)

type ReadAll = (signal?: AbortSignal) => Promise<{
  readonly found: readonly Found[]
  readonly hosts: readonly LibvirtHost[]
  readonly unread: readonly Unread[]
}>

/** See inventoryReader: what a silent host had is listed with power `unknown`. Outage when that host was never read. */
function libvirtInventory(readAll: ReadAll): LibvirtDirectory['inventory'] {
  let before: readonly DiscoveredMachine[] = []
  const seenHosts = new Set<string>()
  return async (signal) => {
    const { found, hosts, unread } = await readAll(signal)
    const silent = unread.find(({ host }) => !seenHosts.has(host.name))
    if (silent !== undefined) throw silent.error
    const now = found.map(toRow)
    const refs = new Set(now.map(({ ref }) => ref))
    const hidden = before
      .filter(({ ref, host }) => !refs.has(ref) && unread.some((one) => one.host.name === host))
      .map((row) => ({ ...row, power: 'unknown' as const }))
    for (const host of hosts) seenHosts.add(host.name)
    before = [...now, ...hidden]
    return before
  }
}

const toRow = ({ host, domain, bytes, power }: Found): DiscoveredMachine => ({
  ref: domain.ref,
  name: domain.name,
  host: host.name,
  power,
  hardware: toHardware(domain, bytes),
  guestAgent: domain.agentChannel,
  ownedBy: domain.ownedBy,
})

type Found = {
  readonly host: LibvirtHost
  readonly domain: Domain
  readonly bytes: ReadonlyMap<string, number>
  readonly power: PowerState
}

async function readOrSilent(
  host: LibvirtHost,
  signal: AbortSignal | undefined,
): Promise<{ readonly found: readonly Found[]; readonly unread: readonly Unread[] }> {
  try {
    return { found: await readHost(host, signal), unread: [] }
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    return { found: [], unread: [{ host, folder: null, foreignMonitor: null, error }] }
  }
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

/** A domain that was migrated away is shut off where it was, and runs elsewhere: never off. */
export async function readPower(session: VirshSession, ref: MachineRef): Promise<PowerState> {
  const state = await readState(session, ref)
  return state === 'migrated' ? 'unknown' : state
}

/** `virsh domstate` in our words: https://libvirt.org/manpages/virsh.html#domstate */
export async function readState(session: VirshSession, ref: MachineRef): Promise<PowerState | 'migrated'> {
  const answer = await session.ask(`domstate ${word(ref)} --reason`)
  const [, state = answer, reason] = /^(.*) \((.*)\)$/.exec(answer) ?? []
  switch (state) {
    case 'running':
    case 'idle':
    case 'in shutdown':
      return 'running'
    case 'shut off':
      return reason === 'migrated' ? 'migrated' : 'off'
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
    remedy:
      'Refresh the inventory: it may have been removed or moved. If it is lost, its replica can be brought up by an unplanned failover.',
  })
