// Switching machines on and off through libvirt, with proof: libvirt says shut off, and no process with the machine's uuid lives.
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import type { PowerState } from '@understudy/domain/machines/machine'
import type { ShutDownProof } from '@understudy/engine/ports/source-platform'
import { withMonitor } from '../monitor.ts'
import { type StartOptions, stillOn, waitUntilRunning } from '../power.ts'
import { refuseHalfRestored } from '../restoring-marker.ts'
import { removeUnwanted } from '../stop-tracking.ts'
import { type LibvirtMachine, readPower } from './libvirt-directory.ts'
import { isNoSuchDomain } from './virsh-failure.ts'
import { word } from './virsh-session.ts'

const POLL_MILLISECONDS = 250
/** A guest that is still booting overlooks the button; it is pressed again now and then. */
const ASK_AGAIN_MILLISECONDS = 15_000
const DESTROY_MILLISECONDS = 60_000
const START_MILLISECONDS = 120_000

/** A transient domain that libvirt has forgotten is off. */
export async function libvirtPowerState(
  { host, domain }: LibvirtMachine,
  signal?: AbortSignal,
): Promise<PowerState> {
  try {
    return await host.virsh((session) => readPower(session, domain.ref), signal)
  } catch (error) {
    if (isNoSuchDomain(error)) return 'off'
    throw error
  }
}

/** Null while it may run. libvirt gives up on a process that it cannot kill; so the processes are looked at as well. */
export async function evidenceOfOff(machine: LibvirtMachine): Promise<string | null> {
  if ((await libvirtPowerState(machine)) !== 'off') return null
  const { host, domain } = machine
  // The brackets keep pgrep, and a shell that started it, from finding themselves.
  const result = await host.run('pgrep', ['-f', '--', `[-]uuid ${domain.ref}`])
  if (result.code === 0) return null
  if (result.code === 1) return 'libvirt reports shut off; no process with this uuid'
  throw new Outage({
    code: 'source/power-unknown',
    message: `Cannot look at the processes of host ${host.name}: ${result.stderr.trim()}`,
    remedy: 'Install pgrep there (Debian: procps).',
  })
}

export async function shutDownDomain(
  machine: LibvirtMachine,
  clock: Clock,
  options: { timeoutSeconds: number; signal?: AbortSignal | undefined },
): Promise<ShutDownProof> {
  const deadline = performance.now() + options.timeoutSeconds * 1000
  let asked = 'was found off'
  let nextAsk = 0
  for (;;) {
    const evidence = await evidenceOfOff(machine)
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

/** Pulls the plug. Repeatable. */
export async function powerOffDomain(machine: LibvirtMachine, clock: Clock): Promise<ShutDownProof> {
  const { host, domain, location } = machine
  const destroy = (await libvirtPowerState(machine)) !== 'off'
  if (destroy)
    await host.virsh((session) =>
      session.ask(`destroy ${word(domain.ref)}`, DESTROY_MILLISECONDS).catch(notNow),
    )
  const deadline = performance.now() + DESTROY_MILLISECONDS
  for (;;) {
    const evidence = await evidenceOfOff(machine)
    if (evidence !== null)
      return { at: clock.now(), evidence: `${destroy ? 'destroyed' : 'was found off'}; ${evidence}` }
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
  const power = await libvirtPowerState(machine, options.signal)
  if (power === 'running') return
  if (power === 'unknown')
    throw new Outage({
      code: 'source/power-unknown',
      message: `Cannot start ${domain.name}: libvirt does not say whether it runs`,
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
