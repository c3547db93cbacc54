// The server's process: configuration, control plane, port, and a clean end.
import { parseArgs } from 'node:util'
import { Outage, Refusal } from '@understudy/base/errors'
import { offerSetupLink } from './access/offer-setup-link.ts'
import { composeControlPlane } from './compose.ts'
import { loadConfig } from './config.ts'
import { createLog } from './log.ts'
import { offerPolicies } from './offer-policies.ts'
import { serve } from './serve.ts'
import { describeUsage, version } from './usage.mjs'

/** A clean stop takes no longer; then the process goes anyway. Nothing is lost either way. */
const stopMilliseconds = 25_000

async function main(): Promise<void> {
  const values = readOptions()
  if (values.help) return void process.stdout.write(describeUsage())
  if (values.version) return void process.stdout.write(`${version}\n`)
  const config = loadConfig(process.env, { lab: values.lab, port: values.port, host: values.host })
  const log = createLog(config)
  const plane = await composeControlPlane(config, log)
  const serving = await serve(config, plane, log).catch(async (error: unknown) => {
    await plane.close()
    throw error
  })
  stopOnSignal(async () => {
    log.info('stopping')
    await serving.close()
    await plane.close()
    log.info('stopped')
  })
  await plane.engine.start()
  const link = await offerSetupLink(plane.stores.setup, plane.clock, serving.address)
  await offerPolicies(plane.engine, plane.stores.policies, link !== null)
  log.info({ serverPid: process.pid }, 'serving')
  process.stdout.write(`\n  Understudy ${version} is ready: ${serving.address}\n`)
  if (link !== null)
    process.stdout.write(`  Make the first owner here (works once, for 24 hours):\n  ${link}\n`)
  process.stdout.write('\n')
  if (config.lab) await plane.lab.create({ by: 'system' })
}

function readOptions() {
  try {
    return parseArgs({
      options: {
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean' },
        lab: { type: 'boolean' },
        port: { type: 'string' },
        host: { type: 'string' },
      },
    }).values
  } catch (error) {
    throw new Refusal({
      code: 'config/invalid',
      message: error instanceof Error ? error.message : String(error),
      remedy: 'npm start -- --help lists what can be set.',
    })
  }
}

/** The first signal stops cleanly; a second one, or a stop that takes too long, at once. */
function stopOnSignal(stop: () => Promise<void>): void {
  let stopping = false
  const onSignal = (): void => {
    if (stopping) process.exit(130)
    stopping = true
    setTimeout(() => process.exit(1), stopMilliseconds).unref()
    stop().then(
      () => process.exit(0),
      () => process.exit(1),
    )
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
}

main().catch((error: unknown) => {
  if (error instanceof Refusal || error instanceof Outage)
    process.stderr.write(`\n  Understudy cannot start: ${error.message}.\n  ${error.remedy}\n\n`)
  else process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(1)
})
