// The lab: two KVM sites and two small machines on this computer, made by a durable job and registered like any other site; and
// beside them, when somebody wants it, an emulated Azure.
import path from 'node:path'
import { Refusal, toFailureReport } from '@understudy/base/errors'
import type { Clock } from '@understudy/base/instant'
import type { Lab as ShownLab } from '@understudy/contract/overview'
import type { Job, JobId, Task } from '@understudy/domain/jobs/job'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ProtectionState } from '@understudy/domain/protection/protection'
import type { Site } from '@understudy/domain/sites/site'
import {
  createLab,
  destroyLab,
  findLabObstacle,
  labSites,
  loadLabMachines,
} from '@understudy/drivers/kvm/lab/lab'
import type { Engine } from '@understudy/engine/engine'
import type { Durable } from '@understudy/engine/ports/durable'
import type { Live } from '@understudy/engine/ports/live'
import type { Stores } from '@understudy/engine/ports/stores'
import type { AzureLab } from './compose-azure-lab.ts'
import type { Lab } from './lab/lab.ts'

export type LabParts = {
  readonly engine: Engine
  readonly durable: Durable
  readonly stores: Pick<Stores, 'jobs' | 'sites' | 'protections'>
  readonly live: Live
  readonly clock: Clock
  readonly home: string
  readonly newId: () => string
  readonly azure: AzureLab
}

const workflow = 'create-lab'
const makeTask = 'Make the machines and start them'
const registerTask = 'Register the two sites'
const subjectId = 'lab'
const sourceMayBeOff: readonly ProtectionState[] = [
  'failingOver',
  'failedOver',
  'rollingBack',
  'committing',
  'committed',
  'reprotecting',
]

/** Before the durable jobs are launched: it registers one. */
export function composeLab(parts: LabParts): Lab {
  const { engine, durable, stores, live, clock, newId, azure } = parts
  const folder = path.join(parts.home, 'lab')
  const cacheFolder = path.join(parts.home, 'cache')

  const findSites = async (): Promise<readonly Site[]> => {
    const names = labSites(folder).map((site) => site.name)
    return (await stores.sites.list()).filter((site) => names.includes(site.name))
  }
  const update = async (id: JobId, change: Partial<Job>): Promise<void> => {
    await stores.jobs.update(id, change)
    live.changed('jobs', id)
  }
  const setTask = async (id: JobId, name: string, change: Partial<Task>): Promise<void> => {
    const job = await stores.jobs.find(id)
    if (!job) return
    await update(id, { tasks: job.tasks.map((task) => (task.name === name ? { ...task, ...change } : task)) })
  }
  const runTask = async <Result>(id: JobId, name: string, work: () => Promise<Result>): Promise<Result> => {
    await setTask(id, name, { state: 'running', startedAt: clock.now() })
    const result = await work()
    await setTask(id, name, { state: 'succeeded', endedAt: clock.now() })
    return result
  }

  /** Starting one of these in the middle of a failover would make two of it, or stop the failover. */
  async function findSwitchedOff(): Promise<ReadonlySet<MachineRef>> {
    const protections = await stores.protections.list()
    return new Set(
      protections.flatMap(({ state, sourceRef, originalRef }) => [
        ...(sourceMayBeOff.includes(state) ? [sourceRef] : []),
        ...(originalRef === null ? [] : [originalRef]),
      ]),
    )
  }

  async function registerSites(): Promise<void> {
    const known = new Set((await findSites()).map((site) => site.name))
    for (const { name, settings } of labSites(folder))
      if (!known.has(name))
        await engine.registerSite({ name, platform: 'kvm', settings, secrets: {} }, { by: 'lab' })
    for (const site of await findSites()) await engine.refreshSite(site.id)
  }

  durable.register<{ readonly jobId: JobId }>(workflow, async (context, { jobId }) => {
    try {
      await context.step('make', async (signal) => {
        await update(jobId, { state: 'running' })
        await runTask(jobId, makeTask, async () =>
          createLab({
            folder,
            cacheFolder,
            leaveOff: await findSwitchedOff(),
            signal,
            onProgress: (note) => void setTask(jobId, makeTask, { note }).catch(() => {}),
          }),
        )
      })
      await context.step('register', () => runTask(jobId, registerTask, registerSites))
      await context.step('end', () => update(jobId, { state: 'succeeded', endedAt: clock.now() }))
    } catch (error) {
      await context.step('fail', async () => {
        const job = await stores.jobs.find(jobId)
        const tasks = (job?.tasks ?? []).map(
          (task): Task =>
            task.state === 'running' ? { ...task, state: 'failed', endedAt: clock.now() } : task,
        )
        await update(jobId, { state: 'failed', tasks, failure: toFailureReport(error), endedAt: clock.now() })
      })
    }
    live.changed('sites', null)
  })

  const newestJob = async (): Promise<Job | null> => {
    const page = await stores.jobs.list({ kinds: [workflow] }, { limit: 1, cursor: null })
    return page.rows[0] ?? null
  }
  const isUnderWay = (job: Job): boolean => ['queued', 'running', 'waiting'].includes(job.state)

  return {
    async status(): Promise<ShownLab> {
      const [obstacle, sites, job, shownAzure] = await Promise.all([
        findLabObstacle(),
        findSites(),
        newestJob(),
        azure.status(),
      ])
      const state =
        job !== null && isUnderWay(job)
          ? 'creating'
          : sites.length === 2
            ? 'ready'
            : job?.state === 'failed'
              ? 'failed'
              : 'absent'
      const machines = state === 'ready' ? await loadLabMachines({ folder }) : []
      return {
        available: obstacle === null,
        reason: obstacle === null ? null : `${obstacle.message}. ${obstacle.remedy}`,
        state,
        jobId: job?.id ?? null,
        siteIds: sites.map((site) => site.id),
        azure: shownAzure,
        pages: machines.flatMap(({ name, addresses }) =>
          addresses.map((url) => ({ machineName: name, url })),
        ),
      }
    },
    async create(asker) {
      const obstacle = await findLabObstacle()
      if (obstacle) throw obstacle
      const newest = await newestJob()
      if (newest !== null && isUnderWay(newest)) return { jobId: newest.id }
      const id = asker.jobId ?? (newId() as JobId)
      const task = (name: string): Task => ({
        name,
        state: 'pending',
        startedAt: null,
        endedAt: null,
        progress: null,
        note: null,
      })
      await stores.jobs.create({
        id,
        kind: workflow,
        state: 'queued',
        subjectId,
        subjectName: 'the lab',
        tasks: [task(makeTask), task(registerTask)],
        failure: null,
        question: null,
        createdAt: clock.now(),
        endedAt: null,
        startedBy: asker.by,
      })
      await durable.start(workflow, id, { jobId: id })
      live.changed('jobs', id)
      return { jobId: id }
    },
    async addAzure(asker) {
      const added = await azure.add(asker)
      live.changed('sites', added.siteId)
      return added
    },
    async remove(asker) {
      const emulated = await azure.findSite()
      const sites = [...(await findSites()), ...(emulated === null ? [] : [emulated])]
      const ids = new Set<string>(sites.map((site) => site.id))
      const used = (await stores.protections.list()).find(
        (each) => ids.has(each.sourceSiteId) || ids.has(each.targetSiteId),
      )
      if (used)
        throw new Refusal({
          code: 'lab/in-use',
          message: `${used.name} is protected by the lab's sites`,
          remedy: 'End its protection first.',
        })
      for (const site of sites) await engine.removeSite(site.id, asker)
      await azure.stop()
      await destroyLab({ folder })
      live.changed('sites', null)
    },
  }
}
