// `understudy-agent run`: connected as long as it can be, and what is asked of it done, until it is told to stop.
import { createHash, randomUUID } from 'node:crypto'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isKnownOrder, type Order, type Outcome } from '@understudy/agent-protocol/messages'
import { isAbort, Refusal, toFailureReport } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import type { HoldGate } from '@understudy/drivers/linux/hold-gate'
import { createSourceDesk, type SourceDesk } from '@understudy/drivers/physical/source-desk'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { agentVersion } from './agent-version.ts'
import { createAnswerer, noSource } from './answer-asks.ts'
import { backOff } from './back-off.ts'
import { type ControlSession, openControlSession } from './control-session.ts'
import type { Log } from './log.ts'
import { identifyServer, lookAround, lookAtHardware, roomAt, whyToRest } from './look-around.ts'
import { type Mailbox, openMailbox } from './mailbox.ts'
import type { Identity, StateFolder } from './state-folder.ts'

/** With these the server will not have this agent again, whatever it does. */
const final = new Set(['agent/revoked', 'agent/not-recognised'])
/** A person has to decide, at the console: until then it knocks now and then. */
const OTHER_SERVER = 'agent/other-server'
const OTHER_SERVER_MILLISECONDS = 5 * 60_000
const REST_MILLISECONDS = 60 * 60_000

/** The disks of this server; null where it cannot be protected. Closed when the agent ends. */
export type OpenSource = (place: {
  /** Held while the server is held still: this process writes none of its files then. */
  readonly gate: HoldGate
  /** In the folder of the agent, for what is changed in its server on behalf of its replica. */
  readonly preparationFolder: string
}) => Promise<AgentSource | null>

export type AgentSource = SourcePlatform & {
  close?(): Promise<void>
  /** What was answered of a last point has come to the server: its power need not wait any longer. */
  cutPower?(): void
}

export type AgentServer = {
  readonly openSource: OpenSource
  /** Where the kernel shows the hardware; null: nowhere. */
  readonly sysfs: string | null
}

export type AgentToRun = {
  readonly folder: StateFolder
  readonly gate: HoldGate
  readonly server: AgentServer
  readonly log: Log
}

/** Resolves when `signal` aborts. Refuses what a person has to mend. `folder` and `log` wait for the gate. */
export async function runAgent(
  { folder, gate, server: { openSource, sysfs }, log }: AgentToRun,
  signal: AbortSignal,
): Promise<void> {
  const identity = await loadIdentity(folder)
  const unlock = await lock(folder)
  const rest = await whyToRest(sysfs)
  if (rest) {
    await stayQuiet(folder, rest, log, signal)
    return unlock()
  }
  const source = identity.roles.includes('protected-server')
    ? await openSource({ gate, preparationFolder: join(folder.path, 'prepared') })
    : null
  const desk = source ? createSourceDesk(source) : null
  try {
    const mailbox = await openMailbox(folder)
    await mailbox.say({ kind: 'started', version: agentVersion, at: Date.now() })
    await keepConnected({ folder, identity, mailbox, source, desk, log, signal, sysfs })
  } finally {
    await desk?.close().catch((error: unknown) => log(`a point could not be let go: ${String(error)}`))
    await source?.close?.().catch((error: unknown) => log(`tracking could not be ended: ${String(error)}`))
    unlock()
  }
}

/** It neither opens the disks nor dials, and does not end: whatever starts it again and again would find the same. */
async function stayQuiet(folder: StateFolder, why: Refusal, log: Log, signal: AbortSignal): Promise<void> {
  log(`${why.message}. ${why.remedy}`)
  await folder
    .saveStanding({
      pid: process.pid,
      version: agentVersion,
      connected: false,
      since: Date.now(),
      note: `${why.message}. ${why.remedy}`,
      backlog: 0,
    })
    .catch((error: unknown) => log(`the standing could not be written: ${String(error)}`))
  while (!signal.aborted) await pause(REST_MILLISECONDS, signal)
}

export type Enrolled = Identity & { readonly agentId: string }

/** The server's identity as it is now: on a clone it is another one, and the control plane says so. */
export async function loadIdentity(folder: StateFolder): Promise<Enrolled> {
  const identity = await folder.identity()
  if (identity === null || identity.agentId === null)
    throw new Refusal({
      code: 'agent/not-enrolled',
      message: `${folder.path} holds no enrolled agent`,
      remedy: 'Copy the command from the site in the console: understudy-agent enrol …',
    })
  const serverIdentity = await identifyServer(identity.identityText)
  return { ...identity, agentId: identity.agentId, serverIdentity }
}

