import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type { ScriptAction } from '@understudy/domain/recovery-plans/step-action'
import { Cancelled } from '@understudy/engine/ports/cancelled'
import type { GuestProgram, GuestProgramState, GuestPrograms } from '@understudy/engine/ports/guest-programs'
import type { StepWork } from '@understudy/engine/ports/step-runner'
import { describe, expect, test } from 'vitest'
import { testSteps, workFor } from './test-work.ts'

const { folders, run, fails } = testSteps()

/** A guest that says what it is told to, in order; the last for ever. */
function guestThat(says: {
  readonly start?: readonly (number | Error)[]
  readonly state?: readonly (GuestProgramState | Error)[]
}) {
  const started: GuestProgram[] = []
  const ended: number[] = []
  const starts = [...(says.start ?? [77])]
  const states = [...(says.state ?? [{ kind: 'running' as const }])]
  const next = <Value>(list: (Value | Error)[]): Value => {
    const value = list.length > 1 ? list.shift() : list[0]
    if (value instanceof Error || value === undefined) throw value ?? new Error('nothing to say')
    return value
  }
  const guest: GuestPrograms = {
    async start(program) {
      started.push(program)
      return next(starts)
    },
    state: async () => next(states),
    async end(pid) {
      ended.push(pid)
      return true
    },
  }
  return { guest, started, ended }
}

const action: ScriptAction = {
  kind: 'script',
  where: { kind: 'guest', machine: 'm1' as ItemId },
  command: '/opt/begin',
  arguments: ['now'],
  environment: { STAGE: 'dr' },
  timeoutSeconds: 60,
}
const stopped = new DOMException('The server is stopping', 'AbortError')
const outage = (code: string): Outage => new Outage({ code, message: code, remedy: 'Wait.' })
const over = (exitCode: number | null, output = ''): GuestProgramState => ({
  kind: 'ended',
  exitCode,
  output,
})

const workIn = (guest: GuestPrograms | null, more: Partial<StepWork> = {}): StepWork =>
  workFor(action, { guestOf: () => guest, ...more })

