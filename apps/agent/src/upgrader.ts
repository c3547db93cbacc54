// What is done when the server orders another program: it is taken, put in place when nothing is held open, and believed when it has been let in by the
// server; else the former one comes back and says why.
import { setTimeout as wait } from 'node:timers/promises'
import type { Order, Outcome } from '@understudy/agent-protocol/messages'
import { isAbort, Outage, Refusal, toFailureReport } from '@understudy/base/errors'
import type { CommandEnd } from '@understudy/drivers/linux/run-command'
import { type Act, clearAway, confirm, exchange } from './exchange-program.ts'
import type { FetchedProgram } from './fetch-program.ts'
import type { Log } from './log.ts'
import type { Mailbox } from './mailbox.ts'
import { ownPlatform, pathsOf, type ServicePlace, whyFixed } from './service-place.ts'
import type { StateFolder, UpgradeRecord } from './state-folder.ts'
import { takeProgram } from './take-program.ts'

export type UpgraderParts = {
  readonly place: ServicePlace
  readonly folder: StateFolder
  readonly mailbox: Pick<Mailbox, 'orders' | 'answer'>
  readonly version: string
  /** Null: the server has not told it yet. */
  programKey(): string | null
  fetch(platform: string): Promise<FetchedProgram>
  selfTest(file: string): Promise<CommandEnd>
  isBusy(): boolean
  readonly act: Act
  /** An answer waits. */
  push(): void
  /** Ends this process, to be started again. */
  restart(): void
  readonly log: Log
  readonly signal: AbortSignal
  readonly times?: Partial<UpgradeTimes>
}

export type UpgradeTimes = {
  readonly trialMilliseconds: number
  readonly retryMilliseconds: number
  readonly lookMilliseconds: number
  readonly busyMilliseconds: number
}

const usualTimes: UpgradeTimes = {
  trialMilliseconds: 120_000,
  retryMilliseconds: 30_000,
  lookMilliseconds: 200,
  // A first copy may take a day.
  busyMilliseconds: 24 * 60 * 60_000,
}
const MOST_TRIES = 20

export type Upgrader = {
  /** Once, before anything is dialled: from then on a program on trial has its time. */
  start(): Promise<void>
  /** Answered when it is known how it ended, if need be by the next process. Repeatable. */
  obey(order: Order): Promise<void>
  /** The server has let this process in. */
  letIn(): Promise<void>
  /** Why it is not let in, as far as is known. */
  notLetIn(why: string): void
  stop(): void
}

export function createUpgrader(parts: UpgraderParts): Upgrader {
  const { place, folder, mailbox, version, act, log, signal } = parts
  const times = { ...usualTimes, ...parts.times }
  const paths = pathsOf(place)
  let trial: ReturnType<typeof setTimeout> | null = null
  /** Until this process has shown that it can be let in, nothing takes its place. */
  const first = Promise.withResolvers<void>()
  let knocked = false
  let lastTrouble = 'it was not let in by the server'

  const answer = async (orderId: string, outcome: Outcome): Promise<void> => {
    if (mailbox.orders().some(({ id }) => id === orderId)) await mailbox.answer(orderId, outcome)
    await folder.saveUpgrade(null)
    parts.push()
  }
  const answerTo = async ({ state, orderId, from, to, why }: UpgradeRecord): Promise<void> => {
    if (state === 'confirmed') return answer(orderId, { kind: 'upgraded', from, to })
    if (state !== 'rolled-back') return
    const message = `The program ${to} was not connected within its time, and ${from} was put back: ${why ?? 'it did not say why'}`
    await answer(orderId, { kind: 'failed', code: 'agent/upgrade-rolled-back', message })
  }

  const giveUp = async (record: UpgradeRecord): Promise<void> => {
    await folder.saveUpgrade({ ...record, state: 'given-up', why: lastTrouble })
    log(`the program ${version} is given up: ${lastTrouble}`)
    parts.restart()
  }

  const take = async (): Promise<string> => {
    const why = await whyFixed(place)
    if (why !== null) throw cannotExchange(why)
    const programKey = parts.programKey()
    if (programKey === null) throw noKey()
    for (let tries = 1; ; tries += 1) {
      try {
        const offered = await parts.fetch(ownPlatform())
        const { next: file } = paths
        const { selfTest } = parts
        return await takeProgram({
          offered,
          programKey,
          ownVersion: version,
          ownPlatform: ownPlatform(),
          file,
          selfTest,
          act,
        })
      } catch (error) {
        if (!(error instanceof Outage) || tries >= MOST_TRIES) throw error
        log(`the program could not be fetched: ${error.message}`)
        await wait(times.retryMilliseconds * (0.5 + Math.random()), undefined, { signal })
      }
    }
  }

  /** Begins anew what was cut off, however far it had come. */
  const upgrade = async (orderId: string): Promise<void> => {
    await Promise.race([first.promise, aborted(signal)])
    const to = await take()
    log(`the program ${to} is here, and waits until nothing is held open`)
    const until = performance.now() + times.busyMilliseconds
    while (parts.isBusy()) {
      if (performance.now() > until) throw busy(times.busyMilliseconds)
      await wait(times.lookMilliseconds, undefined, { signal })
    }
    await exchange({ paths, folder, act }, { orderId, from: version, to })
    log(`the program ${to} takes the place of ${version}`)
    parts.restart()
  }

  return {
    async start() {
      const record = await folder.upgrade()
      if (record?.state !== 'trial' || record.to !== version) return
      trial = setTimeout(() => {
        giveUp(record).catch((error: unknown) => log(`the program could not be given up: ${String(error)}`))
      }, times.trialMilliseconds)
    },
    async obey({ id }) {
      const record = await folder.upgrade()
      if (record?.orderId === id) {
        if (record.state === 'confirmed' || record.state === 'rolled-back') return answerTo(record)
        // On trial: it is answered when it is over.
        if (record.to === version) return
      }
      try {
        await upgrade(id)
      } catch (error) {
        if (signal.aborted && isAbort(error)) return
        const { code, message, remedy } = toFailureReport(error)
        await mailbox.answer(id, {
          kind: 'failed',
          code,
          message: `${message}. ${remedy}`.slice(0, 2000),
        })
        parts.push()
      }
    },
    async letIn() {
      if (knocked) return
      knocked = true
      if (trial) clearTimeout(trial)
      const record = await folder.upgrade()
      if (record !== null && record.to === version) {
        await confirm({ paths, folder, act })
        await answerTo({ ...record, state: 'confirmed' })
      } else if ((await whyFixed(place)) === null) await clearAway({ paths, act })
      first.resolve()
    },
    notLetIn(why) {
      lastTrouble = why
    },
    stop() {
      if (trial) clearTimeout(trial)
    },
  }
}

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

const cannotExchange = (why: string): Refusal =>
  new Refusal({
    code: 'agent/not-upgradable',
    message: `This agent cannot exchange its program. ${why.replace(/\.$/, '')}`,
    remedy:
      'Run the command of a new invitation on its server: it exchanges the program and keeps the agent.',
  })

const noKey = (): Refusal =>
  new Refusal({
    code: 'agent/no-program-key',
    message: 'The agent does not know by which key programs are signed',
    remedy: 'It is told when it connects to a control plane of this version; upgrade it then.',
  })

const busy = (milliseconds: number): Refusal =>
  new Refusal({
    code: 'agent/busy',
    message: `There was no moment without an open recovery point within ${milliseconds / 3_600_000} hours; nothing was changed`,
    remedy: 'Pause the protection of its server for a minute, and upgrade again.',
  })
