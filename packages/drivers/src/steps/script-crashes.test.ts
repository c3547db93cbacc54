import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ScriptAction } from '@understudy/domain/recovery-plans/step-action'
import type { StepWork } from '@understudy/engine/ports/step-runner'
import { describe, expect, test } from 'vitest'
import { openStepRunner } from './open-step-runner.ts'
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts'
import { type Claim, scriptFiles } from './script-files.ts'
import { appears, ignore, never, readJson, shell, testSteps, workFor } from './test-work.ts'

const { folders, run, fails } = testSteps()
const filesOf = ({ attemptId }: StepWork) => scriptFiles(join(folders.own, attemptId))

describe('a script that is asked for again', () => {
  const counting = (file: string, more = ''): ScriptAction =>
    shell(`echo run >> ${file}; ${more} cat ${file}; exit 4`)

  test('is not run twice, and its end is the same', async () => {
    const work = workFor(counting(join(folders.traces, 'twice')))
    const first = await fails(work)
    expect(await fails(work)).toEqual(first)
    expect(first.output).toBe('run\n')
  })

  test('by two at a time is run once', async () => {
    const work = workFor(counting(join(folders.traces, 'both'), 'sleep 0.5;'))
    const begun = [fails(work), fails(work), fails(work)]
    const failures = await Promise.all(begun)
    expect(failures.map(({ output }) => output)).toEqual(['run\n', 'run\n', 'run\n'])
  })

  test('after its server was killed runs on, and its end is found', async () => {
    const file = join(folders.traces, 'survivor')
    const work = workFor(counting(file, 'sleep 2;'))
    const server = spawnServer(work)
    await appears(file)
    server.kill('SIGKILL')
    const { keeper } = await readJson<Claim>(filesOf(work).claim)
    expect(isAlive(keeper)).toBe(true)
    expect(await fails(work)).toMatchObject({ code: 'step/script-failed', output: 'run\n' })
  })

  test('after its server was stopped in order runs on, and its end is found', async () => {
    const file = join(folders.traces, 'stopped')
    const work = workFor(counting(file, 'sleep 1;'))
    const stop = new AbortController()
    const reason = new DOMException('The server is stopping', 'AbortError')
    const running = run(work, stop.signal)
    await appears(file)
    stop.abort(reason)
    await expect(running).rejects.toBe(reason)
    expect(await fails(work)).toMatchObject({
      code: 'step/script-failed',
      message: 'sh ended with exit code 4: run',
      output: 'run\n',
    })
  })

  test('after its server was killed at any moment of its start is run once', async () => {
    const outputs = [100, 200, 300, 400, 500, 700].map(async (milliseconds) => {
      const work = workFor(counting(join(folders.traces, `moment-${milliseconds}`), 'sleep 0.2;'))
      const server = spawnServer(work)
      await new Promise((resolve) => setTimeout(resolve, milliseconds))
      server.kill('SIGKILL')
      return (await fails(work)).output
    })
    expect(new Set(await Promise.all(outputs))).toEqual(new Set(['run\n']))
  })

  test('is ended in time although its server is gone and it does not listen', async () => {
    const file = join(folders.traces, 'abandoned')
    const work = workFor(counting(file, 'trap "" TERM; sleep 300;'), { deadline: Date.now() + 6000 })
    const server = spawnServer(work)
    await appears(file)
    server.kill('SIGKILL')
    await appears(filesOf(work).end)
    expect((await fails(work)).code).toBe('step/timeout')
  })

  test('whose keeper was killed is interrupted: that it still runs is told', async () => {
    const work = workFor(shell('sleep 20'))
    const running = fails(work)
    await appears(filesOf(work).script)
    const { keeper } = await readJson<Claim>(filesOf(work).claim)
    const leader = await readJson<ProcessIdentity>(filesOf(work).script)
    process.kill(keeper.pid, 'SIGKILL')
    expect(await running).toMatchObject({ code: 'step/interrupted' })
    expect((await running).message).toContain(`still runs as process ${leader.pid}`)
    process.kill(-leader.pid, 'SIGKILL')
    await expect.poll(() => isAlive(leader)).toBe(false)
    expect((await fails(work)).message).toContain('nobody knows how far it came')
  })

  test('after a restart of the computer is interrupted, whoever has its number now', async () => {
    const work = workFor(shell('echo again'))
    await mkdir(join(folders.own, work.attemptId))
    const stranger = { ...identify(process.pid), boot: 'another-boot' }
    await writeFile(filesOf(work).claim, JSON.stringify({ keeper: stranger }))
    expect((await fails(work)).code).toBe('step/interrupted')
  })

  test('long after its deadline is forgotten, and not begun anew', async () => {
    const file = join(folders.traces, 'forgotten')
    const work = workFor(counting(file), { deadline: Date.now() + 20_000 })
    expect((await fails(work)).output).toBe('run\n')
    const later = openStepRunner({
      folder: folders.own,
      clock: { now: () => Date.now() + 8 * 24 * 3_600_000 },
    })
    await expect(later.run(work, ignore, never)).rejects.toMatchObject({ code: 'step/timeout' })
    expect(existsSync(filesOf(work).claim)).toBe(false)
    expect(await readFile(file, 'utf8')).toBe('run\n')
  })
})

/** Another process that asks for the step, as a server does. */
function spawnServer(work: StepWork) {
  const runner = fileURLToPath(new URL('./open-step-runner.ts', import.meta.url))
  const { attemptId, action, context, deadline } = work
  const code = `
    const { openStepRunner } = await import(${JSON.stringify(runner)})
    const work = { ...${JSON.stringify({ attemptId, action, context, deadline, tsigSecret: null })}, addressOf: () => [], guestOf: () => null, hostOf: () => null, mask: (text) => text }
    const runner = openStepRunner({ folder: ${JSON.stringify(folders.own)}, clock: { now: () => Date.now() } })
    await runner.run(work, () => undefined, new AbortController().signal)`
  return spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'ignore' })
}
