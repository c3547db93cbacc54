// What the agent's program understands: enrol once, then run; `status` says how it stands.
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { parseArgs } from 'node:util'
import { Outage, Refusal } from '@understudy/base/errors'
import { openHoldGate } from '@understudy/drivers/linux/hold-gate'
import { agentVersion } from './agent-version.ts'
import { dial } from './dial.ts'
import { enrol } from './enrol.ts'
import { beforeStart } from './exchange-program.ts'
import { exitCodeOf, START_AGAIN } from './exit-code-of.ts'
import { install } from './install.ts'
import { isAlive } from './is-alive.ts'
import { openLog } from './log.ts'
import { type AgentServer, loadIdentity, runAgent } from './run.ts'
import { selfTest } from './self-test.ts'
import { BEFORE_START, ownServer, pathsOf } from './service-place.ts'
import {
  defaultFolder,
  type Identity,
  openStateFolder,
  SERVICE_FOLDER,
  type StateFolder,
} from './state-folder.ts'
import { uninstall } from './uninstall.ts'

const usage = `Usage:
  understudy-agent enrol --server <https://host:port> --token <token> --fingerprint <sha256:...>
                         [--name <name>] [--proxy <http://host:port>] [--identity <text>]
                                  Makes this server an agent of a site. Copy the command from the console.
  understudy-agent run            Works until it is stopped
  understudy-agent receive --server <https://host:port> --token <token> --fingerprint <sha256:...>
                         [--name <name>] [--proxy <http://host:port>]
                                  In a rescue system: the disks of this computer may be OVERWRITTEN, once it was
                                  assigned to a server in the console. Works until it is stopped
  understudy-agent install --server ... --token ... --fingerprint ... [as above]
                                  Enrols it and makes it a service of this server (Linux, root, systemd)
  understudy-agent uninstall [--keep-state]
                                  Removes the service, and undoes what the agent has changed here
  understudy-agent status         Says how it stands; ends with 0 when it is connected
  understudy-agent move --server <https://host:port> [--proxy <http://host:port>]
                                  The same control plane at another address, or by another proxy

  --home <folder>                 Where it keeps its key and what it has not told yet
                                  (UNDERSTUDY_AGENT_HOME, default: ~/.understudy-agent)
  --name <name>                   What the console calls it; the host name where it is left out
  --identity <text>               A text that no other server has, where several share one /etc/machine-id
  --version, --help
`

/** Ends the process with what a person has to know. */
export async function runProgram(server: AgentServer): Promise<void> {
  try {
    await obey(server)
  } catch (error) {
    if (error instanceof Refusal || error instanceof Outage)
      process.stderr.write(`${error.message}.\n${error.remedy}\n(${error.code})\n`)
    else process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    process.exitCode = exitCodeOf(error)
  }
}

async function obey(server: AgentServer): Promise<void> {
  const { values, positionals } = readOptions()
  if (values.version) return print(agentVersion)
  const [command] = positionals
  // Asked by the program whose place it is to take.
  if (values.selftest) return print(await selfTest())
  if (values.help || command === undefined) return print(usage)
  const enrolHere = (folder: StateFolder): Promise<Identity> =>
    enrol(folder, {
      server: address('server', values.server, 'https:'),
      token: given('token', values.token),
      fingerprint: given('fingerprint', values.fingerprint),
      name: values.name ?? hostname(),
      proxy: values.proxy === undefined ? null : address('proxy', values.proxy, 'http:'),
      identity: values.identity ?? null,
      sysfs: server.sysfs,
    })
  if (command === 'install' || command === 'uninstall') {
    if (values.home !== undefined) throw wrongUse(`A service keeps what it knows in ${SERVICE_FOLDER}`)
    const place = ownServer()
    if (command === 'uninstall')
      return uninstall({ place, keepState: values['keep-state'] ?? false, say: print })
    return install({ place, enrol: enrolHere, fingerprint: values.fingerprint ?? null, say: print })
  }
  const folder = await openStateFolder(values.home ?? defaultFolder(process.env))
  // Asked by the service, of the former program, before each start: see exchange-program.
  if (command === BEFORE_START)
    return beforeStart({ paths: pathsOf(ownServer()), folder, act: (work) => work() })
  switch (command) {
    case 'enrol': {
      const { siteName, roles } = await enrolHere(folder)
      return print(`Enrolled at ${siteName} as ${roles.join(', ')}. Start it: understudy-agent run`)
    }
    case 'run':
      return run(folder.path, server)
    case 'receive': {
      await becomeReceiver(folder, server, values)
      return run(folder.path, server)
    }
    case 'status':
      return showStatus(folder)
    case 'move': {
      const before = await loadIdentity(folder)
      const after = {
        ...before,
        server: new URL(address('server', values.server, 'https:')).origin,
        proxy: values.proxy === undefined ? null : address('proxy', values.proxy, 'http:'),
      }
      // Another control plane at that address is not what was asked for.
      ;(await dial(after)).destroy()
      await folder.saveIdentity(after)
      return print(`The agent dials ${after.server} from its next start on.`)
    }
    default:
      throw wrongUse(`There is no command "${command}"`)
  }
}

