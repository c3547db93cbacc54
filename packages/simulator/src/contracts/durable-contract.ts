// What every implementation of the durable port must do. A restart here stands for kill -9 and a new process.
import { Outage, Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { Durable } from '@understudy/engine/ports/durable'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

/** One log (or database) for one test. At a time one process is open on it. */
export type DurableHarness = {
  /** A process: calls `register` before it launches, then launches. */
  open(register: (durable: Durable) => void): Promise<Durable>
  /** As kill -9: nothing of the process goes on, nothing is tidied up. */
  kill(durable: Durable): Promise<void>
  /** Lets time pass: virtual or real. */
  pass(milliseconds: number): Promise<void>
  close(): Promise<void>
}

const STEP_MILLISECONDS = 10
const POLLS_LIMIT = 1_000

export function durableContract(name: string, make: () => Promise<DurableHarness>): void {
  describe(`durable: ${name}`, () => {
    let harness: DurableHarness
    beforeEach(async () => {
      harness = await make()
    })
    afterEach(async () => {
      await harness.close()
    })
    const until = async (what: string, condition: () => boolean | Promise<boolean>): Promise<void> => {
      for (let polls = 0; !(await condition()); polls += 1) {
        if (polls > POLLS_LIMIT) throw new Error(`never: ${what}`)
        await harness.pass(STEP_MILLISECONDS)
      }
    }
    const tools: Tools = {
      open: (register) => harness.open(register),
      kill: (durable) => harness.kill(durable),
      pass: (milliseconds) => harness.pass(milliseconds),
      until,
      over: (durable, id) => until(`workflow ${id} is over`, async () => !(await durable.isRunning(id))),
    }
    startTests(tools)
    stepTests(tools)
    sleepTests(tools)
    signalTests(tools)
    cancelTests(tools)
  })
}

type Tools = Pick<DurableHarness, 'open' | 'kill' | 'pass'> & {
  until(what: string, condition: () => boolean | Promise<boolean>): Promise<void>
  over(durable: Durable, id: string): Promise<void>
}

const never = (): Promise<never> => new Promise(() => {})

function startTests({ open, kill, until, over }: Tools): void {
  test('a workflow gets its input and runs once for one id, however often it is started', async () => {
    const seen: unknown[] = []
    const durable = await open((process) =>
      process.register<{ list: number[] }>('collect', async (context, input) => {
        await context.step('collect', async () => {
          seen.push([context.workflowId, input])
        })
      }),
    )
    await durable.start('collect', 'job-1', { list: [1, 2] })
    await durable.start('collect', 'job-1', { list: [3] })
    await over(durable, 'job-1')
    await durable.start('collect', 'job-1', { list: [4] })
    await over(durable, 'job-1')
    expect(seen).toEqual([['job-1', { list: [1, 2] }]])
  })

  test('start returns when the workflow is accepted, not when it is done', async () => {
    let finish = (): void => {}
    const gate = new Promise<void>((resolve) => (finish = resolve))
    const durable = await open((process) =>
      process.register('wait', (context) => context.step('wait', () => gate)),
    )
    await durable.start('wait', 'job-1', null)
    expect(await durable.isRunning('job-1')).toBe(true)
    expect(await durable.isRunning('job-2')).toBe(false)
    finish()
    await over(durable, 'job-1')
  })

  test('a workflow that throws is over, is not tried again after a restart, and disturbs no other', async () => {
    let attempts = 0
    const register = (process: Durable): void => {
      process.register('fail', async (context) => {
        await context.step('count', async () => {
          attempts += 1
        })
        throw new Error('broken workflow')
      })
      process.register('work', (context) => context.step('work', async () => {}))
    }
    const durable = await open(register)
    await durable.start('fail', 'job-1', null)
    await durable.start('work', 'job-2', null)
    await over(durable, 'job-1')
    await over(durable, 'job-2')
    await kill(durable)
    const next = await open(register)
    expect(await next.isRunning('job-1')).toBe(false)
    await next.start('work', 'job-3', null)
    await over(next, 'job-3')
    expect(attempts).toBe(1)
  })

  test('a workflow that was accepted before the crash runs after it without being started again', async () => {
    let runs = 0
    let blocked = true
    const register = (process: Durable): void =>
      process.register('work', async (context) => {
        await context.step('block', () => (blocked ? never() : Promise.resolve()))
        await context.step('run', async () => {
          runs += 1
        })
      })
    const durable = await open(register)
    await durable.start('work', 'job-1', null)
    await kill(durable)
    blocked = false
    const next = await open(register)
    await over(next, 'job-1')
    await until('the workflow ran', () => runs === 1)
  })
}

function stepTests({ open, kill, until, over }: Tools): void {
  test('after a crash finished steps keep their results and are not run again, the unfinished one is', async () => {
    const runs: string[] = []
    const results: unknown[] = []
    let blocked = true
    const register = (process: Durable): void =>
      process.register('chain', async (context) => {
        const first = await context.step('first', async () => {
          runs.push('first')
          return { at: 17, list: ['a', null] }
        })
        const second = await context.step('second', async () => {
          runs.push('second')
          return blocked ? never() : 'done'
        })
        results.push(first, second)
      })
    const durable = await open(register)
    await durable.start('chain', 'job-1', null)
    await until('the second step runs', () => runs.includes('second'))
    await kill(durable)
    blocked = false
    const next = await open(register)
    await over(next, 'job-1')
    expect(runs).toEqual(['first', 'second', 'second'])
    expect(results).toEqual([{ at: 17, list: ['a', null] }, 'done'])
  })

  test('two steps of one name are two steps', async () => {
    const results: number[] = []
    let count = 0
    const durable = await open((process) =>
      process.register('twice', async (context) => {
        for (let index = 0; index < 2; index += 1)
          results.push(
            await context.step('same name', async () => {
              count += 1
              return count
            }),
          )
      }),
    )
    await durable.start('twice', 'job-1', null)
    await over(durable, 'job-1')
    expect(results).toEqual([1, 2])
  })

  test('a failed step throws what it threw, the same after a crash, without being run again', async () => {
    const seen: unknown[] = []
    let attempts = 0
    let blocked = true
    const refusal = {
      code: 'machine/not-found',
      message: 'There is none',
      remedy: 'Look.',
      facts: { ref: 'vm-1' },
    }
    const register = (process: Durable): void =>
      process.register('fail', async (context) => {
        try {
          await context.step('refuse', async () => {
            attempts += 1
            throw new Refusal(refusal)
          })
        } catch (error) {
          seen.push(error)
        }
        await context.step('block', () => (blocked ? never() : Promise.resolve()))
      })
    const durable = await open(register)
    await durable.start('fail', 'job-1', null)
    await until('the step failed', () => seen.length === 1)
    await kill(durable)
    blocked = false
    const next = await open(register)
    await over(next, 'job-1')
    expect(attempts).toBe(1)
    expect(seen).toHaveLength(2)
    for (const error of seen) {
      expect(error).toBeInstanceOf(Refusal)
      expect(error).toMatchObject(refusal)
    }
  })

  test('an outage stays an outage and any other error keeps its message', async () => {
    const seen: unknown[] = []
    const durable = await open((process) =>
      process.register('fail', async (context) => {
        const errors = [
          new Outage({ code: 'site/unreachable', message: 'No answer', remedy: 'Wait.' }),
          new Error('odd'),
        ]
        for (const error of errors)
          await context
            .step('fail', () => Promise.reject(error))
            .catch((thrown: unknown) => seen.push(thrown))
      }),
    )
    await durable.start('fail', 'job-1', null)
    await over(durable, 'job-1')
    expect(seen[0]).toBeInstanceOf(Outage)
    expect(seen[0]).toMatchObject({ code: 'site/unreachable', message: 'No answer', remedy: 'Wait.' })
    expect(seen[1]).toMatchObject({ message: 'odd' })
  })
}

function sleepTests({ open, kill, pass, until, over }: Tools): void {
  test('a sleep lasts as long as asked for', async () => {
    let woke = false
    const durable = await open((process) =>
      process.register('sleep', async (context) => {
        await context.sleep(400)
        await context.step('wake', async () => {
          woke = true
        })
      }),
    )
    await durable.start('sleep', 'job-1', null)
    await pass(200)
    expect(woke).toBe(false)
    await over(durable, 'job-1')
    expect(woke).toBe(true)
  })

  test('a sleep that a crash interrupts lasts no longer because of it', async () => {
    let woke = false
    let asleep = false
    const register = (process: Durable): void =>
      process.register('sleep', async (context) => {
        await context.step('begin', async () => {
          asleep = true
        })
        await context.sleep(60_000)
        woke = true
      })
    const durable = await open(register)
    await durable.start('sleep', 'job-1', null)
    await until('it sleeps', () => asleep)
    await pass(50)
    await kill(durable)
    const next = await open(register)
    // Not passed in full: real implementations cannot wait a minute. Sleeping on is what matters.
    await pass(100)
    expect(woke).toBe(false)
    expect(await next.isRunning('job-1')).toBe(true)
    await next.cancel('job-1')
  })
}

function signalTests({ open, kill, until, over, pass }: Tools): void {
  test('a workflow gets the signals of its topic in order, whether sent before or while it waits', async () => {
    const seen: unknown[] = []
    const durable = await open((process) =>
      process.register('listen', async (context) => {
        for (let index = 0; index < 3; index += 1) seen.push(await context.waitForSignal('answer', 60))
      }),
    )
    await durable.start('listen', 'job-1', null)
    await durable.signal('job-1', 'other topic', 'noise')
    await durable.signal('job-1', 'answer', { value: 1 })
    await durable.signal('job-1', 'answer', 'two')
    await until('two have come', () => seen.length === 2)
    await durable.signal('job-1', 'answer', [3])
    await over(durable, 'job-1')
    expect(seen).toEqual([{ value: 1 }, 'two', [3]])
  })

  test('waiting for a signal ends with null at the timeout', async () => {
    const seen: unknown[] = []
    const durable = await open((process) =>
      process.register('listen', async (context) => {
        seen.push(await context.waitForSignal('answer', 0.2))
      }),
    )
    await durable.start('listen', 'job-1', null)
    await pass(50)
    expect(seen).toEqual([])
    await over(durable, 'job-1')
    expect(seen).toEqual([null])
  })

  test('a signal sent before a crash arrives after it, once', async () => {
    const seen: unknown[] = []
    let blocked = true
    const register = (process: Durable): void =>
      process.register('listen', async (context) => {
        await context.step('block', () => (blocked ? never() : Promise.resolve()))
        const first = await context.waitForSignal('answer', 60)
        const second = await context.waitForSignal('answer', 0.1)
        seen.push([first, second])
      })
    const durable = await open(register)
    await durable.start('listen', 'job-1', null)
    await durable.signal('job-1', 'answer', 'yes')
    await kill(durable)
    blocked = false
    const next = await open(register)
    await over(next, 'job-1')
    expect(seen).toEqual([['yes', null]])
  })

  test('a signal that was received before a crash is not received again after it', async () => {
    const seen: unknown[] = []
    let blocked = true
    const register = (process: Durable): void =>
      process.register('listen', async (context) => {
        const first = await context.waitForSignal('answer', 60)
        seen.push(first)
        await context.step('block', () => (blocked ? never() : Promise.resolve()))
        seen.push(await context.waitForSignal('answer', 0.1))
      })
    const durable = await open(register)
    await durable.start('listen', 'job-1', null)
    await durable.signal('job-1', 'answer', 'yes')
    await until('it was received', () => seen.length === 1)
    await kill(durable)
    blocked = false
    const next = await open(register)
    await over(next, 'job-1')
    expect(seen).toEqual(['yes', 'yes', null])
  })
}

function cancelTests({ open, kill, until, over, pass }: Tools): void {
  /** Blocks in its first step until that is aborted. */
  const cancellable = () => {
    const seen = { steps: [] as string[], reason: null as unknown }
    const register = (process: Durable): void =>
      process.register('work', async (context) => {
        await context.step('first', async (signal) => {
          seen.steps.push('first')
          await new Promise<void>((_, reject) => {
            const stop = (): void => {
              seen.reason = signal.reason
              reject(signal.reason)
            }
            if (signal.aborted) stop()
            signal.addEventListener('abort', stop)
          })
        })
        await context.step('second', async () => {
          seen.steps.push('second')
        })
      })
    return { seen, register }
  }

  test('cancelling aborts the signal of the running step, and no further step begins', async () => {
    const { seen, register } = cancellable()
    const durable = await open(register)
    await durable.start('work', 'job-1', null)
    await until('the first step runs', () => seen.steps.length === 1)
    await durable.cancel('job-1')
    await until('the step was aborted', () => seen.reason !== null)
    await over(durable, 'job-1')
    await pass(100)
    expect(seen.steps).toEqual(['first'])
    expect(present(seen.reason, 'an abort has a reason')).toBeInstanceOf(Error)
  })

  test('a step that ignores its signal is the last one of a cancelled workflow', async () => {
    const steps: string[] = []
    let finish = (): void => {}
    const gate = new Promise<void>((resolve) => (finish = resolve))
    const durable = await open((process) =>
      process.register('work', async (context) => {
        await context.step('first', async () => {
          steps.push('first')
          await gate
        })
        await context.step('second', async () => {
          steps.push('second')
        })
      }),
    )
    await durable.start('work', 'job-1', null)
    await until('the first step runs', () => steps.length === 1)
    await durable.cancel('job-1')
    finish()
    await over(durable, 'job-1')
    await pass(100)
    expect(steps).toEqual(['first'])
  })

  test('a cancelled workflow stays cancelled after a restart', async () => {
    const { seen, register } = cancellable()
    const durable = await open(register)
    await durable.start('work', 'job-1', null)
    await until('the first step runs', () => seen.steps.length === 1)
    await durable.cancel('job-1')
    await kill(durable)
    const next = await open(register)
    await pass(100)
    expect(await next.isRunning('job-1')).toBe(false)
    expect(seen.steps).toEqual(['first'])
  })

  test('a waiting or sleeping workflow can be cancelled too', async () => {
    const steps: string[] = []
    const durable = await open((process) => {
      process.register('wait', async (context) => {
        await context.waitForSignal('answer', 600)
        await context.step('after', async () => {
          steps.push('after waiting')
        })
      })
      process.register('sleep', async (context) => {
        await context.sleep(600_000)
        await context.step('after', async () => {
          steps.push('after sleeping')
        })
      })
    })
    for (const name of ['wait', 'sleep']) await durable.start(name, name, null)
    await pass(50)
    for (const name of ['wait', 'sleep']) await durable.cancel(name)
    for (const name of ['wait', 'sleep']) await over(durable, name)
    await pass(50)
    expect(steps).toEqual([])
  })

  test('cancelling what is over, or was never there, is no error', async () => {
    const durable = await open((process) => process.register('work', async () => {}))
    await durable.start('work', 'job-1', null)
    await over(durable, 'job-1')
    await durable.cancel('job-1')
    await durable.cancel('job-2')
  })
}
