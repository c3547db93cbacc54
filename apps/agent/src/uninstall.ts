// `understudy-agent uninstall`: the server as it was before, and what was undone, said.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Outage } from '@understudy/base/errors'
import { preparationPlace } from '@understudy/drivers/linux/preparation/prepare-for'
import { findPreparation, undoPreparation } from '@understudy/drivers/linux/preparation/prepare-server'
import { removeInstances } from '@understudy/drivers/linux/trackings'
import { checkRoot, hasSystemd, isThere, pathsOf, SERVICE, type ServicePlace } from './service-place.ts'

export type Removal = {
  readonly place: ServicePlace
  /** What it knows stays, and another installation goes on as the same agent. */
  readonly keepState: boolean
  say(line: string): void
}

/** Repeatable: what failed is tried again, with what it needs to be undone still there. */
export async function uninstall({ place, keepState, say }: Removal): Promise<void> {
  checkRoot(place, 'uninstall')
  const { program, former, next, state, unit } = pathsOf(place)
  const systemd = await hasSystemd(place)
  const all = [program, state, unit]
  if (!(await Promise.all(all.map(isThere))).includes(true)) return say('No agent is installed here.')

  if (systemd && (await isThere(unit))) {
    await stop(place)
    say(`Stopped and disabled ${SERVICE}.`)
  }
  const prepared = join(state, 'prepared')
  const preparation = { ...preparationPlace(prepared), root: place.root }
  const wasPrepared = (await findPreparation(preparation)) !== null
  await undoPreparation(preparation)
  if (wasPrepared) say('Undid what was prepared for hardware of a target.')
  for (const name of await removeInstances(place.tracefs)) say(`Removed the trace buffer ${name}.`)
  if (await isThere(unit)) {
    await rm(unit)
    if (systemd) await place.systemctl('daemon-reload')
    say(`Removed ${unit}.`)
  }
  for (const other of [former, next]) await rm(other, { force: true })
  if (await isThere(program)) {
    await rm(program)
    say(`Removed ${program}.`)
  }
  if (!(await isThere(state))) return
  if (keepState) return say(`Kept ${state}, with the key of the agent.`)
  await rm(state, { recursive: true })
  say(`Removed ${state}, with the key of the agent. Revoke the agent in the console.`)
}

async function stop(place: ServicePlace): Promise<void> {
  const { code, output } = await place.systemctl('disable', '--now', SERVICE)
  if (code === 0) return
  throw new Outage({
    code: 'agent/service-failed',
    message: `The service could not be stopped: ${output.trim()}`,
    remedy: `Stop it (systemctl stop ${SERVICE}), and run this again.`,
  })
}
