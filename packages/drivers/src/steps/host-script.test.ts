import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { ScriptAction } from '@understudy/domain/recovery-plans/step-action'
import type { SiteId } from '@understudy/domain/sites/site'
import { Cancelled } from '@understudy/engine/ports/cancelled'
import type { HostProgram, HostProgramState, HostPrograms } from '@understudy/engine/ports/host-programs'
import type { StepWork } from '@understudy/engine/ports/step-runner'
import { describe, expect, test } from 'vitest'
import { runOnHost } from './host-script.ts'
import type { ProgramWork } from './server-script.ts'
import { script, testSteps, workFor } from './test-work.ts'

const { folders, run, fails } = testSteps()

const action: ScriptAction = script('/opt/begin', ['now'], {
  where: { kind: 'site', site: 'harbour' as SiteId },
  environment: { STAGE: 'dr' },
})
const outage = new Outage({ code: 'kvm/host-unreachable', message: 'Host a is away', remedy: 'Wait.' })
const stopped = new DOMException('The server is stopping', 'AbortError')
const over = (exitCode: number, printed = '', more: Partial<HostProgramState> = {}): HostProgramState =>
  ({
    kind: 'ended',
    exitCode,
    signal: null,
    endedBy: 'itself',
    notStarted: null,
    head: Buffer.from(printed),
    tail: Buffer.alloc(0),
    bytes: Buffer.byteLength(printed),
    ...more,
  }) as HostProgramState

type Said<Value> = readonly (Value | Error)[]

/** A host that says what it is told to, in order; the last for ever. */
function hostThat(says: { readonly begin?: Said<null>; readonly state?: Said<HostProgramState> }) {
  const begun: { readonly id: string; readonly program: HostProgram }[] = []
  const calls: string[] = []
  const teller = <Value>(list: Said<Value>) => {
    const left = [...list]
    return (): Value => {
      const value = left.length > 1 ? left.shift() : left[0]
      if (value instanceof Error || value === undefined) throw value ?? new Error('nothing to say')
      return value
    }
  }
  const begin = teller(says.begin ?? [null])
  const state = teller(says.state ?? [{ kind: 'running' as const }])
  const host: HostPrograms = {
    place: 'host a',
    async begin(id, program) {
      begun.push({ id, program })
      begin()
    },
    state: async () => state(),
    end: async () => void calls.push('end'),
    forget: async () => void calls.push('forget'),
  }
  return { host, begun, calls }
}

const workAt = (host: HostPrograms | null, more: Partial<StepWork> = {}): StepWork =>
  workFor(action, { hostOf: (site) => (site === 'harbour' ? host : null), ...more })

