import { Outage } from '@understudy/base/errors'
import { readAll } from '@understudy/simulator/memory-disk'
import { describe, expect, test } from 'vitest'
import {
  type Ask,
  contentOf,
  type Lab,
  latest,
  minute,
  newProtectedLab,
  rollBack,
  runningAt,
  until,
} from '../engine-lab.ts'
import type { OpenPointRequest, OpenPointResult, SourceMachinePoint } from '../ports/source-platform.ts'

/** A server that is read by a program inside it. */
async function newServerLab() {
  const prepared = await newProtectedLab()
  prepared.lab.a.readsByThemselves()
  prepared.lab.machine.settles = true
  return prepared
}

type Change = (point: SourceMachinePoint) => Partial<SourceMachinePoint>

/** What the source says of its last points is changed. */
function changeLastPoints(lab: Lab, change: Change): void {
  const source = lab.a.source
  const openPoint = source.openPoint.bind(source)
  Object.assign(source, {
    async openPoint(request: OpenPointRequest, signal?: AbortSignal): Promise<OpenPointResult> {
      const opened = await openPoint(request, signal)
      if (opened.kind !== 'opened' || !request.last) return opened
      const machines = opened.point.machines.map((machine) => ({ ...machine, ...change(machine) }))
      return { ...opened, point: { ...opened.point, machines } }
    },
  })
}

const pointOfRun = async (lab: Lab, { protectionId }: Ask) => {
  const [run] = await lab.activeRuns(protectionId)
  if (!run) throw new Error('a replica runs')
  const replica = await lab.b.replicas.openReplica((await lab.state(protectionId)).replicaId, null)
  return await replica.openPoint(run.pointId)
}

const away = new Outage({ code: 'agent/away', message: 'The agent does not answer', remedy: 'Look at it.' })

