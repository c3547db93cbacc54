// What the tests of steps ask for.
import { access, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ScriptAction } from '@understudy/domain/recovery-plans/step-action'
import { StepFailure, type StepOutcome, type StepWork } from '@understudy/engine/ports/step-runner'
import { afterAll, beforeAll, vi } from 'vitest'
import { openStepRunner } from './open-step-runner.ts'

let count = 0

/** Each with an id of its own, and a minute's time. */
export const workFor = (action: StepWork['action'], more: Partial<StepWork> = {}): StepWork => {
  count += 1
  return {
    attemptId: `attempt-${count}`,
    action,
    addressOf: () => [],
    guestOf: () => null,
    hostOf: () => null,
    cloudOf: () => null,
    cloudMachineOf: () => null,
    tsigSecret: null,
    mask: (text) => text,
    context: '{"plan":"Web shop"}',
    deadline: Date.now() + 60_000,
    ...more,
  }
}

export const clock = { now: () => Date.now() }
export const never = new AbortController().signal
export const ignore = (): void => undefined

/** Steps done in a folder of their own, and one more for what they leave. Both are there once the tests run. */
export function testSteps() {
  const folders = { own: '', traces: '' }
  beforeAll(async () => {
    folders.own = await mkdtemp(join(tmpdir(), 'us-steps-'))
    folders.traces = await mkdtemp(join(tmpdir(), 'us-steps-'))
  })
  afterAll(async () => {
    for (const folder of Object.values(folders)) await rm(folder, { recursive: true, force: true })
  })
  const run = (
    work: StepWork,
    signal = never,
    report: (line: string) => void = ignore,
  ): Promise<StepOutcome> => openStepRunner({ folder: folders.own, clock }).run(work, report, signal)
  const fails = async (work: StepWork): Promise<StepFailure> => {
    const error: unknown = await run(work).then(
      (outcome) => new Error(`it succeeded: ${outcome.note}`),
      (reason: unknown) => reason,
    )
    if (!(error instanceof StepFailure)) throw error
    return error
  }
  return { folders, run, fails }
}

export const script = (
  command: string,
  args: readonly string[] = [],
  more: Partial<ScriptAction> = {},
): ScriptAction => ({
  kind: 'script',
  where: { kind: 'server' },
  command,
  arguments: args,
  environment: {},
  timeoutSeconds: 60,
  ...more,
})
export const shell = (line: string, more: Partial<ScriptAction> = {}): ScriptAction =>
  script('sh', ['-c', line], more)

export const appears = (path: string): Promise<void> =>
  vi.waitFor(() => access(path), { timeout: 30_000, interval: 20 })
export const readJson = async <Value>(path: string): Promise<Value> =>
  JSON.parse(await readFile(path, 'utf8'))