type Running = {
  readonly folder: StateFolder
  readonly identity: Enrolled
  readonly mailbox: Mailbox
  readonly source: AgentSource | null
  readonly desk: SourceDesk | null
  readonly sysfs: string | null
  readonly log: Log
  readonly signal: AbortSignal
}

async function keepConnected(running: Running): Promise<void> {
  const { folder, identity, mailbox, log, signal } = running
  const instance = randomUUID()
  const inOrder = inTurn()
  let session: ControlSession | null = null
  let failures = 0
  // Nobody waits for it: while the server is held still it is not written, and the line has to be mended all the same.
  const stand = (connected: boolean, note: string | null): void =>
    void folder
      .saveStanding({
        pid: process.pid,
        version: agentVersion,
        connected,
        since: Date.now(),
        note,
        backlog: mailbox.waiting().length,
      })
      .catch((error: unknown) => log(`the standing could not be written: ${String(error)}`))
  const work = (order: Order): void => {
    void inOrder(async () => {
      await mailbox.answer(order.id, await carryOut(order))
      session?.push()
    }).catch((error: unknown) => log(`an order could not be answered: ${String(error)}`))
  }
  running.source?.watch(() => session?.changed(), signal)
  const answerer = createAnswerer(
    running.desk,
    (reply) => session?.reply(reply),
    (kind) => {
      if (kind === 'power-off') void session?.heard().then(() => running.source?.cutPower?.())
    },
  )
  // What was asked before a crash is done after it.
  for (const order of mailbox.orders()) work(order)

  while (!signal.aborted) {
    const stop = (): void => session?.close()
    let knockAgainIn = backOff(failures, Math.random())
    try {
      session = await openControlSession({
        identity,
        instance,
        mailbox,
        facts: await lookAround(),
        hardware: await lookAtHardware(running.sysfs),
        health: async () => ({
          ...(await roomAt(folder.path)),
          memoryBytes: process.memoryUsage().rss,
          upSeconds: process.uptime(),
        }),
        onWelcome() {
          failures = 0
          log(`connected to ${identity.server}`)
          stand(true, null)
        },
        onOrder: work,
        onAsk: answerer.ask,
        onWithdrawn: answerer.withdraw,
        readDisk: (wanted, stopped) => running.desk?.read(wanted, stopped) ?? Promise.reject(noSource()),
      })
      signal.addEventListener('abort', stop, { once: true })
      if (signal.aborted) stop()
      await session.ended
      if (!signal.aborted) log('the connection has ended')
      stand(false, signal.aborted ? 'It was stopped' : 'The connection has ended; it is tried again')
    } catch (error) {
      const report = toFailureReport(error)
      stand(false, `${report.message}. ${report.remedy}`)
      if (error instanceof Refusal && final.has(error.code)) throw error
      if (report.code === OTHER_SERVER) knockAgainIn = OTHER_SERVER_MILLISECONDS
      log(`not connected: ${report.message}`)
    } finally {
      signal.removeEventListener('abort', stop)
      session = null
    }
    await pause(knockAgainIn, signal)
    failures += 1
  }
  answerer.stop()
  await inOrder(async () => {})
}

/** Idempotent: after a crash it is done again. */
async function carryOut({ kind }: Order): Promise<Outcome> {
  if (!isKnownOrder(kind))
    return {
      kind: 'failed',
      code: 'agent/order-not-known',
      message: `This agent (${agentVersion}) does not know what "${kind}" is; bring it to the version of the server`,
    }
  switch (kind) {
    case 'report-facts':
      return { kind: 'facts', facts: await lookAround() }
  }
}

const pause = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  wait(milliseconds, undefined, { signal }).catch((error: unknown) => {
    if (!isAbort(error)) throw error
  })

/** The kernel lets go of it with the process, however that ends. Where there is nothing like it the server tells two of them apart. */
async function lock({ path }: StateFolder): Promise<() => void> {
  const name = `understudy-agent-${createHash('sha256').update(path).digest('hex').slice(0, 32)}`
  if (process.platform !== 'linux' && process.platform !== 'win32') return () => {}
  const holder = createServer().unref()
  await new Promise<void>((resolve, reject) => {
    holder.once('error', () =>
      reject(
        new Refusal({
          code: 'agent/runs-already',
          message: `The agent of ${path} runs already`,
          remedy: 'Stop the other process first.',
        }),
      ),
    )
    holder.listen(process.platform === 'linux' ? `\0${name}` : `\\\\.\\pipe\\${name}`, resolve)
  })
  return () => void holder.close()
}
