// Programs inside a guest, through QEMU's guest agent (`guest-exec`). The agent serves one client at a time, so each question is a
// connection of its own. https://www.qemu.org/docs/master/interop/qemu-ga-ref.html
import { Outage, Refusal } from '@understudy/base/errors'
import type { GuestProgram, GuestPrograms } from '@understudy/engine/ports/guest-programs'
import { connectGuestAgent, type GuestAgent } from './guest-agent.ts'
import type { MachineLocation } from './monitor.ts'

type Status = {
  readonly exited: boolean
  readonly exitcode?: number
  readonly signal?: number
  readonly 'out-data'?: string
  readonly 'err-data'?: string
  readonly 'out-truncated'?: boolean
  readonly 'err-truncated'?: boolean
}

/** An end is told once, with up to 43 MiB of output in one line: an answer that is given up is lost. */
const STATUS_MILLISECONDS = 60_000

/** `find` throws as MachineDirectory.find does. */
export function guestPrograms(find: (signal?: AbortSignal) => Promise<MachineLocation>): GuestPrograms {
  return {
    async start({ command, arguments: given, environment }, signal) {
      const { agent, name } = await reach(find, signal)
      try {
        const system = await systemOf(agent)
        const env = Object.entries({ ...environmentOf(system), ...environment }).map(
          ([variable, value]) => `${variable}=${value}`,
        )
        return await exec(agent, name, { command, arguments: given }, env)
      } finally {
        agent.close()
      }
    },
    async state(pid, signal) {
      const { agent } = await reach(find, signal)
      try {
        return toState(await agent.call<Status>('guest-exec-status', { pid }, STATUS_MILLISECONDS))
      } catch (error) {
        if (isRefusalOfAgent(error) && /PID|does not exist/i.test(error.message)) return { kind: 'unknown' }
        throw error
      } finally {
        agent.close()
      }
    },
    async end(pid) {
      try {
        const { agent } = await reach(find, undefined)
        try {
          return await endProgram(agent, pid)
        } finally {
          agent.close()
        }
      } catch (error) {
        if (error instanceof Outage || error instanceof Refusal) return false
        throw error
      }
    },
  }
}

/** What the agent calls its system: `debian`, `mswindows`; empty where it cannot say. Throws as `GuestPrograms.start`. */
export async function readGuestSystem(
  find: (signal?: AbortSignal) => Promise<MachineLocation>,
  signal?: AbortSignal,
): Promise<string> {
  const { agent } = await reach(find, signal)
  try {
    return await systemOf(agent)
  } finally {
    agent.close()
  }
}

type Reached = { readonly agent: GuestAgent; readonly name: string }

/** Nothing was asked yet: whatever fails here has begun nothing. */
async function reach(
  find: (signal?: AbortSignal) => Promise<MachineLocation>,
  signal: AbortSignal | undefined,
): Promise<Reached> {
  try {
    const { host, name, agentPath } = await find(signal)
    if (agentPath === null) throw noAgent(name)
    return { agent: await connectGuestAgent(() => host.connect(agentPath, signal), { name, signal }), name }
  } catch (error) {
    if (error instanceof Outage) throw notReached(error)
    throw error
  }
}

/** An agent that is older than the question (2.10), or may not answer it, is in a guest that we take for a Unix. */
async function systemOf(agent: GuestAgent): Promise<string> {
  try {
    return (await agent.call<{ readonly id?: string }>('guest-get-osinfo')).id ?? ''
  } catch (error) {
    if (isRefusalOfAgent(error)) return ''
    if (error instanceof Outage) throw notReached(error)
    throw error
  }
}

/** With an environment of ours the agent hands on nothing of its own, and Windows does not even load libraries without these. */
const environmentOf = (system: string): Readonly<Record<string, string>> =>
  system === 'mswindows'
    ? {
        SystemRoot: 'C:\\Windows',
        SystemDrive: 'C:',
        ComSpec: 'C:\\Windows\\system32\\cmd.exe',
        PATH: 'C:\\Windows\\system32;C:\\Windows;C:\\Windows\\System32\\Wbem;C:\\Windows\\System32\\WindowsPowerShell\\v1.0',
        PATHEXT: '.COM;.EXE;.BAT;.CMD',
        TEMP: 'C:\\Windows\\Temp',
        TMP: 'C:\\Windows\\Temp',
      }
    : {
        PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
        HOME: '/root',
        LANG: 'C.UTF-8',
      }

