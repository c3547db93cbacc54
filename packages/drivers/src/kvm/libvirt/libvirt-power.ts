// Switching machines on and off through libvirt, with proof: libvirt says shut off, and no process with the machine's uuid lives.
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import type { MachineRef, PowerState } from '@understudy/domain/machines/machine'
import type { ShutDownProof } from '@understudy/engine/ports/source-platform'
import { hasProcess, judgeElsewhere, lookElsewhere } from '../elsewhere.ts'
import { withMonitor } from '../monitor.ts'
import { type StartOptions, stillOn, waitUntilRunning } from '../power.ts'
import { refuseHalfRestored } from '../restoring-marker.ts'
import { removeUnwanted } from '../stop-tracking.ts'
import { type LibvirtMachine, readPower, readState } from './libvirt-directory.ts'
import { findDomain, type LibvirtHost } from './libvirt-host.ts'
import { isNoSuchDomain } from './virsh-failure.ts'
import { word } from './virsh-session.ts'

const POLL_MILLISECONDS = 250
/** A guest that is still booting overlooks the button; it is pressed again now and then. */
const ASK_AGAIN_MILLISECONDS = 15_000
const DESTROY_MILLISECONDS = 60_000
const START_MILLISECONDS = 120_000

/**
 * `off` only with proof from every host of the site: a domain that was migrated away stays "shut off" where it was, and
 * libvirt also loses processes. `unknown` where a process lives that no libvirt speaks of, or a host cannot be asked.
 */
export async function libvirtPowerState(machine: LibvirtMachine, signal?: AbortSignal): Promise<PowerState> {
  const said = await libvirtSays(machine, signal)
  if (said === 'migrated') return 'unknown'
  if (said !== 'off') return said
  try {
    return (await evidenceOfOff(machine, signal)) === null ? 'unknown' : 'off'
  } catch (error) {
    if (error instanceof Outage && error.code === 'source/power-unknown') return 'unknown'
    throw error
  }
}

/** What its host's libvirt alone says. A transient domain that it has forgotten is off as far as it knows. */
async function libvirtSays(
  { host, domain }: LibvirtMachine,
  signal?: AbortSignal,
): Promise<PowerState | 'migrated'> {
  try {
    return await host.virsh((session) => readState(session, domain.ref), signal)
  } catch (error) {
    if (isNoSuchDomain(error)) return 'off'
    throw error
  }
}

/** Null while it may run. Outage `source/power-unknown` when another host runs it, or cannot be asked and may. */
export async function evidenceOfOff(machine: LibvirtMachine, signal?: AbortSignal): Promise<string | null> {
  const here = await evidenceOnHost(machine, signal)
  if (here === null) return null
  const looks = await lookElsewhere(machine.otherHosts, (host) => runsAt(host, machine.domain.ref, signal))
  const elsewhere = judgeElsewhere(looks, machine.end.holds())
  switch (elsewhere.kind) {
    case 'nowhere':
      return here + elsewhere.evidence
    case 'runs':
      throw runsElsewhere(machine, elsewhere.host)
    case 'unknown':
      throw elsewhere.why
  }
}

/**
 * For what is about to end it. Looks first: when it is on here, its end here is our doing, and a host that cannot be asked is no
 * obstacle.
 */
async function watchEnd(machine: LibvirtMachine): Promise<() => Promise<string | null>> {
  const said = await libvirtSays(machine)
  const wasOn = said === 'running' || said === 'paused'
  return async () => {
    if (wasOn && (await evidenceOnHost(machine)) !== null) machine.end.note()
    return evidenceOfOff(machine)
  }
}

/**
 * By its own host alone. libvirt gives up on a process that it cannot kill; so the processes are looked at as well. Outage
 * `source/power-unknown` when it did not end here but was migrated away.
 */
export async function evidenceOnHost(machine: LibvirtMachine, signal?: AbortSignal): Promise<string | null> {
  const said = await libvirtSays(machine, signal)
  if (said === 'migrated') throw migratedAway(machine)
  if (said !== 'off') return null
  if (await hasProcess(machine.host, machine.domain.ref, signal)) return null
  return 'libvirt reports shut off; no process with this uuid'
}

async function runsAt(host: LibvirtHost, ref: MachineRef, signal: AbortSignal | undefined): Promise<boolean> {
  const domain = await host.virsh((session) => findDomain(session, ref), signal)
  return domain?.active === true || hasProcess(host, ref, signal)
}

const runsElsewhere = ({ domain, host }: LibvirtMachine, other: string): Outage =>
  new Outage({
    code: 'source/power-unknown',
    message: `${domain.name} is shut off on host ${host.name}, but runs on host ${other}`,
    remedy: 'Try again; the host where it runs is asked then.',
  })

