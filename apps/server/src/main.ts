// The server's process: configuration, control plane, port, and a clean end.
import { parseArgs } from 'node:util'
import { Outage, Refusal } from '@understudy/base/errors'
import { offerSetupLink } from './access/offer-setup-link.ts'
import { composeControlPlane } from './compose.ts'
import { loadConfig } from './config.ts'
import { createLog } from './log.ts'
import { offerPolicies } from './offer-policies.ts'
import { processEnd } from './process-end.ts'
import { serve } from './serve.ts'
import { describeUsage, version } from './usage.mjs'

async function main(): Promise<void> {
  const values = readOptions()
  if (values.help) return void process.stdout.write(describeUsage())
  if (values.version) return void process.stdout.write(`${version}\n`)
  const config = loadConfig(process.env, { lab: values.lab, port: values.port, host: values.host })
  const log = createLog(config)
  const end = processEnd(log)
  const plane = await composeControlPlane(config, log, (why) => end.fail(why, why.message))
  const serving = await serve(config, plane, log).catch(async (error: unknown) => {
    await plane.close()
    throw error
  })
  end.stopWith(async () => {
    log.info('stopping')
    await serving.close()
    await plane.close()
    log.info('stopped')
  })
  await plane.engine.start()
  plane.agents.start()
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

main().catch((error: unknown) => {
  if (error instanceof Refusal || error instanceof Outage)
    process.stderr.write(`\n  Understudy cannot start: ${error.message}.\n  ${error.remedy}\n\n`)
  else process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
  process.exit(1)
})