async function exec(
  agent: GuestAgent,
  name: string,
  { command, arguments: given }: Omit<GuestProgram, 'environment'>,
  env: readonly string[],
): Promise<number> {
  try {
    const started = await agent.call<{ readonly pid: number }>('guest-exec', {
      path: command,
      arg: given,
      env,
      'capture-output': true,
    })
    return started.pid
  } catch (error) {
    if (isRefusalOfAgent(error)) throw toRefusal(name, command, error)
    if (error instanceof Outage)
      throw new Outage({
        code: 'guest-program/answer-lost',
        message: `The guest agent of ${name} was asked to run ${command} and did not answer`,
        remedy: 'Look inside the guest whether it runs.',
        cause: error,
      })
    throw error
  }
}

const isRefusalOfAgent = (error: unknown): error is Outage =>
  error instanceof Outage && error.code === 'kvm/agent-refused'

/** Frozen file systems are another one's, for seconds. */
function toRefusal(name: string, command: string, error: Outage): Refusal | Outage {
  const said = String(error.facts.description ?? error.message)
  if (/frozen/i.test(said)) return notReached(error)
  if (/disabled|not allowed|not found|not supported/i.test(said) && /command|guest-exec/i.test(said))
    return new Refusal({
      code: 'guest-program/not-allowed',
      message: `The guest agent of ${name} does not let programs be run: ${said}`,
      remedy:
        'Allow guest-exec and guest-exec-status in the configuration of qemu-guest-agent inside the guest, and start it again.',
      cause: error,
    })
  return new Refusal({
    code: 'guest-program/not-started',
    message: `${command} could not be started in ${name}: ${said}`,
    remedy: 'See that the program is installed in the guest and may be run; give its whole path.',
    cause: error,
  })
}

function toState(status: Status) {
  if (!status.exited) return { kind: 'running' as const }
  const texts = [
    textOf(status['out-data'], status['out-truncated']),
    textOf(status['err-data'], status['err-truncated']),
  ].filter((text) => text !== '')
  return {
    kind: 'ended' as const,
    // Windows tells of an unhandled exception as a signal.
    exitCode: status.signal === undefined ? (status.exitcode ?? null) : null,
    output: texts.reduce(
      (all, text) => (all === '' || all.endsWith('\n') ? all + text : `${all}\n${text}`),
      '',
    ),
  }
}

/** What the agent has cut goes to its last whole line: half a line could hold half a secret, which nobody can mask any more. */
function textOf(base64: string | undefined, isTruncated: boolean | undefined): string {
  const bytes = Buffer.from(base64 ?? '', 'base64')
  if (!isTruncated) return bytes.toString('utf8')
  return `${bytes.subarray(0, bytes.lastIndexOf('\n') + 1).toString('utf8')}[... the guest agent kept no more ...]\n`
}

/**
 * A shell that is told to end leaves behind what it has begun, and some of that makes a group of its own, as timeout does: so all that
 * descend from it are named before the first is told.
 */
const END_WITH_CHILDREN = `all() {
  echo "$1"
  for child in $(grep -lx "PPid:.$1" /proc/[0-9]*/status 2>/dev/null | cut -d / -f 3); do all "$child"; done
}
kill -TERM $(all "$1")`

/** The agent has no command for it, so a program of the guest does it. Only what still runs is meant: numbers are given anew. */
async function endProgram(agent: GuestAgent, pid: number): Promise<boolean> {
  const status = await agent.call<Status>('guest-exec-status', { pid })
  if (status.exited) return true
  const isWindows = (await systemOf(agent)) === 'mswindows'
  const [path, arg] = isWindows
    ? ['C:\\Windows\\system32\\taskkill.exe', ['/T', '/F', '/PID', String(pid)]]
    : ['/bin/sh', ['-c', END_WITH_CHILDREN, 'sh', String(pid)]]
  await agent.call('guest-exec', { path, arg })
  return true
}

const noAgent = (name: string): Refusal =>
  new Refusal({
    code: 'guest-program/no-agent',
    message: `${name} has no channel to a guest agent, so no program can be run in it`,
    remedy:
      'Give the machine a guest agent channel and install qemu-guest-agent in it, or run the program on the server.',
  })

const notReached = (cause: Outage): Outage =>
  new Outage({ code: 'guest-program/not-reached', message: cause.message, remedy: cause.remedy, cause })
