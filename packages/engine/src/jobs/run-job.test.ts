import type { JobId } from '@understudy/domain/jobs/job'
import { fakeWorld } from '@understudy/simulator/fake-platform'
import { durableLog, memoryDurable } from '@understudy/simulator/memory-durable'
import { memoryLive } from '@understudy/simulator/memory-live'
import { memoryPrinter } from '@understudy/simulator/memory-printer'
import { memorySeedFolders } from '@understudy/simulator/memory-seed-folders'
import { memorySteps } from '@understudy/simulator/memory-steps'
import { memoryStores } from '@understudy/simulator/memory-stores'
import { sampleJob } from '@understudy/simulator/sample-rows'
import { virtualClock } from '@understudy/simulator/virtual-clock'
import { expect, test } from 'vitest'
import { defaultEngineConfig, type EngineParts } from '../engine-parts.ts'
import type { DurableContext } from '../ports/durable.ts'
import type { JobBody } from './job-scope.ts'
import { CANCEL_TOPIC, type Cancels, jobWorkflow } from './run-job.ts'
import { cancelJob } from './start-job.ts'

function newParts(): EngineParts {
  const clock = virtualClock()
  return {
    stores: memoryStores(),
    // Here the context answers for what is sent.
    durable: { ...memoryDurable({ log: durableLog(), clock }), signal: async () => {} },
    platforms: fakeWorld(clock).platforms,
    steps: memorySteps(clock),
    seeds: memorySeedFolders(),
    printer: memoryPrinter(),
    live: memoryLive(),
    clock,
    sleep: clock.sleep,
    newId: () => 'id',
    config: { ...defaultEngineConfig, moverId: 'm' },
    log: () => {},
  }
}

/** Ends only when it is aborted. */
const endless: JobBody<null> = {
  tasks: () => ['wait'],
  run: (job) =>
    job.task(
      'wait',
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
          if (signal.aborted) reject(signal.reason)
        }),
    ),
}

test('a cancel that comes between the look for one and the task reaches the task', async () => {
  const parts = newParts()
  const cancels: Cancels = new Map()
  const job = sampleJob({ state: 'queued' })
  await parts.stores.jobs.create(job)
  const never = new AbortController().signal
  const context: DurableContext = {
    workflowId: job.id,
    step: (_name, work) => work(never),
    sleep: async () => {},
    async waitForSignal(topic) {
      // What was sent by now has been read; this comes right after it.
      if (topic === CANCEL_TOPIC) await cancelJob(parts, cancels, job.id as JobId)
      return null
    },
  }
  await jobWorkflow(parts, cancels, endless)(context, null)
  expect(await parts.stores.jobs.find(job.id)).toMatchObject({ state: 'cancelled' })
})

test('the part that a task is at is shown when it begins, with how far it is, and gives way to what comes of it', async () => {
  const parts = newParts()
  const job = sampleJob({ state: 'queued' })
  await parts.stores.jobs.create(job)
  const shown = async () => {
    for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
    const [task] = (await parts.stores.jobs.find(job.id))?.tasks ?? []
    return task && { note: task.note, progress: task.progress?.doneBytes ?? null }
  }
  const seen: unknown[] = []
  const body: JobBody<null> = {
    tasks: () => ['boot'],
    run: (scope) =>
      scope.task('boot', async (task) => {
        const bytes = (doneBytes: number) => ({ doneBytes, totalBytes: 10 })
        task.at('Copying', bytes(1))
        // Soon after the last one: only the figure is newer.
        task.at('Copying', bytes(2))
        seen.push(await shown())
        // Just as soon, and for long the last that is heard.
        task.at('Making', null)
        seen.push(await shown())
        task.note('It runs')
      }),
  }
  const never = new AbortController().signal
  const context: DurableContext = {
    workflowId: job.id,
    step: (_name, work) => work(never),
    sleep: async () => {},
    waitForSignal: async () => null,
  }
  await jobWorkflow(parts, new Map(), body)(context, null)
  expect(seen).toEqual([
    { note: 'Copying', progress: 1 },
    { note: 'Making', progress: null },
  ])
  expect((await shown())?.note).toBe('It runs')
})
