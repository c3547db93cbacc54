// Machines of a libvirt as a source of replication. libvirt is inventory, identity and power; points are those of the QMP driver.
import type { Duplex } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { type EvidenceOfOff, unclear } from '../power.ts'
import type { SitePower } from '../site-power.ts'
import { kvmSource } from '../source.ts'
import { refuseDomainDrift } from './domain-drift.ts'
import { replicable } from './domain-xml.ts'
import type { LibvirtDirectory, LibvirtMachine } from './libvirt-directory.ts'
import { folderFindings, libvirtFindings } from './libvirt-eligibility.ts'
import type { LibvirtHost } from './libvirt-host.ts'
import {
  evidenceOfOff,
  libvirtPowerState,
  powerOffDomain,
  shutDownDomain,
  startDomain,
} from './libvirt-power.ts'

export type LibvirtSourceDeps = {
  readonly hosts: readonly LibvirtHost[]
  readonly directory: LibvirtDirectory
  readonly clock: Clock
  readonly bootDeadlineSeconds: number
  /** See PreparePointDeps.scratchBytes. */
  readonly scratchBytes?: number
}

const POLL_MILLISECONDS = 5000
/** Every command is a round trip to libvirt, and every visit starts virsh: some tenths of a second for a cycle. */
const SHORTEST_INTERVAL_SECONDS = 5

export function libvirtSource(deps: LibvirtSourceDeps): SourcePlatform {
  const { hosts, clock, directory } = deps
  const prove: EvidenceOfOff = async ({ ref }) => evidenceOfOff(await directory.findMachine(ref))
  const power: SitePower = {
    locate: directory.find,
    state: async (ref, signal) => libvirtPowerState(await directory.findMachine(ref, signal), signal),
    evidenceOfOff: prove,
    // Machines are ended through libvirt, below.
    watchEnd: async () => prove,
  }
  const points = kvmSource({ ...deps, power })
  return {
    ...points,
    shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS,
    inventory: (signal) => directory.inventory(signal),
    watch: (onChange, signal) => watchDomains(hosts, directory, onChange, signal),
    async eligibility(ref, signal) {
      const machine = await directory.findMachine(ref, signal)
      const common = await points.eligibility(ref, signal)
      const ours = [...libvirtFindings(machine.domain), ...(await folderFindings(machine))]
      // What both find, such as a disk on IDE, is said once.
      const also = common.findings.filter(({ code }) => !ours.some((finding) => finding.code === code))
      return { ...common, findings: [...also, ...ours], shortestIntervalSeconds: SHORTEST_INTERVAL_SECONDS }
    },
    powerState: power.state,
    async shutDown(ref, options) {
      const machine = await directory.findMachine(ref, options.signal)
      await refuseDomainDrift(machine, options.excludedDisks ?? [], options.signal)
      return shutDownDomain(machine, clock, options)
    },
    powerOff: async (ref, signal) => powerOffDomain(await directory.findMachine(ref, signal), clock),
    async start(ref, signal) {
      const machine = await directory.findMachine(ref, signal)
      if ((await libvirtPowerState(machine, signal)) === 'unknown') throw unclear(machine.location, 'start')
      await startDomain(machine, { bootDeadlineSeconds: deps.bootDeadlineSeconds, signal })
    },
    async openStoppedDisks(ref, options, signal) {
      const machine = await directory.findMachine(ref, signal)
      refuseUnreadable(machine, options.excludedDisks)
      if ((await evidenceOfOff(machine)) === null) throw notOff(machine)
      await machine.host.makeFolder(machine.location.folder)
      return points.openStoppedDisks(ref, options, signal)
    },
  }
}

/** A disk that is left out in silence would be missing at the other site. */
function refuseUnreadable({ domain }: LibvirtMachine, excluded: readonly DiskKey[]): void {
  const readable = new Set(replicable(domain).map(({ target }) => target))
  const missing = domain.disks.find(
    ({ key, target }) => !readable.has(target) && (key === null || !excluded.includes(key)),
  )
  if (missing === undefined) return
  throw new Refusal({
    code: 'source/storage-kind',
    message: `Disk ${missing.target} of ${domain.name} cannot be read while the machine is off`,
    remedy: 'Look at its eligibility; exclude the disk.',
  })
}

const notOff = ({ domain }: LibvirtMachine): Refusal =>
  new Refusal({
    code: 'source/not-off',
    message: `${domain.name} is not off, so its disks still change`,
    remedy: 'Shut it down first.',
  })

/** libvirt says at once when a machine starts, stops, comes or goes; a look every few seconds finds the rest. */
function watchDomains(
  hosts: readonly LibvirtHost[],
  directory: LibvirtDirectory,
  onChange: () => void,
  signal: AbortSignal,
): void {
  for (const host of hosts) void followEvents(host, onChange, signal)
  void poll(directory, onChange, signal)
}

/** Only hints: when virsh cannot be started, polling does it alone. */
async function followEvents(host: LibvirtHost, onChange: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const args = ['-q', '-c', host.uri, 'event', '--event', 'lifecycle', '--loop']
    const stream = await host.spawn('virsh', args).catch((error: unknown) => {
      if (error instanceof Outage || error instanceof Refusal) return null
      throw error
    })
    if (stream !== null) await untilEnd(stream, onChange, signal)
    await sleep(POLL_MILLISECONDS, undefined, { signal }).catch(() => undefined)
  }
}

function untilEnd(stream: Duplex, onChange: () => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => void stream.destroy()
    const end = (): void => {
      signal.removeEventListener('abort', stop)
      stop()
      resolve()
    }
    stream.on('data', onChange)
    stream.on('error', end)
    stream.once('end', end)
    stream.once('close', end)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
  })
}

async function poll(directory: LibvirtDirectory, onChange: () => void, signal: AbortSignal): Promise<void> {
  let before: string | null = null
  while (!signal.aborted) {
    // Not reachable is a change as well: whoever listens will find out by asking.
    const now = await directory.inventory(signal).then(JSON.stringify, () => 'unreachable')
    if (signal.aborted) return
    if (before !== null && now !== before) onChange()
    before = now
    await sleep(POLL_MILLISECONDS, undefined, { signal }).catch(() => undefined)
  }
}
