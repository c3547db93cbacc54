// Kill the process before and after every step of every workflow, start another one, and look at the world.

import type { Run } from '@understudy/domain/failover/failover'
import type { JobId } from '@understudy/domain/jobs/job'
import type { ProtectionState } from '@understudy/domain/protection/protection'
import { readAll } from '@understudy/simulator/memory-disk'
import { durableLog } from '@understudy/simulator/memory-durable'
import { seededRandom } from '@understudy/simulator/seeded-random'
import { checkGuest } from '@understudy/simulator/synthetic-guest'
import { describe, expect, test } from 'vitest'
import { askOf, type Crash, type CrashLab, type Process, protectedCrashLab } from './crash-lab.ts'
import type { Engine } from './engine.ts'
import { latest, minute } from './engine-lab.ts'
import type { Stores } from './ports/stores.ts'
import type { JobStarted } from './requests.ts'

const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 1e9))
/** Crashes at any call of any port, chosen by the seed, for each workflow. */
const RANDOM_CRASHES = 6

/** True when it is over or waits for a person; false when the process died before. */
async function settle(lab: CrashLab, process: Process, jobId: JobId): Promise<boolean> {
  for (let turn = 0; turn < 1200; turn += 1) {
    if (process.outside.dead) return false
    const job = await lab.stores.jobs.find(jobId)
    if (job && job.state !== 'queued' && job.state !== 'running') return true
    await lab.clock.advance(1000)
  }
  const job = await lab.stores.jobs.find(jobId)
  throw new Error(`the job is not over: ${JSON.stringify(job, null, 1)}`)
}

async function done(lab: CrashLab, start: (engine: Engine) => Promise<JobStarted>): Promise<void> {
  const { jobId } = await start(lab.process.engine)
  await settle(lab, lab.process, jobId)
  const job = await lab.stores.jobs.find(jobId)
  if (job?.state !== 'succeeded') throw new Error(`preparation failed: ${JSON.stringify(job, null, 1)}`)
}

type Scenario = {
  readonly name: string
  readonly prepare: () => Promise<CrashLab>
  readonly start: (engine: Engine, lab: CrashLab) => Promise<JobStarted>
  /** What a person says to whatever is asked: the responsibility for two machines at once is theirs then. */
  readonly answer?: string
  /** States in which the protection may be afterwards: done, or put back. */
  readonly ends: readonly ProtectionState[]
}

const failedOverLab = async (): Promise<CrashLab> => {
  const lab = await protectedCrashLab()
  await done(lab, (engine) => engine.plannedFailover(askOf(lab)))
  return lab
}
const reversedLab = async (): Promise<CrashLab> => {
  const lab = await failedOverLab()
  await lab.clock.advance(10_000)
  await done(lab, (engine) => engine.commit(askOf(lab)))
  await done(lab, (engine) => engine.reprotect({ ...askOf(lab), powerOffOriginal: false }))
  await lab.clock.advance(10_000)
  return lab
}

