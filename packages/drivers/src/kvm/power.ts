// Switching machines on and off, with proof: the process is ours by its uuid, and it is gone or its guest has powered off.
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage, Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import type { PowerState } from '@understudy/domain/machines/machine'
import type { ShutDownProof } from '@understudy/engine/ports/source-platform'
import { connectGuestAgent } from './guest-agent.ts'
import { type MachineDefinition, machineFiles } from './machine-definition.ts'
import { type MachineLocation, withMonitor } from './monitor.ts'
import { type LookAtProcesses, runningUuids } from './processes.ts'
import { QEMU, qemuCommand, UEFI_VARIABLES_TEMPLATE } from './qemu-command.ts'
import type { Qmp } from './qmp.ts'
import { refuseHalfRestored } from './restoring-marker.ts'
import { removeUnwanted } from './stop-tracking.ts'

const POLL_MILLISECONDS = 100
const QUIT_MILLISECONDS = 20_000
const UNHEARD_MILLISECONDS = 500
const KILL_MILLISECONDS = 10_000
const LOOK_MILLISECONDS = 5000

type Status = { readonly status: string; readonly running: boolean }

/** QEMU's run states in our words: https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html (RunState) */
export function toPowerState(status: string): PowerState {
  switch (status) {
    case 'running':
      return 'running'
    // Our machines run with -no-shutdown: the process outlives the guest.
    case 'shutdown':
      return 'off'
    case 'inmigrate':
    case 'postmigrate':
    case 'finish-migrate':
    case 'restore-vm':
    case 'save-vm':
    case 'colo':
      return 'unknown'
    // prelaunch, suspended, io-error, internal-error, guest-panicked, watchdog, debug: there, and not running.
    default:
      return 'paused'
  }
}

/** As its host knows it; see site-power.ts for other hosts. `unknown` when it may run but does not answer. */
export async function powerState(
  machine: MachineLocation,
  signal?: AbortSignal,
  processes: LookAtProcesses = (host) => runningUuids(host, signal),
): Promise<PowerState> {
  try {
    return await withMonitor(machine, async (qmp) => toPowerState((await statusOf(qmp)).status), {
      connectMilliseconds: LOOK_MILLISECONDS,
      signal,
    })
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    if (error.code === 'kvm/socket-closed' && !(await isAlive(machine, processes))) return 'off'
    if (error.code.startsWith('kvm/qemu-') || error.code === 'kvm/socket-closed') return 'unknown'
    throw error
  }
}

const statusOf = (qmp: Qmp): Promise<Status> => qmp.execute<Status>('query-status')

/**
 * Whether a process of the machine lives: by its pid file, or by its uuid whatever started it. A socket file that nobody
 * listens on, or that was removed, says nothing about the process.
 */
async function isAlive(machine: MachineLocation, processes: LookAtProcesses): Promise<boolean> {
  if ((await pidInFile(machine)) !== null) return true
  return (await processes(machine.host)).has(machine.ref)
}

/** The process id of the machine's QEMU, or null when no such process lives. Another program that got the id is not it. */
export async function processOf(machine: MachineLocation): Promise<number | null> {
  const pid = await pidInFile(machine)
  if (pid !== null) return pid
  // Without a pid file the uuid tells, and the monitor's path tells it from a copy of the machine.
  for (const candidate of (await runningUuids(machine.host)).get(machine.ref) ?? []) {
    const commandLine = await machine.host.commandLineOf(candidate)
    if (commandLine?.includes(machine.monitorPath) === true) return candidate
  }
  return null
}

async function pidInFile(machine: MachineLocation): Promise<number | null> {
  if (machine.definition === null) return null
  const text = await machine.host.readFile(machineFiles(machine.folder).pid)
  const pid = Number(text?.toString('utf8').trim())
  if (!Number.isInteger(pid) || pid <= 1) return null
  const commandLine = await machine.host.commandLineOf(pid)
  const ours = commandLine?.includes(QEMU) === true && commandLine.includes(`-uuid ${machine.ref}`)
  return ours ? pid : null
}

