// A host whose machines belong to libvirt: everything as on the host itself, except that a machine's monitor and agent are
// reached through virsh, and that what is made for QEMU belongs to the user that libvirt runs it with.
import { createHash } from 'node:crypto'
import { dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Host } from '../host.ts'
import { hostFailed, socketClosed } from '../local-host.ts'
import { agentStream } from './agent-stream.ts'
import { type Domain, parseDomain } from './domain-xml.ts'
import { monitorStream } from './monitor-stream.ts'
import { freezingStream, openThawTimer } from './thaw-timer.ts'
import { isNoSuchDomain } from './virsh-failure.ts'
import { virshPool } from './virsh-pool.ts'
import { openVirsh, type VirshSession, word } from './virsh-session.ts'
import { all, one, parseXml, textOf } from './xml.ts'

export type LibvirtHost = Host & {
  handOver(path: string): Promise<void>
  readonly uri: string
  /** One virsh for everything that `work` asks. */
  virsh<Result>(work: (session: VirshSession) => Promise<Result>, signal?: AbortSignal): Promise<Result>
  /** Where we keep what belongs to a machine. Not there until it is needed. */
  folderOf(ref: MachineRef): string
}

/** Addresses for `connect`, in place of socket paths. */
export const monitorAddress = (ref: MachineRef): string => `libvirt:monitor:${ref}`
export const agentAddress = (ref: MachineRef): string => `libvirt:agent:${ref}`

export function libvirtHost(host: Host, uri: string): LibvirtHost {
  const pool = virshPool(() => openVirsh(host, uri))
  /** By folder, the user that its machine's QEMU runs with. */
  const owners = new Map<string, string>()
  /** The user of QEMUs that are still to be started. Null: our own. */
  let nextOwner: Promise<string | null> | null = null
  const findNextOwner = (): Promise<string | null> => {
    nextOwner ??= pool
      .use(async (session) => toQemuUser(await session.ask('capabilities')))
      .catch((error: unknown) => {
        nextOwner = null
        throw error
      })
    return nextOwner
  }
  const folderOf = (ref: MachineRef): string => join(host.machinesFolder, shortName(ref))

  const giveTo = async (path: string, owner: string): Promise<void> => {
    const result = await host.run('chown', [owner, path])
    if (result.code !== 0)
      throw hostFailed(host.name, `give ${path} to QEMU`, new Error(result.stderr.trim()))
  }
  const prepareFolder = async ({ ref, owner }: Domain): Promise<string> => {
    const folder = folderOf(ref)
    if (owners.get(folder) === owner && (await host.status(folder)) !== null) return folder
    await host.makeFolder(folder)
    if (owner !== null) {
      await giveTo(folder, owner)
      owners.set(folder, owner)
    }
    return folder
  }
  const openMonitor = async (ref: MachineRef, signal: AbortSignal | undefined): Promise<Duplex> => {
    const address = monitorAddress(ref)
    const look = (session: VirshSession): Promise<Domain> => findActive(session, host.name, address, ref)
    const folder = await prepareFolder(await pool.use(look, signal))
    const session = await openVirsh(host, uri, { lockPath: join(folder, 'us-visit.lock'), signal })
    try {
      // The lock is ours from here on. Between the two looks the machine may have gone.
      await look(session)
      return monitorStream(session, ref)
    } catch (error) {
      session.close()
      throw error
    }
  }
  return {
    ...host,
    place: `${host.place}, ${uri}`,
    uri,
    virsh: (work, signal) => pool.use(work, signal),
    folderOf,
    async handOver(path) {
      const owner = await findNextOwner()
      if (owner !== null) await giveTo(path, owner)
    },
    async connect(path, signal) {
      const [, kind, ref] = /^libvirt:(monitor|agent):(.+)$/.exec(path) ?? []
      if (ref === undefined) return host.connect(path, signal)
      if (kind === 'monitor') return openMonitor(ref as MachineRef, signal)
      return agentStream(await openVirsh(host, uri, { signal }), ref as MachineRef)
    },
    async connectToFreeze(agentPath, seconds) {
      const ref = agentPath.slice(agentAddress('' as MachineRef).length) as MachineRef
      return freezingStream(await openVirsh(host, uri), ref, await openThawTimer(host, { uri, ref, seconds }))
    },
    async createSparseFile(path, bytes, pieces) {
      await host.createSparseFile(path, bytes, pieces)
      const owner = owners.get(dirname(path))
      if (owner !== undefined) await giveTo(path, owner)
    },
    async close() {
      pool.close()
      await host.close()
    },
  }
}

/** `uid:gid`, as `virsh capabilities` says: https://libvirt.org/formatcaps.html. Null where QEMU runs as libvirtd itself. */
export function toQemuUser(capabilities: string): string | null {
  const host = one(one(parseXml(capabilities), 'capabilities'), 'host')
  const dac = all(host, 'secmodel').find((model) => textOf(model, 'model') === 'dac')
  const label = dac === undefined ? '' : textOf(dac, 'baselabel')
  const [, user, group] = /^\+?([\w-]+):\+?([\w-]+)$/.exec(label) ?? []
  return user === undefined || group === undefined ? null : `${user}:${group}`
}

/** The domain, when it has a QEMU. Outage `kvm/socket-closed` as from a socket that nobody listens on. */
async function findActive(
  session: VirshSession,
  hostName: string,
  address: string,
  ref: MachineRef,
): Promise<Domain> {
  const domain = await findDomain(session, ref)
  if (domain?.active === true) return domain
  throw socketClosed(hostName, address, new Error('libvirt says that it is shut off'))
}

/** Null when libvirt does not know it. */
export async function findDomain(session: VirshSession, ref: MachineRef): Promise<Domain | null> {
  try {
    return parseDomain(await session.ask(`dumpxml ${word(ref)}`))
  } catch (error) {
    if (isNoSuchDomain(error)) return null
    throw error
  }
}

/** Short, because a unix socket's path ends at 107 bytes. 48 bits tell the machines of one host apart. */
const shortName = (ref: MachineRef): string => createHash('sha256').update(ref).digest('hex').slice(0, 12)