const scenarios: readonly Scenario[] = [
  {
    name: 'test failover',
    prepare: protectedCrashLab,
    start: (engine, lab) => engine.testFailover({ ...askOf(lab), choice: latest }),
    ends: ['protected'],
  },
  {
    name: 'clean-up of a test',
    prepare: async () => {
      const lab = await protectedCrashLab()
      await done(lab, (engine) => engine.testFailover({ ...askOf(lab), choice: latest }))
      return lab
    },
    start: (engine, lab) => engine.cleanUpTest(askOf(lab)),
    ends: ['protected'],
  },
  {
    name: 'planned failover',
    prepare: protectedCrashLab,
    start: (engine, lab) => engine.plannedFailover(askOf(lab)),
    ends: ['failedOver', 'protected'],
  },
  {
    name: 'planned failover of a server that is shut down at its last point',
    prepare: async () => {
      const lab = await protectedCrashLab()
      lab.a.readsByThemselves()
      for (const machine of lab.a.machines()) machine.settles = true
      return lab
    },
    start: (engine, lab) => engine.plannedFailover(askOf(lab)),
    // Asked when a process has died between the word to switch off and the note of the answer.
    answer: 'off',
    ends: ['failedOver', 'protected'],
  },
  {
    name: 'planned failover whose boot fails',
    prepare: async () => {
      const lab = await protectedCrashLab()
      lab.b.faults.failNext('target.boot', 3)
      return lab
    },
    start: (engine, lab) => engine.plannedFailover(askOf(lab)),
    // A crash uses up one of the three failures of the three tries.
    ends: ['protected', 'failedOver'],
  },
  {
    name: 'planned failover whose boot succeeds without an answer',
    prepare: async () => {
      const lab = await protectedCrashLab()
      for (let times = 0; times < 3; times += 1) lab.b.faults.loseAnswer('target.boot')
      return lab
    },
    start: (engine, lab) => engine.plannedFailover(askOf(lab)),
    ends: ['protected', 'failedOver'],
  },
  {
    name: 'unplanned failover',
    prepare: protectedCrashLab,
    start: (engine, lab) =>
      engine.unplannedFailover({ ...askOf(lab), choice: latest, acceptUnfenced: false }),
    ends: ['failedOver'],
  },
  {
    name: 'unplanned failover from a dead site',
    prepare: async () => {
      const lab = await protectedCrashLab()
      lab.a.burnDown()
      return lab
    },
    start: (engine, lab) => engine.unplannedFailover({ ...askOf(lab), choice: latest, acceptUnfenced: true }),
    ends: ['failedOver'],
  },
  {
    name: 'change of the point',
    prepare: failedOverLab,
    start: async (engine, lab) => {
      const [first] = await engine.recoveryPoints(lab.protectionId)
      if (!first) throw new Error('there is a point')
      return await engine.changePoint({ ...askOf(lab), choice: { kind: 'point', id: first.id } })
    },
    ends: ['failedOver'],
  },
  {
    name: 'roll back',
    prepare: failedOverLab,
    start: (engine, lab) => engine.rollBack(askOf(lab)),
    ends: ['protected'],
  },
  {
    name: 'roll back whose replica is left behind',
    prepare: async () => {
      const lab = await failedOverLab()
      // The three tries of the task; a crash in it uses up some of them.
      lab.b.faults.failNext('target.destroy', 3)
      return lab
    },
    start: (engine, lab) => engine.rollBack(askOf(lab)),
    answer: 'go-on',
    // What was left is removed by a job of its own, a minute later.
    ends: ['protected'],
  },
  {
    name: 'commit',
    prepare: failedOverLab,
    start: (engine, lab) => engine.commit(askOf(lab)),
    ends: ['committed'],
  },
  {
    name: 'reprotect',
    prepare: async () => {
      const lab = await failedOverLab()
      await done(lab, (engine) => engine.commit(askOf(lab)))
      return lab
    },
    start: (engine, lab) => engine.reprotect({ ...askOf(lab), powerOffOriginal: false }),
    ends: ['protected'],
  },
  {
    name: 'fail back',
    prepare: reversedLab,
    start: (engine, lab) => engine.failBack({ ...askOf(lab), overwriteModified: false }),
    ends: ['failedOver'],
  },
  {
    name: 'fail back through a rescue system',
    prepare: async () => {
      const lab = await failedOverLab()
      await lab.clock.advance(10_000)
      await done(lab, (engine) => engine.commit(askOf(lab)))
      lab.a.makesNoMachines()
      await done(lab, (engine) => engine.reprotect({ ...askOf(lab), powerOffOriginal: false }))
      await lab.clock.advance(10_000)
      for (const { ref } of lab.a.machines()) lab.a.rescue(ref, true)
      return lab
    },
    start: (engine, lab) => engine.failBack({ ...askOf(lab), overwriteModified: false }),
    ends: ['failedOver'],
  },
  {
    name: 'roll back of a fail-back',
    prepare: async () => {
      const lab = await reversedLab()
      await done(lab, (engine) => engine.failBack({ ...askOf(lab), overwriteModified: false }))
      return lab
    },
    start: (engine, lab) => engine.rollBack(askOf(lab)),
    ends: ['protected'],
  },
]

