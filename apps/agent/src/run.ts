// `understudy-agent run`: connected as long as it can be, and what is asked of it done, until it is told to stop.
import { createHash, randomUUID } from 'node:crypto'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { isKnownOrder, type Order, type Outcome } from '@understudy/agent-protocol/messages'
import { isAbort, Refusal, toFailureReport } from '@understudy/base/errors'
import { inTurn } from '@understudy/base/in-turn'
import type { AgentFacts } from '@understudy/domain/agents/agent'
import type { HoldGate } from '@understudy/drivers/linux/hold-gate'
import { runCommand } from '@understudy/drivers/linux/run-command'
import {
  createReceiverDesk,
  type ReceiverDesk,
  type ReceiverSystem,
} from '@understudy/drivers/physical/receiver-desk'
import { createSourceDesk, type SourceDesk } from '@understudy/drivers/physical/source-desk'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { agentVersion } from './agent-version.ts'
import { createAnswerer, noSource } from './answer-asks.ts'
import { backOff } from './back-off.ts'
import { type ControlSession, openControlSession } from './control-session.ts'
import { fetchProgram } from './fetch-program.ts'
import type { Log } from './log.ts'
import { identifyServer, lookAround, lookAtHardware, roomAt, whyToRest } from './look-around.ts'
import { type Mailbox, openMailbox } from './mailbox.ts'
import { ownPlatform, type ServicePlace, whyFixed } from './service-place.ts'
import type { Identity, StateFolder } from './state-folder.ts'
import { createUpgrader } from './upgrader.ts'

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
  /** This computer, to be written: only asked for where it runs a rescue system. Null: it cannot be. */
  readonly openReceiver?: () => ReceiverSystem | null
  /** Where the kernel shows the hardware; null: nowhere. */
  readonly sysfs: string | null
}

export type AgentToRun = {
  readonly folder: StateFolder
  readonly gate: HoldGate
  readonly server: AgentServer
  readonly place: ServicePlace
  readonly log: Log
}

/** Stopped, or another program lies in the place of this one and is to be started. */
export type RunEnd = 'stopped' | 'start-again'

