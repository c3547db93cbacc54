// A script in a machine that runs in a cloud: once for an attempt, whoever asks, and its end is kept.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Outage, Refusal } from '@understudy/base/errors'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ItemId } from '@understudy/domain/recovery-plans/plan-ids'
import type { AzureRunCommandAction } from '@understudy/domain/recovery-plans/step-action'
import type { SiteId } from '@understudy/domain/sites/site'
import { Cancelled } from '@understudy/engine/ports/cancelled'
import type { CloudScript, CloudScriptState, CloudServices } from '@understudy/engine/ports/cloud-services'
import type { StepWork } from '@understudy/engine/ports/step-runner'
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { ignore, testSteps, workFor } from './test-work.ts'

const web = 'web' as ItemId
const ref = '/machines/web' as MachineRef
const action: AzureRunCommandAction = {
  kind: 'azure-run-command',
  machine: web,
  script: 'warm-up',
  variables: { KEY: 'hunter2' },
  timeoutSeconds: 60,
}

/** What Azure has, by id. */
let begun: Map<string, CloudScript>
let state: CloudScriptState
let ended: string[]
let away: Outage | Refusal | null
beforeEach(() => {
  begun = new Map()
  state = { kind: 'ended', exitCode: 0, output: 'warm' }
  ended = []
  away = null
})
const refuseWhenAway = (): void => {
  if (away !== null) throw away
}
const services = {
  scripts: {
    async begin(id: string, _machine: MachineRef, script: CloudScript) {
      refuseWhenAway()
      if (!begun.has(id)) begun.set(id, script)
    },
    async state(id: string) {
      refuseWhenAway()
      return begun.has(id) ? state : { kind: 'unknown' as const }
    },
    async end(id: string) {
      refuseWhenAway()
      ended.push(id)
    },
  },
} as unknown as CloudServices

const steps = testSteps()
const work = (more: Partial<StepWork> = {}) =>
  workFor(action, {
    cloudMachineOf: (machine) => (machine === web ? { ref, site: 'azure' as SiteId, services } : null),
    ...more,
  })
const outage = new Outage({ code: 'azure/unreachable', message: 'no answer came', remedy: 'Check the line.' })

test('a script that ends well is a success with its output, and Azure ends it in time by itself', async () => {
  const one = work()
  expect(await steps.run(one)).toEqual({ note: 'The script ended with exit code 0', output: 'warm' })
  const script = begun.get(one.attemptId)
  expect(script).toMatchObject({ text: 'warm-up', variables: { KEY: 'hunter2' }, limitSeconds: 60 })
})

test('a script that is begun again later is the same in every word', async () => {
  const asked: CloudScript[] = []
  const lost = withScripts({
    async begin(_id, _machine, script) {
      asked.push(script)
      throw outage
    },
    state: async () => ({ kind: 'unknown' }),
  })
  const life = new AbortController()
  const deadline = Date.now() + 60_000
  const first = steps.run({ ...lost, deadline }, life.signal, ignore).catch(ignore)
  await vi.waitFor(() => expect(asked).toHaveLength(1))
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThan(deadline - 58_000), 5000)
  life.abort()
  await first
  const next = new AbortController()
  const second = steps.run({ ...lost, deadline }, next.signal, ignore).catch(ignore)
  await vi.waitFor(() => expect(asked).toHaveLength(2))
  next.abort()
  await second
  expect(asked[0]).toEqual({ text: 'warm-up', variables: { KEY: 'hunter2' }, limitSeconds: 60, deadline })
  expect(asked[1]).toEqual(asked[0])
})

test('asked again for the same attempt it is not begun again, whatever Azure says by then', async () => {
  const one = work()
  await steps.run(one)
  begun.clear()
  state = { kind: 'ended', exitCode: 1, output: 'other' }
  expect(await steps.run(one)).toEqual({ note: 'The script ended with exit code 0', output: 'warm' })
  expect(begun.size).toBe(0)
})

test('one that runs when our life ends is found by the next', async () => {
  const one = work()
  state = { kind: 'running' }
  const life = new AbortController()
  const lost = steps.run(one, life.signal, ignore)
  await vi.waitFor(() => expect(begun.size).toBe(1))
  life.abort()
  await expect(lost).rejects.toMatchObject({ name: 'AbortError' })
  expect(ended).toEqual([])
  state = { kind: 'ended', exitCode: 0, output: 'warm' }
  expect(await steps.run(one)).toMatchObject({ output: 'warm' })
  expect([...begun.keys()]).toEqual([one.attemptId])
})

