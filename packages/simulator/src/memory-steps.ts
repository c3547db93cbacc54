// The world outside as the steps of a plan meet it: every effect is written down, and what goes wrong is said beforehand.
import { StepFailure, type StepRunner, type StepWork } from '@understudy/engine/ports/step-runner'
import type { VirtualClock } from './virtual-clock.ts'

export type StepEffect = {
  readonly attemptId: string
  /** Of a script its command, of the others their kind. */
  readonly what: string
  readonly at: number
  readonly context: string
}

export type MemorySteps = StepRunner & {
  /** What was done, in order: an attempt that is asked for again has its effect once. */
  readonly effects: readonly StepEffect[]
  /** The next `times` attempts at this fail. */
  failNext(what: string, times?: number): void
  /** Attempts at this take so long. Default: 1 s. */
  take(what: string, seconds: number): void
  /** What attempts at this print. */
  print(what: string, output: string): void
}

export function memorySteps(clock: VirtualClock): MemorySteps {
  const effects: StepEffect[] = []
  const failing = new Map<string, number>()
  const seconds = new Map<string, number>()
  const outputs = new Map<string, string>()
  const ended = new Map<string, 'well' | 'badly'>()

  const finish = (attemptId: string, what: string): 'well' | 'badly' => {
    const known = ended.get(attemptId)
    if (known) return known
    const left = failing.get(what) ?? 0
    if (left > 0) failing.set(what, left - 1)
    const end = left > 0 ? 'badly' : 'well'
    ended.set(attemptId, end)
    return end
  }

  return {
    effects,
    failNext: (what, times = 1) => void failing.set(what, times),
    take: (what, duration) => void seconds.set(what, duration),
    print: (what, output) => void outputs.set(what, output),
    async run({ attemptId, action, context, deadline }, report, signal) {
      const what = nameOf(action)
      if (!effects.some((effect) => effect.attemptId === attemptId))
        effects.push({ attemptId, what, at: clock.now(), context })
      report(`doing ${what}`)
      const end = clock.now() + (seconds.get(what) ?? 1) * 1000
      await clock.sleep(Math.max(0, Math.min(end, deadline) - clock.now()), signal)
      const output = outputs.get(what) ?? null
      const fail = (code: string, message: string): StepFailure =>
        new StepFailure({ code, message, remedy: 'Have it tried again.', output })
      if (end > deadline) throw fail('step/timeout', `${what} was not done in time`)
      if (finish(attemptId, what) === 'badly') throw fail('step/failed', `${what} failed, as the test wished`)
      return { note: `${what} done`, output }
    },
  }
}

const nameOf = (action: StepWork['action']): string =>
  action.kind === 'script' ? action.command : action.kind