/** Once; whoever is one already goes on. It has an identity of its own: it is none of the servers that lie on these disks. */
async function becomeReceiver(
  folder: StateFolder,
  server: AgentServer,
  values: ReturnType<typeof readOptions>['values'],
): Promise<void> {
  const before = await folder.identity()
  if (before !== null && before.agentId !== null) {
    if (before.roles.includes('receiver')) return
    throw new Refusal({
      code: 'agent/enrolled-already',
      message: `This folder holds the agent ${before.name} of ${before.siteName}, which is no receiver`,
      remedy: 'Start the computer from the rescue system: the disks of a server that runs are never written.',
    })
  }
  const { siteName } = await enrol(folder, {
    server: address('server', values.server, 'https:'),
    token: given('token', values.token),
    fingerprint: given('fingerprint', values.fingerprint),
    name: values.name ?? hostname(),
    proxy: values.proxy === undefined ? null : address('proxy', values.proxy, 'http:'),
    identity: before?.identityText ?? `receiver ${randomUUID()}`,
    sysfs: server.sysfs,
    receives: true,
  })
  print(`Enrolled at ${siteName} as receiver`)
}

async function run(path: string, server: AgentServer): Promise<void> {
  const gate = openHoldGate()
  const folder = await openStateFolder(path, gate)
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => stopping.abort(new DOMException('The agent stops', 'AbortError')))
  const log = openLog(gate, print)
  log(`the agent ${agentVersion} starts`)
  const end = await runAgent({ folder, gate, server, place: ownServer(), log }, stopping.signal)
  log(end === 'stopped' ? end : 'another program takes over')
  if (end === 'start-again') process.exitCode = START_AGAIN
}

async function showStatus(folder: StateFolder): Promise<void> {
  const { name, siteName, roles, server } = await loadIdentity(folder)
  const standing = await folder.standing()
  const runs = standing !== null && isAlive(standing.pid)
  const state = !runs
    ? 'It does not run.'
    : standing.connected
      ? 'Connected.'
      : `Not connected: ${standing.note}`
  print(`${name} of ${siteName} (${roles.join(', ')}), server ${server}`)
  print(state)
  if (standing !== null && standing.backlog > 0) print(`${standing.backlog} messages wait for the server.`)
  if (!runs || !standing.connected) process.exitCode = 1
}

function readOptions() {
  const text = { type: 'string' } as const
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        server: text,
        token: text,
        fingerprint: text,
        name: text,
        proxy: text,
        identity: text,
        home: text,
        'keep-state': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
        selftest: { type: 'boolean' },
      },
    })
  } catch (error) {
    throw wrongUse(error instanceof Error ? error.message : String(error))
  }
}

function given(option: string, value: string | undefined): string {
  if (value !== undefined && value !== '') return value
  throw wrongUse(`--${option} is missing`)
}

function address(option: string, value: string | undefined, protocol: string): string {
  const text = given(option, value)
  if (URL.canParse(text) && new URL(text).protocol === protocol) return text
  throw wrongUse(`--${option} has to begin with ${protocol}//`)
}

const wrongUse = (message: string): Refusal =>
  new Refusal({ code: 'agent/wrong-use', message, remedy: 'understudy-agent --help lists what there is.' })

const print = (text: string): void => void process.stdout.write(`${text}\n`)