test.each<[CloudScriptState, string, string, string | null]>([
  [
    { kind: 'ended', exitCode: 3, output: 'no disk' },
    'step/script-failed',
    'exit code 3: no disk',
    'no disk',
  ],
  [{ kind: 'timeout', output: 'still' }, 'step/timeout', 'did not end in time', 'still'],
  [{ kind: 'cancelled', output: '' }, 'step/script-failed', 'was ended by somebody in Azure', null],
  [{ kind: 'failed', message: 'the agent is gone' }, 'step/run-command-failed', 'the agent is gone', null],
])('%o is a failure in words', async (told, code, words, output) => {
  state = told
  const failure = await steps.fails(work())
  expect(failure).toMatchObject({ code, output })
  expect(failure.message).toContain(words)
})

test('what it prints is kept without secrets', async () => {
  state = { kind: 'ended', exitCode: 0, output: 'the key is hunter2' }
  const one = work({ mask: (text) => text.replaceAll('hunter2', '******') })
  expect((await steps.run(one)).output).toBe('the key is ******')
  const kept = await readFile(join(steps.folders.own, one.attemptId, 'cloud-end.json'), 'utf8')
  expect(kept).not.toContain('hunter2')
})

test('people who cancel end it; while Azure is away it is told that it may run on', async () => {
  const stop = async (one: StepWork): Promise<unknown> => {
    const people = new AbortController()
    const failed = steps.run(one, people.signal, ignore).catch((error: unknown) => error)
    await vi.waitFor(() => expect(begun.has(one.attemptId)).toBe(true))
    people.abort(new Cancelled())
    return await failed
  }
  state = { kind: 'running' }
  const one = work()
  expect(await stop(one)).toBeInstanceOf(Cancelled)
  expect(ended).toContain(one.attemptId)
  const other = work({
    cloudMachineOf: () => ({
      ref,
      site: 'azure' as SiteId,
      services: {
        ...services,
        scripts: {
          ...services.scripts,
          end: async () => {
            throw outage
          },
        },
      },
    }),
  })
  expect(await stop(other)).toMatchObject({ code: 'step/may-run-on' })
})

test('one that could not be begun in time says why', async () => {
  away = outage
  expect(await steps.fails(work({ deadline: Date.now() + 1000 }))).toMatchObject({
    code: 'step/cloud-silent',
    message: expect.stringContaining('no answer came'),
    remedy: expect.stringContaining('Look in the guest'),
  })
})

/** As a line on which nothing comes: it ends when it is given up, and not before. */
const givenUp = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
const withScripts = (scripts: Partial<CloudServices['scripts']>) =>
  work({
    cloudMachineOf: () => ({
      ref,
      site: 'azure' as SiteId,
      services: { ...services, scripts: { ...services.scripts, ...scripts } },
    }),
  })

test('a begin that never ends takes no longer than the step, and what may come of it is ended', async () => {
  const hanging = withScripts({ begin: (_id, _machine, _script, signal) => givenUp(signal) })
  const failure = await steps.fails({ ...hanging, deadline: Date.now() + 2000 })
  expect(failure).toMatchObject({ code: 'step/not-begun', message: expect.stringContaining('no answer') })
  expect(ended).toEqual([hanging.attemptId])
})

test('a cancel waits no longer than a minute for Azure to end it', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  let asked = 0
  const hanging = withScripts({
    begin: (_id, _machine, _script, signal) => {
      asked += 1
      return givenUp(signal)
    },
    end: (_id, _machine, signal) => {
      asked += 1
      return givenUp(signal)
    },
  })
  const people = new AbortController()
  const failed = steps.run(hanging, people.signal, ignore).catch((error: unknown) => error)
  const isAsked = async (times: number): Promise<void> => {
    while (asked < times) await new Promise((resolve) => setImmediate(resolve))
  }
  await isAsked(1)
  people.abort(new Cancelled())
  await isAsked(2)
  await vi.advanceTimersByTimeAsync(60_000)
  expect(await failed).toMatchObject({ code: 'step/may-run-on' })
})

test('one that Azure has just taken on and does not show yet is looked for again', async () => {
  let looks = 0
  const late = withScripts({
    async state() {
      looks += 1
      return looks === 1 ? { kind: 'unknown' } : state
    },
  })
  expect(await steps.run(late)).toMatchObject({ output: 'warm' })
})

test('a refusal is final', async () => {
  away = new Refusal({ code: 'azure/machine-off', message: 'It is off', remedy: 'Start it.' })
  expect(await steps.fails(work())).toMatchObject({ code: 'step/machine-off', remedy: 'Start it.' })
})

test('a machine that does not run in Azure is refused, and an attempt is about one machine', async () => {
  expect(await steps.fails(work({ cloudMachineOf: () => null }))).toMatchObject({ code: 'step/not-in-cloud' })
  const one = work()
  state = { kind: 'failed', message: 'x' }
  await steps.fails(one)
  const moved = { ref: '/machines/other' as MachineRef, site: 'azure' as SiteId, services }
  expect(await steps.fails({ ...one, cloudMachineOf: () => moved })).toMatchObject({
    code: 'step/interrupted',
  })
})