/** Resolves when `signal` aborts, or another program takes over. Refuses what a person has to mend. `folder` and `log` wait for the gate. */
export async function runAgent(
  { folder, gate, server: { openSource, openReceiver, sysfs }, place, log }: AgentToRun,
  stopped: AbortSignal,
): Promise<RunEnd> {
  const identity = await loadIdentity(folder)
  const unlock = await lock(folder)
  const rest = await whyToRest(sysfs)
  if (rest) {
    await stayQuiet(folder, rest, log, stopped)
    unlock()
    return 'stopped'
  }
  const again = new AbortController()
  const signal = AbortSignal.any([stopped, again.signal])
  const restart = (): void => again.abort(new DOMException('Another program takes over', 'AbortError'))
  const source = identity.roles.includes('protected-server')
    ? await openSource({ gate, preparationFolder: join(folder.path, 'prepared') })
    : null
  const desk = source ? createSourceDesk(source) : null
  // An agent is never both: what is read as a server must not be what is written.
  const system = !source && identity.roles.includes('receiver') ? (openReceiver?.() ?? null) : null
  const receiver = system
    ? createReceiverDesk(system, { load: folder.receiving, save: folder.saveReceiving })
    : null
  try {
    const mailbox = await openMailbox(folder)
    await mailbox.say({ kind: 'started', version: agentVersion, at: Date.now() })
    await keepConnected({
      folder,
      gate,
      place,
      identity,
      mailbox,
      source,
      desk,
      receiver,
      log,
      signal,
      restart,
      sysfs,
    })
    return again.signal.aborted ? 'start-again' : 'stopped'
  } finally {
    await receiver?.close()
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
  readonly gate: HoldGate
  readonly place: ServicePlace
  readonly identity: Enrolled
  readonly mailbox: Mailbox
  readonly source: AgentSource | null
  readonly desk: SourceDesk | null
  readonly receiver: ReceiverDesk | null
  readonly sysfs: string | null
  readonly log: Log
  readonly signal: AbortSignal
  restart(): void
}

/** Of a program that has just been fetched. */
const SELF_TEST_SECONDS = 60

async function keepConnected(running: Running): Promise<void> {
  const { folder, gate, place, identity, mailbox, log, signal, restart } = running
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
  const answerer = createAnswerer(
    running.desk ?? running.receiver,
    (reply) => session?.reply(reply),
    (kind) => {
      if (kind === 'power-off') void session?.heard().then(() => running.source?.cutPower?.())
    },
  )
  let { programKey } = identity
  const upgrader = createUpgrader({
    place,
    folder,
    mailbox,
    version: agentVersion,
    programKey: () => programKey,
    fetch: (platform) => fetchProgram(identity, platform),
    selfTest: (file) => runCommand(file, ['--selftest'], { seconds: SELF_TEST_SECONDS, signal }),
    isBusy: () => answerer.isBusy() || (running.desk?.isBusy() ?? false),
    act: (work) => gate.write(work),
    push: () => session?.push(),
    restart,
    log,
    signal,
  })
  const upgrades = inTurn()
  const facts = async (): Promise<AgentFacts> => ({
    ...(await lookAround()),
    program: { platform: ownPlatform(), fixedBecause: await whyFixed(place) },
  })
  const carryOut = carryOutWith(facts)
  const welcomed = async (toldKey: string | null): Promise<void> => {
    stand(true, null)
    if (toldKey !== null && programKey === null) {
      const kept = await folder.identity()
      if (kept) await folder.saveIdentity({ ...kept, programKey: toldKey })
      programKey = toldKey
    } else if (toldKey !== null && toldKey !== programKey)
      log('the server signs programs with another key than the one that is known: none of them is taken')
    await upgrader.letIn()
  }
  const work = (order: Order): void => {
    // Fetching and waiting take long: what else is ordered is done meanwhile.
    if (order.kind === 'upgrade')
      return void upgrades(() => upgrader.obey(order)).catch((error: unknown) =>
        log(`an upgrade could not be answered: ${String(error)}`),
      )
    void inOrder(async () => {
      await mailbox.answer(order.id, await carryOut(order))
      session?.push()
    }).catch((error: unknown) => log(`an order could not be answered: ${String(error)}`))
  }
  running.source?.watch(() => session?.changed(), signal)
  await upgrader.start()
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
        facts: await facts(),
        hardware: await lookAtHardware(running.sysfs),
        health: async () => ({
          ...(await roomAt(folder.path)),
          memoryBytes: process.memoryUsage().rss,
          upSeconds: process.uptime(),
        }),
        onWelcome(toldKey) {
          failures = 0
          log(`connected to ${identity.server}`)
          welcomed(toldKey).catch((error: unknown) =>
            log(`what is kept could not be written: ${String(error)}`),
          )
        },
        onOrder: work,
        onAsk: answerer.ask,
        onWithdrawn: answerer.withdraw,
        receiver: running.receiver,
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
      upgrader.notLetIn(report.message)
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
  upgrader.stop()
  await upgrades(async () => {})
  await inOrder(async () => {})
}

/** Idempotent: after a crash it is done again. */
const carryOutWith =
  (facts: () => Promise<AgentFacts>) =>
  async ({ kind }: Order): Promise<Outcome> => {
    if (!isKnownOrder(kind))
      return {
        kind: 'failed',
        code: 'agent/order-not-known',
        message: `This agent (${agentVersion}) does not know what "${kind}" is; bring it to the version of the server`,
      }
    switch (kind) {
      case 'report-facts':
        return { kind: 'facts', facts: await facts() }
      case 'upgrade':
        throw new Error('An upgrade is the matter of the upgrader')
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