describe('a script on the host of a site', () => {
  test('gets its arguments, its variables, the context and its time, and its output is kept', async () => {
    const { host, begun, calls } = hostThat({ state: [{ kind: 'running' }, over(0, 'mounted\n')] })
    expect(await run(workAt(host))).toEqual({
      note: '/opt/begin ended with exit code 0',
      output: 'mounted\n',
    })
    const [first] = begun
    expect(first?.program).toMatchObject({
      command: '/opt/begin',
      arguments: ['now'],
      environment: { STAGE: 'dr', UNDERSTUDY_CONTEXT: '{"plan":"Web shop"}' },
      contextFile: null,
    })
    expect(first?.program.limitMilliseconds).toBeGreaterThan(50_000)
    expect(calls).toEqual(['forget'])
  })

  test('is told of a long context in a file', async () => {
    const { host, begun } = hostThat({ state: [over(0)] })
    const context = JSON.stringify({ machines: 'x'.repeat(300_000) })
    await run(workAt(host, { context }))
    expect(begun[0]?.program).toMatchObject({ environment: { STAGE: 'dr' }, contextFile: context })
  })

  test('that fails has failed: with its exit code, out of time, or not there', async () => {
    const ends: [HostProgramState, string, string][] = [
      [
        over(2, 'no such volume\n'),
        'step/script-failed',
        '/opt/begin ended with exit code 2: no such volume',
      ],
      [
        over(0, 'waiting\n', { endedBy: 'timeout' }),
        'step/timeout',
        '/opt/begin did not end in time and was ended: waiting',
      ],
      [
        over(0, '', { notStarted: 'ENOENT' }),
        'step/no-program',
        'There is no program /opt/begin, or its first line names an interpreter that is not there',
      ],
    ]
    for (const [end, code, message] of ends)
      expect(await fails(workAt(hostThat({ state: [end] }).host))).toMatchObject({ code, message })
  })

  test('where none can be run says so', async () => {
    expect((await fails(workAt(null))).code).toBe('step/no-host-programs')
    const refusal = new Refusal({ code: 'host-program/no-perl', message: 'No perl.', remedy: 'Install it.' })
    expect(await fails(workAt(hostThat({ begin: [refusal] }).host))).toMatchObject({
      code: 'step/no-perl',
      message: 'No perl.',
      remedy: 'Install it.',
    })
  })

  test('waits for a host that is away, and gives it the same id again', async () => {
    const { host, begun } = hostThat({ begin: [outage, null], state: [outage, over(0, 'done\n')] })
    expect((await run(workAt(host))).output).toBe('done\n')
    expect(begun).toHaveLength(2)
    expect(new Set(begun.map(({ id }) => id)).size).toBe(1)
    const away = hostThat({ begin: [outage] })
    expect(await fails(workAt(away.host, { deadline: Date.now() + 300 }))).toMatchObject({
      code: 'step/host-silent',
      message: '/opt/begin was not known to have begun in time: Host a is away',
    })
  })

  test('outlives a stop of the server, and whoever asks next finds its end', async () => {
    const { host, begun, calls } = hostThat({ state: [{ kind: 'running' }, over(0, 'done\n')] })
    const work = workAt(host)
    const stop = new AbortController()
    setTimeout(() => stop.abort(stopped), 50)
    await expect(run(work, stop.signal)).rejects.toBe(stopped)
    expect(calls).toEqual([])
    expect((await run(work)).output).toBe('done\n')
    expect(new Set(begun.map(({ id }) => id)).size).toBe(1)
    // Known from here on, whatever the host has forgotten.
    const forgetful = hostThat({ state: [{ kind: 'unknown' }] })
    expect((await run({ ...work, hostOf: () => forgetful.host })).output).toBe('done\n')
    expect(forgetful.begun).toEqual([])
  })

  test('by two at a time has one end, although the host forgets it once it is kept', async () => {
    const { host, calls } = hostThat({})
    const forgets: HostPrograms = {
      ...host,
      state: async () => (calls.length > 0 ? { kind: 'lost', pid: null } : over(0, 'done\n')),
    }
    // Has looked for an end before the other had one, and looks at the host after it was forgotten there.
    const late = async (): Promise<void> => {
      await expect.poll(() => calls).toEqual(['forget'])
    }
    const work = workAt(forgets)
    const begins: HostPrograms = { ...forgets, begin: late }
    const both = [run(work), run({ ...work, hostOf: () => begins })]
    expect((await Promise.all(both)).map(({ output }) => output)).toEqual(['done\n', 'done\n'])
  })

  test('leaves no secret of what it printed on our disk', async () => {
    const { host } = hostThat({ state: [over(0, 'the key is hunter2\n')] })
    const work = workAt(host, { mask: (text) => text.replaceAll('hunter2', '***') })
    expect((await run(work)).output).toBe('the key is ***\n')
    const kept = await readFile(join(folders.own, work.attemptId, 'host-end.json'), 'utf8')
    expect(kept).toContain('the key is ***')
  })

  test('that its host does not end in time is ended by us, and is out of time whatever that leaves', async () => {
    const late = { deadline: Date.now() - 20_000 }
    const left: HostProgramState[] = [
      over(0, 'waiting\n', { endedBy: 'abort' }),
      over(0, 'waiting\n', { endedBy: 'timeout' }),
      { kind: 'lost', pid: null },
    ]
    for (const state of left) {
      const { host, calls } = hostThat({ state: [{ kind: 'running' }, state] })
      expect((await fails(workAt(host, late))).code).toBe('step/timeout')
      expect(calls).toEqual(['end', 'forget'])
    }
    const runsOn = hostThat({ state: [{ kind: 'running' }, { kind: 'lost', pid: 77 }] })
    expect((await fails(workAt(runsOn.host, late))).code).toBe('step/interrupted')
    const away: HostPrograms = { ...hostThat({}).host, end: () => Promise.reject(outage) }
    expect((await fails(workAt(away, late))).code).toBe('step/host-silent')
  })

  test('that nothing ends is given up some time after its end was asked for', async () => {
    const { host, calls } = hostThat({})
    let now = 0
    const late: ProgramWork = {
      ...workAt(host),
      program: action,
      deadline: -20_000,
      clock: { now: () => now },
      signal: new AbortController().signal,
      report: () => undefined,
    }
    const slow: HostPrograms = {
      ...host,
      end: async (id) => {
        now += 20_000
        await host.end(id)
      },
    }
    await expect(runOnHost(folders.own, slow, late)).rejects.toMatchObject({
      code: 'step/interrupted',
      message: expect.stringContaining('still runs on the host'),
    })
    expect(calls).toEqual(['end', 'end'])
  })

  test('leaves no output on the host, also when we ended between keeping its end and having the host forget it', async () => {
    const { host, calls } = hostThat({ state: [over(0, 'the key is hunter2\n')] })
    const work = workAt(
      { ...host, forget: () => Promise.reject(new TypeError('our server ends here')) },
      {
        mask: (text) => text.replaceAll('hunter2', '***'),
      },
    )
    await run(work)
    expect(calls).toEqual([])
    expect((await run({ ...work, hostOf: () => host })).output).toBe('the key is ***\n')
    expect(calls).toEqual(['forget'])
    // Another host knows nothing of it, and one that is away changes nothing of the end.
    await run({ ...work, hostOf: () => ({ ...host, place: 'host b' }) })
    expect(calls).toEqual(['forget'])
    const away = { ...host, forget: () => Promise.reject(outage) }
    expect((await run({ ...work, hostOf: () => away })).output).toBe('the key is ***\n')
  })

  test('that is cancelled is ended there', async () => {
    const { host, calls } = hostThat({})
    const cancel = new AbortController()
    setTimeout(() => cancel.abort(new Cancelled()), 200)
    await expect(run(workAt(host), cancel.signal)).rejects.toMatchObject({ name: 'AbortError' })
    expect(calls).toEqual(['end', 'forget'])
  })

  test('that is cancelled before the host has said that it has begun is ended there all the same', async () => {
    const { host, calls } = hostThat({ begin: [outage] })
    const cancel = new AbortController()
    setTimeout(() => cancel.abort(new Cancelled()), 100)
    await expect(run(workAt(host), cancel.signal)).rejects.toMatchObject({ name: 'AbortError' })
    expect(calls).toEqual(['end', 'forget'])
    const stop = new AbortController()
    setTimeout(() => stop.abort(stopped), 100)
    await expect(run(workAt(host), stop.signal)).rejects.toBe(stopped)
    expect(calls).toEqual(['end', 'forget'])
  })

  test('that is cancelled while its host is away says that it may still run there', async () => {
    for (const says of [{ begin: [outage] }, {}]) {
      const host: HostPrograms = { ...hostThat(says).host, end: () => Promise.reject(outage) }
      const cancel = new AbortController()
      setTimeout(() => cancel.abort(new Cancelled()), 100)
      await expect(run(workAt(host), cancel.signal)).rejects.toMatchObject({
        name: 'StepFailure',
        code: 'step/may-run-on',
        message: expect.stringContaining('/opt/begin may still run there'),
      })
    }
  })

  test('of which nobody knows how it ended, or that another host has, is interrupted', async () => {
    expect(await fails(workAt(hostThat({ state: [{ kind: 'lost', pid: 77 }] }).host))).toMatchObject({
      code: 'step/interrupted',
      message: expect.stringContaining('still runs on the host as process 77'),
    })
    const first = hostThat({ state: [new TypeError('our server ends here')] })
    const work = workAt(first.host)
    await expect(run(work)).rejects.toThrow('our server ends here')
    const other = { ...hostThat({}).host, place: 'host b' }
    expect(await fails({ ...work, hostOf: () => other })).toMatchObject({
      code: 'step/interrupted',
      message: expect.stringContaining('another host'),
    })
  })
})