export type StartOptions = {
  readonly bootDeadlineSeconds: number
  /** Runs after the disks are open and before the guest's first instruction. */
  readonly beforeFirstInstruction?: (qmp: Qmp) => Promise<void>
  readonly signal?: AbortSignal | undefined
}

/**
 * Starts the machine and proves that its processor runs. Repeatable: a running machine is left as it is. A guest that has
 * powered off while its process stayed is reset in that process, which keeps change tracking alive also on raw disks.
 */
export async function startMachine(machine: MachineLocation, options: StartOptions): Promise<void> {
  const definition = definitionOf(machine)
  const state = await powerState(machine, options.signal)
  if (state === 'running') return
  if (state === 'unknown') throw unclear(machine, 'start')
  await refuseHalfRestored(machine)
  if (await isThere(machine)) return resumeMachine(machine, options)
  await launch(machine, definition, options)
}

/** A paused guest goes on; one that powered off begins again from its firmware. */
async function resumeMachine(machine: MachineLocation, options: StartOptions): Promise<void> {
  await withMonitor(machine, async (qmp) => {
    if ((await statusOf(qmp)).status === 'shutdown') await qmp.execute('system_reset')
    await options.beforeFirstInstruction?.(qmp)
    await qmp.execute('cont')
    await waitUntilRunning(machine, qmp, options)
  })
}

const isThere = async (machine: MachineLocation): Promise<boolean> => (await processOf(machine)) !== null

async function launch(
  machine: MachineLocation,
  definition: MachineDefinition,
  options: StartOptions,
): Promise<void> {
  const { host, folder } = machine
  const files = machineFiles(folder)
  if (definition.firmware === 'uefi' && (await host.status(files.uefiVariables)) === null)
    await host.copyFile(UEFI_VARIABLES_TEMPLATE, files.uefiVariables)
  const { command, args } = qemuCommand(definition, folder, { paused: true })
  const result = await host.run(command, args, {
    timeoutMilliseconds: options.bootDeadlineSeconds * 1000,
    signal: options.signal,
  })
  if (result.code !== 0)
    throw new Outage({
      code: 'kvm/start-failed',
      message: `QEMU of ${machine.name} did not start: ${result.stderr.trim().slice(-500)}`,
      remedy: 'Look at the message; disks in use elsewhere and missing files are the usual reasons.',
    })
  try {
    await withMonitor(machine, async (qmp) => {
      await removeUnwanted(qmp, machine)
      await options.beforeFirstInstruction?.(qmp)
      await qmp.execute('cont')
      await waitUntilRunning(machine, qmp, options)
    })
  } catch (error) {
    // Half started is worse than off: nobody would know whether its disks are in use.
    await endProcess(machine)
    throw error
  }
}

/**
 * An accelerator that cannot run the guest leaves it hanging or stops it with an internal error; both have been seen with
 * KVM inside virtual machines. A processor that runs has a program counter that is not the reset vector.
 */
export async function waitUntilRunning(
  machine: MachineLocation,
  qmp: Qmp,
  options: StartOptions,
): Promise<void> {
  const deadline = performance.now() + options.bootDeadlineSeconds * 1000
  for (;;) {
    const { status } = await statusOf(qmp)
    if (status === 'internal-error' || status === 'guest-panicked') break
    if (status === 'running' && (await hasRunAnInstruction(qmp))) return
    if (performance.now() > deadline) break
    await sleep(POLL_MILLISECONDS, undefined, options.signal === undefined ? {} : { signal: options.signal })
  }
  throw new Outage({
    code: 'kvm/guest-does-not-run',
    message: `The processor of ${machine.name} ran nothing within ${options.bootDeadlineSeconds} s`,
    remedy: 'Set the accelerator of this site to tcg, or see whether KVM works on this host.',
  })
}