describe('a script in a guest', () => {
  test('gets its arguments, its variables and the context, and its output is kept', async () => {
    const { guest, started } = guestThat({ state: [{ kind: 'running' }, over(0, 'mounted\n')] })
    expect(await run(workIn(guest))).toEqual({
      note: '/opt/begin ended with exit code 0',
      output: 'mounted\n',
    })
    expect(started).toEqual([
      {
        command: '/opt/begin',
        arguments: ['now'],
        environment: { STAGE: 'dr', UNDERSTUDY_CONTEXT: '{"plan":"Web shop"}' },
      },
    ])
  })

  test('that fails has failed, with bounded output', async () => {
    const { guest } = guestThat({ state: [over(2, `${'line\n'.repeat(100_000)}the end\n`)] })
    const failure = await fails(workIn(guest))
    expect(failure).toMatchObject({
      code: 'step/script-failed',
      message: '/opt/begin ended with exit code 2: the end',
    })
    expect(failure.output?.length).toBeLessThan(140_000)
    expect(failure.output).toContain('bytes are left out here')
    const killed = guestThat({ state: [over(null)] })
    expect((await fails(workIn(killed.guest))).message).toBe('/opt/begin was ended by a signal')
  })

  test('where no program can be run says so', async () => {
    expect((await fails(workIn(null))).code).toBe('step/no-guest-programs')
    const refusal = new Refusal({ code: 'guest-program/not-allowed', message: 'No.', remedy: 'Allow it.' })
    expect(await fails(workIn(guestThat({ start: [refusal] }).guest))).toMatchObject({
      code: 'step/not-allowed',
      message: 'No.',
      remedy: 'Allow it.',
    })
  })

  test('waits for an agent that is not there yet, or that is away for a while', async () => {
    const { guest, started } = guestThat({
      start: [outage('guest-program/not-reached'), 77],
      state: [outage('guest-program/not-reached'), over(0)],
    })
    await run(workIn(guest))
    expect(started).toHaveLength(2)
    const never = guestThat({ start: [outage('guest-program/not-reached')] })
    expect((await fails(workIn(never.guest, { deadline: Date.now() + 300 }))).code).toBe('step/guest-silent')
  })

  test('that outlives its time, or is cancelled, is ended there', async () => {
    const slow = guestThat({})
    expect((await fails(workIn(slow.guest, { deadline: Date.now() + 300 }))).code).toBe('step/timeout')
    expect(slow.ended).toEqual([77])
    const cancelled = guestThat({})
    const cancel = new AbortController()
    setTimeout(() => cancel.abort(new Cancelled()), 300)
    await expect(run(workIn(cancelled.guest), cancel.signal)).rejects.toMatchObject({ name: 'AbortError' })
    expect(cancelled.ended).toEqual([77])
  })

  test('outlives a stop of the server: it is not ended, and the next one finds its end', async () => {
    const { guest, started, ended } = guestThat({ state: [{ kind: 'running' }, over(0, 'done\n')] })
    const work = workIn(guest)
    const stop = new AbortController()
    setTimeout(() => stop.abort(stopped), 100)
    await expect(run(work, stop.signal)).rejects.toBe(stopped)
    expect(ended).toEqual([])
    expect((await run(work)).output).toBe('done\n')
    expect(started).toHaveLength(1)
  })

  test('that is just being begun when the server stops is begun once', async () => {
    const { guest, started } = guestThat({ state: [over(0, 'done\n')] })
    const stop = new AbortController()
    const slow: GuestPrograms = {
      ...guest,
      async start(program, signal) {
        stop.abort(stopped)
        signal?.throwIfAborted()
        return await guest.start(program)
      },
    }
    const work = workIn(slow)
    await expect(run(work, stop.signal)).rejects.toBe(stopped)
    expect((await run(work)).output).toBe('done\n')
    expect(started).toHaveLength(1)
  })

  test('that ended while the server was away until after its deadline has not run out of time', async () => {
    const { guest, ended } = guestThat({ state: [over(0, 'done\n')] })
    const stop = new AbortController()
    const before: GuestPrograms = {
      ...guest,
      async state() {
        stop.abort(stopped)
        return { kind: 'running' }
      },
    }
    const work = workIn(before, { deadline: Date.now() + 1000 })
    await expect(run(work, stop.signal)).rejects.toBe(stopped)
    await expect.poll(() => Date.now() > work.deadline, { timeout: 5000 }).toBe(true)
    expect((await run({ ...work, guestOf: () => guest })).output).toBe('done\n')
    expect(ended).toEqual([])
  })

  test('that is asked for again is begun once: its end is asked for, or known', async () => {
    const first = guestThat({ state: [new TypeError('our server ends here')] })
    const work = workIn(first.guest)
    await expect(run(work)).rejects.toThrow('our server ends here')
    const second = guestThat({ state: [over(0, 'done\n')] })
    const again = { ...work, guestOf: () => second.guest }
    expect((await run(again)).output).toBe('done\n')
    expect(second.started).toEqual([])
    const third = guestThat({ state: [{ kind: 'unknown' }] })
    expect((await run({ ...work, guestOf: () => third.guest })).output).toBe('done\n')
  })

  test('leaves no secret of what it printed on our disk', async () => {
    const { guest } = guestThat({ state: [over(0, 'the key is hunter2\n')] })
    const work = workIn(guest, { mask: (text) => text.replaceAll('hunter2', '***') })
    expect((await run(work)).output).toBe('the key is ***\n')
    const kept = await readFile(join(folders.own, work.attemptId, 'guest.json'), 'utf8')
    expect(kept).toContain('the key is ***')
  })

  test('of which nobody knows how it ended, or whether it began, is interrupted and never begun again', async () => {
    const gone = guestThat({ state: [{ kind: 'unknown' }] })
    expect((await fails(workIn(gone.guest))).code).toBe('step/interrupted')
    const lost = guestThat({ start: [outage('guest-program/answer-lost'), 78] })
    const work = workIn(lost.guest)
    expect((await fails(work)).code).toBe('step/interrupted')
    expect((await fails(work)).code).toBe('step/interrupted')
    expect(lost.started).toHaveLength(1)
  })
})