type Ran = {
  readonly lab: CrashLab
  readonly jobId: JobId | null
  readonly acts: number
  readonly calls: number
  readonly died: boolean
  readonly lastCall: string
}

/** Prepares, lets the process die as told, starts another one and waits until the dust has settled. */
async function run(scenario: Scenario, crash: Crash): Promise<Ran> {
  const lab = await scenario.prepare()
  await lab.process.engine.stop()
  const first = await lab.begin(crash)
  let jobId: JobId | null = null
  const asked = scenario.start(first.engine, lab).then((started) => {
    jobId = started.jobId
  })
  await Promise.race([asked, first.outside.died])
  const known = jobId ?? (await newestJob(lab))
  if (known !== null) await settleAnswered(lab, first, { jobId: known, scenario })
  const died = first.outside.dead
  const facts = {
    acts: first.durable.actCount,
    calls: first.outside.callCount,
    lastCall: first.outside.lastCall,
  }
  if (!died) await first.engine.stop()
  const second = await lab.begin({})
  const accepted = known !== null && lab.log.workflows.has(known)
  if (accepted) await settleAnswered(lab, second, { jobId: known, scenario })
  await lab.clock.advance(2 * minute)
  lab.process = second
  return { lab, jobId: accepted ? known : null, died, ...facts }
}

async function settleAnswered(
  lab: CrashLab,
  process: Process,
  { jobId, scenario }: { readonly jobId: JobId; readonly scenario: Scenario },
): Promise<void> {
  while (await settle(lab, process, jobId)) {
    const job = await lab.stores.jobs.find(jobId)
    if (scenario.answer === undefined || job?.state !== 'waiting' || job.question === null) return
    const answer = { by: 'olga', questionId: job.question.id, value: scenario.answer }
    await Promise.race([process.engine.answerJob(jobId, answer), process.outside.died])
    await lab.clock.advance(1000)
  }
}

async function newestJob(lab: CrashLab): Promise<JobId | null> {
  const { rows } = await lab.stores.jobs.list(
    { states: ['queued', 'running', 'waiting'] },
    { limit: 1, cursor: null },
  )
  return rows[0]?.id ?? null
}

/** The invariants of DESIGN.md, read from the world and from the stores. */
async function checkWorld(scenario: Scenario, { lab, jobId }: Ran): Promise<void> {
  const { world, stores, protectionId } = lab
  const protection = await stores.protections.find(protectionId)
  if (!protection) throw new Error('there is a protection')
  const job = jobId === null ? null : await stores.jobs.find(jobId)
  const story = () => JSON.stringify({ state: protection.state, note: protection.stateNote, job }, null, 1)

  // Who says that it is off was right: it is only asked about what does not answer.
  if (scenario.answer !== 'go-on') expect(world.violations, story()).toEqual([])
  if (job) expect(scenario.ends, story()).toContain(protection.state)
  if (job) expect(['succeeded', 'failed'], story()).toContain(job.state)

  // What was left behind has gone by now, and so has what was told of it.
  const { rows: alerts } = await stores.alerts.list({ open: true }, { limit: 100, cursor: null })
  if (job) expect(alerts.map(({ code }) => code)).not.toContain('failover/replica-left')

  const active = await stores.runs.active(protectionId)
  // A request that never became a job changes nothing, not even a dead site.
  if (job) expect(liveMachines(lab, active), story()).toHaveLength(1)
  const { engine } = lab.process
  const points = await engine.recoveryPoints(protectionId)
  const site = world.site(protection.direction === 'forward' ? 'B' : 'A')
  const replica = await site.replicas.openReplica(protection.replicaId, null)
  for (const { id } of points) {
    const opened = await replica.openPoint(id)
    expect(await checkGuest(opened.disks.map(({ reader }) => reader)), `point ${id}`).not.toBeNull()
  }
  const held = points.flatMap(({ heldBy }) => heldBy).filter((holder) => holder !== 'common-point')
  const history = await stores.runs.history(protectionId, 100)
  const committed = new Set(
    history
      .filter(({ kind, over, failure }) => kind !== 'test' && over && failure === null)
      .map(({ id }) => id),
  )
  for (const holder of held)
    expect([...active.map(({ id }) => String(id)), ...[...committed].map(String)], story()).toContain(holder)

  // Nothing that we made is left without somebody who knows it.
  const known = new Set(active.map(({ machineRef }) => machineRef))
  for (const machine of [...lab.a.machines(), ...lab.b.machines()])
    if (machine.runId !== null && !machine.adopted)
      expect(known, `${machine.ref} is left over ${story()}`).toContain(machine.ref)

  await checkNothingLost(lab, protection.state)
  // A dead site gives no new points, whoever asks.
  if (protection.state === 'protected' && !lab.a.faults.siteDown)
    expect(lab.clock.now() - (points.at(-1)?.instant ?? 0)).toBeLessThan(7000)
}