const migratedAway = ({ domain, host }: LibvirtMachine): Outage =>
  new Outage({
    code: 'source/power-unknown',
    message: `${domain.name} was migrated away from host ${host.name}; where it went no host of this site says`,
    remedy: `Bring the host back that it went to. If it is off for certain, undefine it on ${host.name}, or start and stop it there.`,
  })

export async function shutDownDomain(
  machine: LibvirtMachine,
  clock: Clock,
  options: { timeoutSeconds: number; signal?: AbortSignal | undefined },
): Promise<ShutDownProof> {
  const deadline = performance.now() + options.timeoutSeconds * 1000
  let asked = 'was found off'
  let nextAsk = 0
  const prove = await watchEnd(machine)
  for (;;) {
    const evidence = await prove()
    if (evidence !== null) return { at: clock.now(), evidence: `guest ${asked}; ${evidence}` }
    if (performance.now() > deadline) throw stillOn(machine.location, options.timeoutSeconds)
    if (performance.now() >= nextAsk) {
      asked = await askToPowerOff(machine)
      nextAsk = performance.now() + ASK_AGAIN_MILLISECONDS
    }
    await sleep(POLL_MILLISECONDS, undefined, signalOf(options.signal))
  }
}

function askToPowerOff({ host, domain }: LibvirtMachine): Promise<string> {
  const ref = word(domain.ref)
  return host.virsh(async (session) => {
    // A paused guest would never notice.
    if ((await readPower(session, domain.ref)) === 'paused') await session.ask(`resume ${ref}`).catch(notNow)
    if (domain.agentChannel) {
      const answer = await session.ask(`shutdown ${ref} --mode agent`, ASK_AGAIN_MILLISECONDS).catch(notNow)
      if (answer !== null) return 'was asked to power down by its agent'
    }
    await session.ask(`shutdown ${ref} --mode acpi`).catch(notNow)
    return 'was asked to power down by its power button'
  })
}

/** It may have gone off meanwhile, or its agent is silent: the next look tells. */
const notNow = (error: unknown): null => {
  if (error instanceof Outage && !error.code.startsWith('kvm/libvirt-not')) return null
  throw error
}

/** Pulls the plug. Repeatable. `evidence`: what must be shown in the end; `evidenceOnHost` for what we made on that host. */
export async function powerOffDomain(
  machine: LibvirtMachine,
  clock: Clock,
  evidence?: (machine: LibvirtMachine) => Promise<string | null>,
): Promise<ShutDownProof> {
  const { host, domain, location } = machine
  const prove = evidence ?? (await watchEnd(machine))
  const said = await libvirtSays(machine)
  const destroy = said !== 'off' && said !== 'migrated'
  if (destroy)
    await host.virsh((session) =>
      session.ask(`destroy ${word(domain.ref)}`, DESTROY_MILLISECONDS).catch(notNow),
    )
  const deadline = performance.now() + DESTROY_MILLISECONDS
  for (;;) {
    const proof = await prove(machine)
    if (proof !== null)
      return { at: clock.now(), evidence: `${destroy ? 'destroyed' : 'was found off'}; ${proof}` }
    if (performance.now() > deadline) throw stillOn(location, DESTROY_MILLISECONDS / 1000)
    await sleep(POLL_MILLISECONDS)
  }
}

/** Starts it and proves that its processor runs. Repeatable: a running machine is left as it is. */
export async function startDomain(machine: LibvirtMachine, options: StartOptions): Promise<void> {
  const { host, domain, location } = machine
  const ref = word(domain.ref)
  const command = (line: string): Promise<string> =>
    host.virsh((session) => session.ask(line, START_MILLISECONDS), options.signal)
  // By this host alone: whether another one runs it is for those to ask who start what they did not make.
  const said = await libvirtSays(machine, options.signal)
  const power = said === 'off' && (await evidenceOnHost(machine, options.signal)) === null ? 'unknown' : said
  if (power === 'running') return
  if (power === 'unknown' || power === 'migrated')
    throw new Outage({
      code: 'source/power-unknown',
      message: `Cannot start ${domain.name}: it may run, as libvirt says or a process with its uuid shows`,
      remedy: 'Look at its host; destroy the domain if it hangs.',
    })
  await refuseHalfRestored(location)
  const wasOff = power === 'off'
  if (wasOff) await command(`start ${ref} --paused`)
  try {
    await withMonitor(location, async (qmp) => {
      if (wasOff) await removeUnwanted(qmp, location)
      await options.beforeFirstInstruction?.(qmp)
    })
    await command(`resume ${ref}`)
    await withMonitor(location, (qmp) => waitUntilRunning(location, qmp, options))
  } catch (error) {
    // Half started is worse than off: nobody would know whether its disks are in use.
    if (wasOff) await command(`destroy ${ref}`).catch(notNow)
    throw error
  }
}

const signalOf = (signal: AbortSignal | undefined): { signal?: AbortSignal } =>
  signal === undefined ? {} : { signal }