const RESET_VECTOR = /\b[ER]IP=0*fff0\b/i

const hasRunAnInstruction = async (qmp: Qmp): Promise<boolean> =>
  !RESET_VECTOR.test(await qmp.human('info registers'))

/** Asks the guest agent when there is one, else presses the power button; waits until the guest is off. */
export async function shutDownMachine(
  machine: MachineLocation,
  clock: Clock,
  options: {
    readonly timeoutSeconds: number
    readonly signal?: AbortSignal | undefined
    readonly evidence?: EvidenceOfOff
  },
): Promise<ShutDownProof> {
  const prove = options.evidence ?? evidenceOfOff
  const deadline = performance.now() + options.timeoutSeconds * 1000
  let asked = 'was found off'
  let nextAsk = 0
  for (;;) {
    const evidence = await prove(machine)
    if (evidence !== null) return { at: clock.now(), evidence: `guest ${asked}; ${evidence}` }
    if (performance.now() > deadline) throw stillOn(machine, options.timeoutSeconds)
    if (performance.now() >= nextAsk) {
      asked = await askToPowerOff(machine)
      // A guest that is still booting overlooks the button; it is pressed again now and then.
      nextAsk = performance.now() + 15_000
    }
    await sleep(
      2 * POLL_MILLISECONDS,
      undefined,
      options.signal === undefined ? {} : { signal: options.signal },
    )
  }
}

async function askToPowerOff(machine: MachineLocation): Promise<string> {
  const { agentPath, host, name } = machine
  if (agentPath !== null) {
    try {
      const agent = await connectGuestAgent(() => host.connect(agentPath), { name })
      agent.tell('guest-shutdown', { mode: 'powerdown' })
      // The agent answers a shutdown only when it fails; give the bytes time to leave.
      await sleep(POLL_MILLISECONDS)
      agent.close()
      return 'was asked to power down by its agent'
    } catch (error) {
      if (!(error instanceof Outage)) throw error
    }
  }
  try {
    await withMonitor(machine, async (qmp) => {
      const { status } = await statusOf(qmp)
      // A paused guest would never notice the button.
      if (status === 'paused' || status === 'prelaunch') await qmp.execute('cont')
      await qmp.execute('system_powerdown')
    })
  } catch (error) {
    // It went away meanwhile: the next look tells.
    if (!(error instanceof Outage)) throw error
  }
  return 'was asked to power down by its power button'
}

export type EvidenceOfOff = (machine: MachineLocation) => Promise<string | null>

/** `shut-down`: the guest powered off in a process that stayed, which it never does by moving. `gone`: there is no process. */
export type EndOnHost = { readonly kind: 'shut-down' | 'gone'; readonly evidence: string }

/** What proves that no processor of the machine runs on its host any more; null while it may. */
export async function evidenceOfOff(machine: MachineLocation): Promise<string | null> {
  return (await lookAtEnd(machine))?.evidence ?? null
}

/** The same with its kind. */
export async function lookAtEnd(machine: MachineLocation): Promise<EndOnHost | null> {
  try {
    return await withMonitor(machine, async (qmp) =>
      (await statusOf(qmp)).status === 'shutdown'
        ? { kind: 'shut-down', evidence: 'QEMU reports run state shutdown' }
        : null,
    )
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    if (error.code !== 'kvm/socket-closed' && error.code !== 'kvm/qemu-gone') throw error
  }
  if (await isAlive(machine, runningUuids)) return null
  return { kind: 'gone', evidence: 'no process has its uuid and its monitor is closed' }
}

/** Pulls the plug: QEMU is told to quit, then killed. Repeatable. */
export async function powerOffMachine(
  machine: MachineLocation,
  clock: Clock,
  prove: EvidenceOfOff = evidenceOfOff,
): Promise<ShutDownProof> {
  const how = await endProcess(machine)
  const evidence = await prove(machine)
  if (evidence === null) throw unclear(machine, 'prove the end of')
  return { at: clock.now(), evidence: `${how}; ${evidence}` }
}

