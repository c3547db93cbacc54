// npm run bench:failover [-- --quick | --rounds=N]. From the click to the guest's own answer over TCP, for small and huge disks, with few and
// with thousands of recovery points, beside the same guest's cold boots from a plain disk, turn by turn.
//
// The click is the REST call of an unplanned failover to the latest point, against the product as `npm start` runs it. The
// answer is the first byte that the guest sends back through its forwarded port. Each failover is rolled back before the next.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { GiB } from '@understudy/base/bytes'
import { present } from '@understudy/base/invariant'
import { endProcess, startMachine } from '@understudy/drivers/kvm/power'
import { freePort } from '@understudy/simulator/free-port'
import { type Api, finishJob } from './api-client.ts'
import { median, newBars, numberOption } from './bars.ts'
import { withProduct } from './bench-product.ts'
import { installTools, openSite, settleDisks, withFolder } from './bench-site.ts'
import { withCleanUp } from './clean-up.ts'
import {
  bootDeadlineSeconds,
  guestBytes,
  machinesIn,
  makeGuest,
  openStageSites,
  pause,
  placeGuest,
  prepareStage,
  quickVariants,
  type Stage,
  userAdapter,
  type Variant,
  variants,
} from './failover-stage.ts'
import { untilGuestAnswers } from './guest-answer.ts'

const isQuick = process.argv.includes('--quick')
const rounds = numberOption('rounds', isQuick ? 2 : 5)
const answerSeconds = 180
const jobSeconds = 300
const chosen = isQuick ? quickVariants : variants

const bars = newBars(isQuick ? 'failover-quick' : 'failover')
installTools()
await withFolder(async (folder) => {
  const image = await makeGuest(folder)
  await withProduct((api) => failOverAll(api, folder, image))
})
await bars.finish()

async function failOverAll(api: Api, folder: string, image: string): Promise<void> {
  const sites = openStageSites(folder)
  await withCleanUp(sites.close, async () => {
    const startedAt = performance.now()
    const stage = await prepareStage(api, sites, { image, variants: chosen })
    bars.note('failover-set-up', (performance.now() - startedAt) / 1000, 's')
    await measure(api, stage, folder, image)
  })
}

/**
 * A computer is not equally quick all the time, and what comes first in a round is not what comes last: each failover stands between two
 * cold boots and is held against them, and every round begins with another variant.
 */
async function measure(api: Api, stage: Stage, folder: string, image: string): Promise<void> {
  const cold: number[] = []
  const answers = new Map(chosen.map(({ name }) => [name, [] as Failover[]]))
  const bootCold = async (): Promise<number> => {
    const seconds = await coldBoot(folder, image, cold.length)
    cold.push(seconds)
    return seconds
  }
  for (let round = 0; round < rounds; round += 1) {
    let before = await bootCold()
    for (const { name } of [
      ...chosen.slice(round % chosen.length),
      ...chosen.slice(0, round % chosen.length),
    ]) {
      const failover = await failOver(api, stage, name)
      const after = await bootCold()
      present(answers.get(name), 'every variant has a list').push({
        ...failover,
        toColdBoot: (2 * failover.answeredSeconds) / (before + after),
      })
      before = after
    }
  }
  judge(cold, answers)
}

type Timed = {
  /** From the click to a machine of its own at the target. */
  readonly bootingSeconds: number
  readonly answeredSeconds: number
}

type Failover = Timed & { readonly toColdBoot: number }

function judge(cold: readonly number[], answers: ReadonlyMap<string, readonly Failover[]>): void {
  bars.note('failover-cold-boot', median(cold), 's')
  const answered: number[] = []
  const relative: number[] = []
  for (const [name, runs] of answers) {
    bars.note(`failover-${name}-boots`, median(runs.map(({ bootingSeconds }) => bootingSeconds)), 's')
    answered.push(median(runs.map(({ answeredSeconds }) => answeredSeconds)))
    bars.note(`failover-${name}-answers`, answered.at(-1) ?? Number.NaN, 's')
    relative.push(median(runs.map(({ toColdBoot }) => toColdBoot)))
    bars.note(`failover-${name}-to-cold-boot`, relative.at(-1) ?? Number.NaN, 'x')
  }
  bars.bar('failover-beyond-cold-boot', Math.max(...answered) - median(cold), 's', { atMost: 60 })
  bars.bar('failover-slowest-to-fastest', Math.max(...relative) / Math.min(...relative), 'x', {
    atMost: 1.2,
  })
}

async function failOver(api: Api, stage: Stage, name: Variant['name']): Promise<Timed> {
  const id = present(stage.protections.get(name), 'every variant is protected')
  await settleDisks()
  const clickedAt = performance.now()
  const { jobId } = await api<{ jobId: string }>('POST', `/protections/${id}/failover`, { kind: 'unplanned' })
  const port = await bootedPort(stage.targetFolder)
  const bootingSeconds = (performance.now() - clickedAt) / 1000
  await untilGuestAnswers(port, answerSeconds)
  const answeredSeconds = (performance.now() - clickedAt) / 1000
  await finishJob(api, jobId, jobSeconds)
  const undone = await api<{ jobId: string }>('POST', `/protections/${id}/roll-back`)
  await finishJob(api, undone.jobId, jobSeconds)
  // Its source is gone: nothing shall be tried there while others are measured.
  await pause(api, id)
  return { bootingSeconds, answeredSeconds }
}

/** Where the guest will answer, as soon as its machine is written down at the target. */
async function bootedPort(targetFolder: string): Promise<number> {
  const deadline = performance.now() + answerSeconds * 1000
  for (;;) {
    const [machine] = await machinesIn(targetFolder)
    const port = machine?.definition.adapters[0]?.forwards[0]?.hostPort
    if (port !== undefined) return port
    if (performance.now() > deadline) throw new Error(`No machine within ${answerSeconds} s`)
    await wait(20)
  }
}

/** The same guest on a plain file of the smaller size. */
async function coldBoot(folder: string, image: string, round: number): Promise<number> {
  const site = openSite(join(folder, 'cold'))
  const port = await freePort()
  const bytes = 2 * GiB
  const machine = await site.addMachine(`cold-${round}`, [{ key: 'vda', format: 'raw', bytes }], {
    memoryBytes: guestBytes,
    adapters: [userAdapter(port)],
  })
  await placeGuest(image, machine.folder, bytes)
  await settleDisks()
  const remove = async (): Promise<void> => {
    await endProcess(machine)
    await rm(machine.folder, { recursive: true })
  }
  return withCleanUp(remove, async () => {
    const startedAt = performance.now()
    await startMachine(machine, { bootDeadlineSeconds })
    await untilGuestAnswers(port, answerSeconds)
    return (performance.now() - startedAt) / 1000
  })
}