/** Those that are on and reach others. A boot that died in mid-read is a machine whose guest is still waiting for its disk. */
function liveMachines(lab: CrashLab, active: readonly Run[]): readonly string[] {
  const booted = new Set(active.map(({ id }) => id))
  return [...lab.a.machines(), ...lab.b.machines()]
    .filter(({ power, isolated }) => power === 'running' && !isolated)
    .filter(({ identity, runId }) => identity === 'A/web' || (runId !== null && booted.has(runId)))
    .map(({ ref }) => ref)
}

/** After a planned failover the point that booted equals the source, which is off, byte for byte. */
async function checkNothingLost(lab: CrashLab, state: ProtectionState): Promise<void> {
  const failover = (await lab.stores.runs.active(lab.protectionId)).find(({ kind }) => kind === 'planned')
  const notes = await lab.stores.protections.notes(lab.protectionId)
  const finals = [notes.stoppedSource?.pointId, notes.lastPoint?.pointId]
  if (state !== 'failedOver' || !failover || !finals.includes(failover.pointId)) return
  const protection = await lab.stores.protections.find(lab.protectionId)
  const [from, to] = protection?.direction === 'forward' ? [lab.a, lab.b] : [lab.b, lab.a]
  const source = from.machines().find(({ ref }) => ref === protection?.sourceRef)
  const replica = await to.replicas.openReplica(failover.replicaId, null)
  const opened = await replica.openPoint(failover.pointId)
  const sealed = Buffer.concat(await Promise.all(opened.disks.map(({ reader }) => readAll(reader))))
  const disks = Buffer.concat(await Promise.all((source?.readDisks() ?? []).map(readAll)))
  expect(source?.power).toBe('off')
  expect(sealed.equals(disks)).toBe(true)
}

describe.each(scenarios)('$name', (scenario) => {
  test('killed before and after every step', { timeout: 300_000 }, async () => {
    const undisturbed = await run(scenario, {})
    await checkWorld(scenario, undisturbed)
    expect(undisturbed.died).toBe(false)
    let deaths = 0
    for (let act = 1; act <= undisturbed.acts; act += 1)
      // Killed once a step is kept is killed before the next one.
      for (const moment of ['before', 'after'] as const) {
        const ran = await run(scenario, { act: { act, moment } })
        if (ran.died) deaths += 1
        await checkWorld(scenario, ran).catch((error: unknown) => {
          throw new Error(`killed ${moment} act ${act}: ${String(error)}`, { cause: error })
        })
        await ran.lab.process.engine.stop()
      }
    // The last acts may fall away when an earlier job failed; nearly all of them must really have killed.
    expect(deaths).toBeGreaterThan(undisturbed.acts)
  })

  test(`killed at any call of any port (SEED=${seed})`, { timeout: 300_000 }, async () => {
    const { calls } = await run(scenario, {})
    const random = seededRandom(seed).fork(scenario.name)
    for (let times = 0; times < RANDOM_CRASHES; times += 1) {
      const call = {
        call: 1 + random.below(calls),
        moment: random.chance(0.5) ? 'before' : 'after',
      } as const
      const ran = await run(scenario, { call })
      await checkWorld(scenario, ran).catch((error: unknown) => {
        const where = `SEED=${seed}, killed ${call.moment} call ${call.call} (${ran.lastCall})`
        throw new Error(`${where}: ${String(error)}`, { cause: error })
      })
      await ran.lab.process.engine.stop()
    }
  })
})