/**
 * Ends the machine's process, whatever its guest does, and waits until it is gone. Repeatable. Also for a process that
 * outlived its guest and still holds the disks.
 */
export async function endProcess(machine: MachineLocation): Promise<string> {
  const pid = await processOf(machine)
  const answer = await tellToQuit(machine)
  if (pid === null) {
    // Without a process to look for, only a monitor that nobody listens on proves anything.
    if (answer === 'silent' || !(await waitFor(() => isMonitorClosed(machine), QUIT_MILLISECONDS)))
      throw unclear(machine, 'prove the end of')
    return answer === 'told' ? 'told to quit, monitor closed' : 'no process, monitor closed'
  }
  // One that did not hear us has no reason to end.
  const patience = answer === 'told' ? QUIT_MILLISECONDS : UNHEARD_MILLISECONDS
  if (await waitFor(() => isGone(machine, pid), patience)) return `process ${pid} ended`
  // Verified a moment ago to be this machine's QEMU; a process id is not reused while its process lives.
  await machine.host.kill(pid, 'SIGKILL')
  if (await waitFor(() => isGone(machine, pid), KILL_MILLISECONDS)) return `process ${pid} killed and ended`
  throw stillOn(machine, (patience + KILL_MILLISECONDS) / 1000)
}

const isGone = async (machine: MachineLocation, pid: number): Promise<boolean> =>
  (await machine.host.commandLineOf(pid)) === null

async function isMonitorClosed(machine: MachineLocation): Promise<boolean> {
  try {
    const stream = await machine.host.connect(machine.monitorPath)
    stream.on('error', () => undefined)
    stream.destroy()
    return false
  } catch (error) {
    if (error instanceof Outage && error.code === 'kvm/socket-closed') return true
    throw error
  }
}

/** `told`: it heard us. `closed`: nobody listens. `silent`: somebody may be there who does not answer. */
async function tellToQuit(machine: MachineLocation): Promise<'told' | 'closed' | 'silent'> {
  try {
    await withMonitor(
      machine,
      async (qmp) => {
        await qmp.execute('quit')
        await Promise.race([qmp.closed, sleep(QUIT_MILLISECONDS)])
      },
      { connectMilliseconds: LOOK_MILLISECONDS },
    )
    return 'told'
  } catch (error) {
    if (!(error instanceof Outage)) throw error
    if (error.code === 'kvm/socket-closed') return 'closed'
    // Gone before it could answer is what was wanted.
    if (error.code === 'kvm/qemu-gone') return 'told'
    if (error.code.startsWith('kvm/qemu-')) return 'silent'
    throw error
  }
}

async function waitFor(condition: () => Promise<boolean>, milliseconds: number): Promise<boolean> {
  const deadline = performance.now() + milliseconds
  while (!(await condition())) {
    if (performance.now() > deadline) return false
    await sleep(POLL_MILLISECONDS / 4)
  }
  return true
}

export function definitionOf(machine: MachineLocation): MachineDefinition {
  if (machine.definition !== null) return machine.definition
  throw new Refusal({
    code: 'kvm/not-ours-to-start',
    message: `${machine.name} was started by another program and has no machine.json`,
    remedy: 'Start it with the program that manages it.',
  })
}

export const stillOn = (machine: MachineLocation, seconds: number): Outage =>
  new Outage({
    code: 'source/still-on',
    message: `${machine.name} is still on after ${seconds} s`,
    remedy: 'Wait longer, shut it down from inside, or power it off.',
  })

export const unclear = (machine: MachineLocation, what: string): Outage =>
  new Outage({
    code: 'source/power-unknown',
    message: `Cannot ${what} ${machine.name}: it may be running, but does not answer`,
    remedy: 'Look at its host; power the machine off if it hangs.',
  })