describe('a server that cannot be read once it is off', () => {
  test('is shut down at its last point: what boots is exactly what its disks hold', async () => {
    const { lab, protectionId, ask } = await newServerLab()
    const job = await lab.done(lab.engine.plannedFailover(ask))
    expect(lab.machine.power).toBe('off')
    const { disks, point } = await pointOfRun(lab, ask)
    const sealed = Buffer.concat(await Promise.all(disks.map(({ reader }) => readAll(reader))))
    expect(sealed.equals(await contentOf(lab.a, lab.machine.ref))).toBe(true)
    expect(job.tasks.map(({ name, state }) => `${name}: ${state}`)).toContain(
      'Copy the last changes: skipped',
    )
    expect(job.tasks.find(({ name }) => name === 'Shut down the source machine')?.note).toContain(
      'held until it was off',
    )
    const { lastPoint } = await lab.stores.protections.notes(protectionId)
    expect(lastPoint).toMatchObject({ pointId: point.id, evidence: expect.stringContaining('held') })
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect(lab.world.violations).toEqual([])
  })

  test('that was held for too long runs on, and the failover is put back without a trace', async () => {
    const { lab, protectionId, ask } = await newServerLab()
    changeLastPoints(lab, ({ settle }) => ({
      async settle(copy, signal) {
        const settled = await settle?.(copy, signal)
        if (!settled) throw new Error('it settles')
        // The line stands still for longer than the server may.
        await lab.clock.sleep(3 * minute)
        return settled
      },
    }))
    const job = await lab.settle(lab.engine.plannedFailover(ask))
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'machine/let-go' } })
    await lab.clock.advance(2 * minute)
    expect(lab.machine.power).toBe('running')
    expect(lab.machine.heldBy).toBeNull()
    expect((await lab.state(protectionId)).state).toBe('protected')
    expect(await lab.stores.protections.notes(protectionId)).toMatchObject({
      lastPoint: null,
      sourceStoppedByRun: null,
    })
    expect(lab.b.machines()).toEqual([])
    // And what it wrote since is replicated.
    await lab.done(lab.engine.testFailover({ ...ask, choice: latest }))
  })

  test('is let go when its point cannot be sealed', async () => {
    const { lab, ask } = await newServerLab()
    changeLastPoints(lab, ({ settle }) => ({
      async settle(copy, signal) {
        await settle?.(copy, signal)
        expect(lab.machine.heldBy).not.toBeNull()
        throw away
      },
    }))
    const job = await lab.settle(lab.engine.plannedFailover(ask))
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'agent/away' } })
    expect(lab.machine.heldBy).toBeNull()
    expect(lab.machine.power).toBe('running')
  })

  test.each([
    { answer: 'off', ends: 'failedOver', why: 'the answer was lost, and a person says that it is off' },
    { answer: 'stop', ends: 'broken', why: 'the answer was lost, and nobody knows' },
  ])('$why: $ends', async ({ answer, ends }) => {
    const { lab, protectionId, ask } = await newServerLab()
    changeLastPoints(lab, ({ powerOff }) => ({
      async powerOff() {
        await powerOff?.()
        throw away
      },
    }))
    const asked = await lab.settle(lab.engine.plannedFailover(ask))
    expect(asked.state).toBe('waiting')
    expect(asked.question?.text).toContain('The agent does not answer')
    expect(runningAt(lab.b)).toEqual([])
    await lab.engine.answerJob(asked.id, {
      by: 'olga',
      questionId: asked.question?.id ?? '',
      value: answer,
    })
    await lab.clock.advance(1000)
    const job = await lab.settle(Promise.resolve({ jobId: asked.id }))
    expect((await lab.state(protectionId)).state).toBe(ends)
    expect(runningAt(lab.b)).toHaveLength(ends === 'failedOver' ? 1 : 0)
    expect(await lab.events('failover/unfenced-accepted')).toHaveLength(answer === 'off' ? 1 : 0)
    if (answer === 'stop') expect(job.failure?.code).toBe('failover/not-shut-down')
    expect(lab.world.violations).toEqual([])
  })

  test('that was never told runs, and is shut down when a person says so', async () => {
    const { lab, ask } = await newServerLab()
    let calls = 0
    changeLastPoints(lab, ({ powerOff }) => ({
      async powerOff() {
        calls += 1
        if (calls === 1) throw away
        if (!powerOff) throw new Error('it is a last point')
        return await powerOff()
      },
    }))
    const asked = await lab.settle(lab.engine.plannedFailover(ask))
    await lab.engine.answerJob(asked.id, { by: 'olga', questionId: asked.question?.id ?? '', value: 'again' })
    await lab.clock.advance(1000)
    await lab.done(Promise.resolve({ jobId: asked.id }))
    expect(lab.machine.power).toBe('off')
    const { disks } = await pointOfRun(lab, ask)
    const sealed = Buffer.concat(await Promise.all(disks.map(({ reader }) => readAll(reader))))
    expect(sealed.equals(await contentOf(lab.a, lab.machine.ref))).toBe(true)
  })

  test('is refused before anything has stopped when nobody answers in it', async () => {
    const { lab, protectionId, ask } = await newServerLab()
    lab.machine.powerOff()
    const job = await lab.settle(lab.engine.plannedFailover(ask))
    expect(job).toMatchObject({ state: 'failed', failure: { code: 'failover/source-away' } })
    expect((await lab.state(protectionId)).state).not.toBe('failedOver')
  })

  test('is not started from here after a roll back, which says so and what to do', async () => {
    const { lab, protectionId, ask } = await newServerLab()
    await lab.done(lab.engine.plannedFailover(ask))
    const job = await lab.settle(rollBack(lab, ask))
    const start = job.tasks.find(({ name }) => name === 'Start the source machine again')
    expect(start).toMatchObject({
      state: 'failed',
      note: expect.stringContaining('start it by hand, then resynchronise'),
    })
    expect((await lab.state(protectionId)).state).toBe('broken')
    const alert = await lab.stores.alerts.findOpen('protection/broken', protectionId)
    expect(alert?.remedy).toContain('Start it at its site')
    expect(runningAt(lab.b)).toEqual([])
  })

  test('that somebody starts while its replica runs is told of as one that runs twice', async () => {
    const { lab, ask } = await newServerLab()
    await lab.done(lab.engine.plannedFailover(ask))
    expect(await lab.openAlerts()).not.toContain('failover/two-live-copies')
    await lab.machine.start()
    await lab.engine.refreshSite(lab.siteA.id)
    expect(await lab.openAlerts()).toContain('failover/two-live-copies')
  })

  test('is put back into being replicated, but not started, when its replica cannot be booted', async () => {
    const { lab, protectionId, ask } = await newServerLab()
    lab.b.faults.failNext('target.boot', 10)
    const job = await lab.settle(lab.engine.plannedFailover(ask))
    expect(job.state).toBe('failed')
    expect(lab.machine.power).toBe('off')
    const start = job.tasks.find(({ name }) => name === 'Start the source machine again')
    expect(start).toMatchObject({
      state: 'failed',
      note: expect.stringContaining('start it by hand, then resynchronise'),
    })
    expect((await lab.state(protectionId)).state).toBe('broken')
    await until(lab, () => runningAt(lab.b).length === 0)
  })
})