describe('two processes on one store', () => {
  /** A guest writes over small disks before long, and needs no point any more. */
  const large = [2 ** 22]
  /** A failover that `process` carries out, while the other one may hold the lease; nothing streams in yet. */
  async function failOverFrom(lab: CrashLab, process: Process): Promise<{ run: Run; release: () => void }> {
    const release = lab.b.faults.hang('target.hydrate')
    const { jobId } = await process.engine.plannedFailover(askOf(lab))
    for (let seconds = 0; seconds < 120; seconds += 1) {
      if ((await lab.stores.jobs.find(jobId))?.state === 'succeeded') break
      await lab.clock.advance(1000)
    }
    const [run] = await lab.stores.runs.active(lab.protectionId)
    if (!run) throw new Error('a replica runs')
    return { run, release }
  }
  const hydrated = async (lab: CrashLab, { id }: Run) => (await lab.stores.runs.find(id))?.hydrated
  const secondProcess = (lab: CrashLab, stores = lab.stores) =>
    lab.begin({}, { moverId: 'second', log: durableLog(), stores })
  const holderOf = async ({ stores, protectionId }: CrashLab, moverId: string) =>
    (await stores.leases.held(moverId)).includes(protectionId)

  test('the one that booted a replica serves it again when the holder, which had taken it up, dies', async () => {
    const lab = await protectedCrashLab(large)
    const second = await secondProcess(lab)
    const { run, release } = await failOverFrom(lab, second)
    await lab.clock.advance(10_000)
    expect(await holderOf(lab, 'mover')).toBe(true)
    lab.process.outside.kill()
    await lab.clock.advance(minute)
    expect(await holderOf(lab, 'second')).toBe(true)
    release()
    await lab.clock.advance(minute)
    expect(await hydrated(lab, run)).toBe(1)
    await second.engine.stop()
  })

  test('the holder serves a replica when the one that booted it dies', async () => {
    const lab = await protectedCrashLab(large)
    const second = await secondProcess(lab)
    const { run, release } = await failOverFrom(lab, second)
    second.outside.kill()
    release()
    await lab.clock.advance(minute)
    expect(await hydrated(lab, run)).toBe(1)
    await lab.process.engine.stop()
  })

  test('a holder that lost its lease and gets it back serves again what another one had taken up meanwhile', async () => {
    const lab = await protectedCrashLab(large)
    await lab.process.engine.stop()
    let cutOff = false
    const leases = {
      ...lab.stores.leases,
      beat: async (...beat: Parameters<Stores['leases']['beat']>) => {
        if (cutOff) throw new Error('the database does not answer')
        await lab.stores.leases.beat(...beat)
      },
    }
    const first = await lab.begin({}, { stores: { ...lab.stores, leases } })
    const { run, release } = await failOverFrom(lab, first)
    cutOff = true
    await lab.clock.advance(5000)
    const second = await secondProcess(lab)
    await lab.clock.advance(minute)
    expect(await holderOf(lab, 'second')).toBe(true)
    cutOff = false
    await lab.clock.advance(10_000)
    second.outside.kill()
    await lab.clock.advance(minute)
    expect(await holderOf(lab, 'mover')).toBe(true)
    release()
    await lab.clock.advance(minute)
    expect(await hydrated(lab, run)).toBe(1)
    await first.engine.stop()
  })
})
