// The one place where ports meet adapters: everything the server is made of, opened in order and closed in reverse.
import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { KiB } from '@understudy/base/bytes'
import type { Refusal } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import { openEvidencePrinter } from '@understudy/drivers/evidence/open-evidence-printer'
import { openStepRunner } from '@understudy/drivers/steps/open-step-runner'
import type { Engine } from '@understudy/engine/engine'
import { createEngine } from '@understudy/engine/engine'
import { defaultEngineConfig, type EngineConfig } from '@understudy/engine/engine-parts'
import type { EvidencePrinter } from '@understudy/engine/ports/evidence-printer'
import type { Platforms } from '@understudy/engine/ports/platforms'
import { dbosDurable } from '@understudy/store/dbos-durable'
import { startEmbeddedPostgres } from '@understudy/store/embedded-postgres'
import { openHintPool } from '@understudy/store/hint-pool'
import { migrateDeploy } from '@understudy/store/migrate'
import { type OpenedStores, openStores } from '@understudy/store/open-stores'
import { takeProcessName } from '@understudy/store/process-name'
import { loadSecretKey } from '@understudy/store/secret-key'
import type { Logger } from 'pino'
import { type AgentKeeper, createAgentKeeper } from './agents/agent-keeper.ts'
import { createAgentLines } from './agents/agent-lines.ts'
import { agentLineOf } from './agents/agent-servers.ts'
import { programFolder } from './agents/offered-programs.ts'
import { createReceivers, type Receivers } from './agents/receivers.ts'
import { createWriteLines } from './agents/write-lines.ts'
import { composeAzureLab } from './compose-azure-lab.ts'
import { composeLab } from './compose-lab.ts'
import { composePlatforms } from './compose-platforms.ts'
import { composeSeeds } from './compose-seeds.ts'
import type { Config } from './config.ts'
import { keepHouse } from './keep-house.ts'
import type { Lab } from './lab/lab.ts'
import { createLiveHub, type LiveHub, type LivePool } from './live/live-hub.ts'
import { withHistory } from './live/record-history.ts'
import { engineLog } from './log.ts'
import { version } from './usage.mjs'

export type ControlPlane = {
  readonly engine: Engine
  readonly stores: OpenedStores
  readonly live: LiveHub
  readonly platforms: Platforms
  readonly hints: LivePool
  readonly lab: Lab
  readonly agents: AgentKeeper
  readonly receivers: Receivers
  readonly printer: EvidencePrinter
  readonly clock: Clock
  readonly secretKey: Buffer
  readonly newId: () => string
  /** In reverse order of opening. Repeatable. */
  close(): Promise<void>
}

const clock: Clock = { now: () => Date.now() }
const sleep = (milliseconds: number, signal?: AbortSignal): Promise<void> =>
  wait(milliseconds, undefined, signal ? { signal } : {})

/** `onLost`: another process has this one's name by now, which therefore must end. */
export async function composeControlPlane(
  config: Config,
  log: Logger,
  onLost: (why: Refusal) => void,
): Promise<ControlPlane> {
  const closers: (() => Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer; closer = closers.pop())
      await closer().catch((error: unknown) => log.warn({ error }, 'something did not close cleanly'))
  }
  try {
    mkdirSync(config.home, { recursive: true, mode: 0o755 })
    const databaseUrl = await openDatabase(config, log, closers)
    const name = await takeProcessName(databaseUrl, config.processName, { onLost })
    closers.push(() => name.release())
    const secretKey = loadSecretKey(config.home)
    const stores = await openStores({ databaseUrl, secretKey })
    closers.push(() => stores.close())
    const housekeeping = keepHouse(stores, clock, log)
    closers.push(() => housekeeping.stop())
    const hints = openHintPool(databaseUrl)
    closers.push(() => hints.close())
    const lines = createAgentLines()
    const writes = createWriteLines()
    const live = createLiveHub(log)
    closers.push(() => live.close())
    const receivers = createReceivers({
      stores,
      live,
      clock,
      newId: randomUUID,
      lines,
      writes,
    })
    const platforms = composePlatforms({
      sites: stores.sites,
      machines: stores.machines,
      agents: agentLineOf(lines, { stores, clock, silentSeconds: config.agentSilentSeconds }),
      receivers: receivers.line,
      home: config.home,
      clock,
      sleep,
      secretKey,
    })
    closers.push(() => platforms.close())
    const measured = withHistory(live, stores.history, clock, log)
    closers.push(() => Promise.resolve(measured.stop()))
    const durable = dbosDurable({
      databaseUrl,
      executorId: config.processName,
      log: (level, message) => log[level](message),
    })
    const printer = openEvidencePrinter()
    const azure = composeAzureLab({
      sites: stores.sites,
      home: config.home,
      registerSite: (site, asker) => engine.registerSite(site, asker),
      updateSite: (siteId, change, asker) => engine.updateSite(siteId, change, asker),
      log: (message, error) => log.warn({ error }, message),
    })
    // Before the engine is opened, so that it outlives what writes to it.
    closers.push(() => azure.stop())
    await azure.resume()
    const engine = createEngine({
      stores,
      durable,
      platforms,
      printer,
      seeds: composeSeeds({ home: config.home, sites: stores.sites }),
      steps: openStepRunner({ folder: join(config.home, 'plan-steps'), clock }),
      live: measured,
      clock,
      sleep,
      newId: randomUUID,
      config: engineConfig(config),
      log: engineLog(log),
    })
    closers.push(() => engine.stop())
    const lab = composeLab({
      engine,
      durable,
      stores,
      live,
      clock,
      home: config.home,
      newId: randomUUID,
      azure,
    })
    const agents = createAgentKeeper(
      { stores, live, clock, newId: randomUUID, log, config, version, programFolder },
      lines,
      writes,
    )
    closers.push(() => agents.stop())
    return {
      engine,
      stores,
      live,
      platforms,
      hints: hints.pool,
      lab,
      agents,
      receivers,
      printer,
      clock,
      secretKey,
      newId: randomUUID,
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function openDatabase(config: Config, log: Logger, closers: (() => Promise<void>)[]): Promise<string> {
  if (config.databaseUrl !== null) {
    await migrateDeploy(config.databaseUrl)
    return config.databaseUrl
  }
  const postgres = await startEmbeddedPostgres({
    home: config.home,
    onNews: (news, detail) =>
      log[news === 'lost' || news === 'given-up' ? 'error' : 'info'](`PostgreSQL ${news}: ${detail}`),
  })
  closers.push(() => postgres.stop())
  await migrateDeploy(postgres.databaseUrl)
  return postgres.databaseUrl
}

/**
 * Buffers of all cycles together stay within the configured memory: fewer requests in flight before fewer cycles, and what is left of it is for
 * sources that are far away.
 */
function engineConfig(config: Config): EngineConfig {
  const requestBytes = 256 * KiB
  const all = Math.floor(config.moverMemoryBytes / 2 / requestBytes)
  const requestsInFlight = Math.max(2, Math.min(16, Math.floor(all / config.moverConcurrency)))
  return {
    ...defaultEngineConfig,
    moverId: config.processName,
    concurrentCycles: config.moverConcurrency,
    letGoSeconds: config.letGoSeconds,
    concurrentScheduledTests: config.scheduledTests,
    lowSpaceBytes: config.lowSpaceBytes,
    requestBytes,
    requestsInFlight,
    farRequests: Math.max(0, all - requestsInFlight * config.moverConcurrency),
  }
}
