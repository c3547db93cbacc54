import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import { describe, expect, test, vi } from 'vitest'
import {
  type Ask,
  changeTo,
  failedOverAndCommitted,
  failedOverRef,
  firstPointOf,
  type Lab,
  latest,
  minute,
  newProtectedLab,
  runningAt,
  until,
} from '../engine-lab.ts'
import type { JobStarted } from '../requests.ts'

describe('a process that stood still while another one took its job over', () => {
  /** Its failover stands still in the middle of its undo, until another process has ended it and the next one is through. */
  async function stunnedIn(lab: Lab, { ask, stun }: { ask: Ask; stun: (gate: Promise<void>) => Stun }) {
    let wake = (): void => {}
    const { isStill } = stun(new Promise<void>((resolve) => (wake = resolve)))
    lab.b.faults.failNext('target.boot', 3)
    const started = lab.engine.plannedFailover(ask)
    await started
    await until(lab, isStill)
    await lab.restart()
    expect((await lab.settle(started)).state).toBe('failed')
    expect(lab.machine.power).toBe('running')
    await lab.done(lab.engine.plannedFailover(ask))
    wake()
    await lab.clock.advance(minute)
  }
  type Stun = { readonly isStill: () => boolean }
  const bootFailed = (lab: Lab) => (lab.b.faults.calls.get('target.boot') ?? 0) >= 3

  test.each([
    [
      'before it starts the source',
      (lab: Lab) =>
        (gate: Promise<void>): Stun => {
          const { powerState } = lab.a.source
          let still = false
          vi.spyOn(lab.a.source, 'powerState').mockImplementation(async (...machine) => {
            const power = await powerState(...machine)
            if (still || !bootFailed(lab)) return power
            still = true
            await gate
            return power
          })
          return { isStill: () => still }
        },
    ],
    [
      'before it removes the replica',
      (lab: Lab) =>
        (gate: Promise<void>): Stun => {
          const { active } = lab.stores.runs
          let still = false
          vi.spyOn(lab.stores.runs, 'active').mockImplementation(async (id) => {
            if (!still && id !== undefined && bootFailed(lab)) {
              still = true
              await gate
            }
            return await active(id)
          })
          return { isStill: () => still }
        },
    ],
  ])('%s leaves alone what the next job has made since', async (_, stun) => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await stunnedIn(lab, { ask, stun: stun(lab) })
    expect((await lab.state(protectionId)).state).toBe('failedOver')
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.b).map(({ ref }) => ref)).toEqual([await failedOverRef(lab, protectionId)])
    expect(lab.world.violations).toEqual([])
  })

  /**
   * The job stands still at the first call of that method for which `when` is true, until another process has ended it and
   * `meanwhile` is through. `before`: it stands before the call, else with its answer in hand.
   */
  async function standStill<Port extends object>(
    lab: Lab,
    how: {
      readonly port: Port
      readonly method: keyof Port & string
      readonly when: () => boolean | Promise<boolean>
      readonly before?: boolean
      readonly start: () => Promise<JobStarted>
      readonly whileStill?: () => Promise<void>
      readonly meanwhile: () => Promise<unknown>
    },
  ) {
    const call = Reflect.get(how.port, how.method) as (...parameters: unknown[]) => Promise<unknown>
    let [still, wake] = [false, (): void => {}]
    const gate = new Promise<void>((resolve) => (wake = resolve))
    const stopping = async (...parameters: unknown[]): Promise<unknown> => {
      const here = !still && (await how.when())
      if (!here) return await call(...parameters)
      still = true
      if (how.before) await gate
      const answer = await call(...parameters)
      await gate
      return answer
    }
    Reflect.set(how.port, how.method, stopping)
    const started = await how.start()
    await until(lab, () => still)
    await how.whileStill?.()
    const violations = [...lab.world.violations]
    await lab.restart()
    const ended = await lab.settle(Promise.resolve(started))
    await how.meanwhile()
    wake()
    await lab.clock.advance(minute)
    expect(lab.world.violations).toEqual(violations)
    return ended
  }
  const page = { limit: 10, cursor: null }
  const isIn = async (lab: Lab, id: ProtectionId, state: string) => (await lab.state(id)).state === state
  /** Committed at the second site, turned, and home again. */
  async function comeHome(lab: Lab, ask: Ask) {
    await lab.done(lab.engine.failBack({ ...ask, overwriteModified: true }))
    await lab.clock.advance(minute)
    await lab.done(lab.engine.commit(ask))
  }

  test('while a change of the point was to remove the first machine leaves the second one alone', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    const first = await failedOverRef(lab, protectionId)
    await standStill(lab, {
      port: lab.stores.runs,
      method: 'active',
      before: true,
      when: () => isIn(lab, protectionId, 'failingOver'),
      start: async () => changeTo(lab, ask, await firstPointOf(lab, ask)),
      meanwhile: async () => {},
    })
    const second = await failedOverRef(lab, protectionId)
    expect(second).not.toBe(first)
    expect(runningAt(lab.b).map(({ ref }) => ref)).toEqual([second])
  })

  test('while a change of the point was to boot its machine does not boot it beside the next one', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    const ended = await standStill(lab, {
      port: lab.stores.protections,
      method: 'notes',
      before: true,
      when: async () =>
        (await isIn(lab, protectionId, 'failingOver')) && (await lab.activeRuns(protectionId)).length === 0,
      start: async () => changeTo(lab, ask, await firstPointOf(lab, ask)),
      // Whoever takes the job over refuses to boot, and nothing is written down of the machine that was to be.
      whileStill: () => lab.machine.start(),
      async meanwhile() {
        lab.machine.powerOff()
        await lab.done(lab.engine.changePoint({ ...ask, choice: latest }))
      },
    })
    expect(ended.failure?.code).toBe('failover/source-runs')
    expect(runningAt(lab.b).map(({ ref }) => ref)).toEqual([await failedOverRef(lab, protectionId)])
    expect(await lab.activeRuns(protectionId)).toHaveLength(1)
  })

  test('while a fail-back was to start the original does not start it after the roll back', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(2 * minute)
    let restored = false
    const { restoreInto } = lab.a.target
    vi.spyOn(lab.a.target, 'restoreInto').mockImplementation(async (...all) => {
      const written = await restoreInto(...all)
      restored = true
      return written
    })
    await standStill(lab, {
      port: lab.a.source,
      method: 'powerState',
      when: () => restored,
      start: () => lab.engine.failBack({ ...ask, overwriteModified: false }),
      meanwhile: () => lab.done(lab.engine.rollBack(ask)),
    })
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.b)).toHaveLength(1)
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  test('while a reprotect was to turn the places does not turn them once more', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    let home: Awaited<ReturnType<typeof lab.state>> | null = null
    await standStill(lab, {
      port: lab.a.target,
      method: 'networks',
      when: () => isIn(lab, protectionId, 'reprotecting'),
      start: () => lab.engine.reprotect({ ...ask, powerOffOriginal: false }),
      async meanwhile() {
        await lab.clock.advance(minute)
        await comeHome(lab, ask)
        await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
        home = await lab.state(protectionId)
      },
    })
    expect(home).toMatchObject({ direction: 'forward', state: 'protected' })
    expect(await lab.state(protectionId)).toEqual(home)
  })

  test('while a reprotect was to switch the original off does not switch it off once it serves again', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.a.source.start(lab.machine.ref)
    await standStill(lab, {
      port: lab.a.source,
      method: 'powerState',
      when: () => isIn(lab, protectionId, 'committed'),
      start: () => lab.engine.reprotect({ ...ask, powerOffOriginal: true }),
      async meanwhile() {
        await lab.clock.advance(minute)
        await comeHome(lab, ask)
      },
    })
    expect(lab.machine.power).toBe('running')
  })

  test('while a reprotect was to remove what stood in leaves it there once it was kept', async () => {
    const { lab, protectionId, ask } = await failedOverAndCommitted()
    await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
    await lab.clock.advance(minute)
    await comeHome(lab, ask)
    const [standIn] = lab.b.machines()
    if (!standIn) throw new Error('it stood in')
    await standStill(lab, {
      port: lab.b.source,
      method: 'openStoppedDisks',
      when: () => isIn(lab, protectionId, 'protected'),
      start: () => lab.engine.reprotect({ ...ask, powerOffOriginal: false }),
      async whileStill() {
        await standIn.start()
        standIn.powerOff()
      },
      meanwhile: async () => {},
    })
    expect((await lab.state(protectionId)).originalRef).toBe(standIn.ref)
    expect(lab.b.machines()).toEqual([standIn])
  })

  test.each([
    { at: 'its run was found', method: 'active', before: false },
    { at: 'its run was to be ended', method: 'endClaimed', before: true },
  ] as const)(
    'while a commit stood where $at leaves the machine to the roll back that follows',
    async (stand) => {
      const { lab, protectionId, ask } = await newProtectedLab()
      await lab.done(lab.engine.plannedFailover(ask))
      await lab.clock.advance(minute)
      const ended = await standStill(lab, {
        port: lab.stores.runs,
        method: stand.method,
        before: stand.before,
        when: async () => {
          if (!(await isIn(lab, protectionId, 'committing'))) return false
          lab.b.faults.failNext('target.adopt', 3)
          return true
        },
        start: () => lab.engine.commit(ask),
        meanwhile: async () => {},
      })
      expect(ended.state).toBe('failed')
      await lab.done(lab.engine.rollBack(ask))
      expect(lab.machine.power).toBe('running')
      expect(runningAt(lab.b)).toEqual([])
    },
  )

  test('while a commit was to end its run does not end it once another process has found it unended', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const { endClaimed } = lab.stores.runs
    const { releaseState } = lab.stores.protections
    let [wake, still] = [(): void => {}, false]
    const gate = new Promise<void>((resolve) => (wake = resolve))
    let late: Promise<boolean> | null = null
    vi.spyOn(lab.stores.runs, 'endClaimed').mockImplementationOnce((...end) => {
      still = true
      late = gate.then(() => endClaimed(...end))
      return late
    })
    vi.spyOn(lab.stores.protections, 'releaseState').mockImplementation(async (...release) => {
      wake()
      await late
      return await releaseState(...release)
    })
    const started = lab.engine.commit(ask)
    await started
    await until(lab, () => still)
    lab.b.faults.failNext('target.adopt', 3)
    await lab.restart()
    expect((await lab.settle(started)).state).toBe('failed')
    expect(await late).toBe(false)
    await lab.done(lab.engine.rollBack(ask))
    expect(lab.machine.power).toBe('running')
    expect(runningAt(lab.b)).toEqual([])
    expect((await lab.state(protectionId)).state).toBe('protected')
  })

  test('while a commit let go of the readers does not end a run that was settled otherwise meanwhile', async () => {
    const { lab, protectionId, ask } = await newProtectedLab({ config: { letGoSeconds: 600 } })
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    await standStill(lab, {
      port: lab.b.target,
      method: 'detach',
      before: true,
      when: async () => {
        if (!(await isIn(lab, protectionId, 'committing'))) return false
        lab.b.faults.failNext('target.adopt', 3)
        return true
      },
      start: () => lab.engine.commit(ask),
      meanwhile: async () => {},
    })
    expect((await lab.state(protectionId)).state).toBe('committed')
    expect(await lab.activeRuns(protectionId)).toEqual([])
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.b)).toHaveLength(1)
  })

  test('while a replica that was off was to be started does not start it beside the original', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    await lab.done(lab.engine.plannedFailover(ask))
    await lab.clock.advance(minute)
    const replica = lab.b.machine((await failedOverRef(lab, protectionId)) as MachineRef)
    replica.powerOff()
    await standStill(lab, {
      port: lab.stores.runs,
      method: 'active',
      when: async () => (await lab.stores.jobs.list({ kinds: ['start-replica'] }, page)).rows.length > 0,
      start: () => lab.engine.startReplica(ask),
      async meanwhile() {
        await lab.clock.advance(minute)
        await lab.done(lab.engine.commit(ask))
        await lab.done(lab.engine.reprotect({ ...ask, powerOffOriginal: false }))
        await lab.clock.advance(minute)
        await comeHome(lab, ask)
        // Its answer is what else would have kept the replica from being started.
        lab.a.faults.failNext('source.powerState', 10)
      },
    })
    expect(replica.power).toBe('off')
    expect(lab.machine.power).toBe('running')
  })

  test('while a source was to be started late does not start it beside its replica', async () => {
    const { lab, protectionId, ask } = await newProtectedLab()
    lab.machine.ignoresShutDown = true
    await lab.settle(lab.engine.plannedFailover({ ...ask, shutDownTimeoutSeconds: 60 }))
    await lab.clock.advance(minute)
    lab.machine.powerOff()
    lab.machine.ignoresShutDown = false
    await standStill(lab, {
      port: lab.a.source,
      method: 'powerState',
      when: async () => (await lab.stores.jobs.list({ kinds: ['tidy-up'] }, page)).rows.length > 0,
      async start() {
        for (;;) {
          const [job] = (await lab.stores.jobs.list({ kinds: ['tidy-up'] }, page)).rows
          if (job) return { jobId: job.id }
          await lab.clock.advance(1000)
        }
      },
      meanwhile: () => lab.done(lab.engine.plannedFailover(ask)),
    })
    expect(lab.machine.power).toBe('off')
    expect(runningAt(lab.b).map(({ ref }) => ref)).toEqual([await failedOverRef(lab, protectionId)])
  })
})
