// A process that can be killed. Its calls to the outside world never return after that, so nothing that a dead
// process would have done gets done: no catch block, no finally, no next step.

export type CrashPoint = {
  /** Counted from 1 over all calls of all wrapped objects. */
  readonly call: number
  /** `before`: the call never reaches the outside. `after`: its effect is there, but nobody hears of it. */
  readonly moment: 'before' | 'after'
}

export type SimulatedProcess = {
  /** The same object, as the process sees it: every call and everything returned goes through the process. */
  wrap<Outside extends object>(outside: Outside): Outside
  kill(): void
  readonly dead: boolean
  /** Resolves when it dies. */
  readonly died: Promise<void>
  /** How many calls it has made: run once without a crash to learn how many crash points there are. */
  readonly callCount: number
  /** The name of the last call, to print with a failing seed. */
  readonly lastCall: string
}

/** Thrown to a dead process by calls that are not promises, which cannot hang. Nothing is left to catch it usefully. */
export class ProcessDied extends Error {
  override readonly name = 'ProcessDied'
}

/** A process that dies at `crash`, or only when it is killed. */
export function simulatedProcess(crash: CrashPoint | null = null): SimulatedProcess {
  let dead = false
  let callCount = 0
  let lastCall = ''
  let announce = (): void => {}
  const died = new Promise<void>((resolve) => {
    announce = resolve
  })
  const kill = (): void => {
    dead = true
    announce()
  }
  const never = (): Promise<never> => new Promise(() => {})

  const callOutside = (name: string, work: () => unknown): unknown => {
    if (dead) return deadAnswer(name)
    callCount += 1
    lastCall = name
    const mine = callCount
    if (crash?.call === mine && crash.moment === 'before') {
      kill()
      return deadAnswer(name)
    }
    const result = work()
    const crashAfter = crash?.call === mine && crash.moment === 'after'
    if (!(result instanceof Promise)) {
      if (crashAfter) kill()
      return dead ? deadAnswer(name) : wrapValue(result, name)
    }
    return result.then(
      (value) => {
        if (crashAfter) kill()
        return dead ? never() : wrapValue(value, name)
      },
      (error: unknown) => {
        if (crashAfter) kill()
        if (dead) return never()
        throw error
      },
    )
  }
  /** Ports are asynchronous but for a few reads of memory; those throw into the void that a dead process is. */
  const deadAnswer = (name: string): Promise<never> => {
    if (synchronousCalls.has(name.split('.').at(-1) ?? '')) throw new ProcessDied(name)
    return never()
  }

  const wrapValue = (value: unknown, name: string): unknown => {
    if (typeof value !== 'object' || value === null || isPlainData(value)) return value
    if (Array.isArray(value)) return value.map((item) => wrapValue(item, name))
    if (Symbol.asyncIterator in value) return wrapIterable(value as AsyncIterable<unknown>, name)
    return wrapObject(value, name)
  }
  async function* wrapIterable(items: AsyncIterable<unknown>, name: string): AsyncGenerator<unknown> {
    for await (const item of items) {
      if (dead) await never()
      yield wrapValue(item, name)
    }
  }
  /** What is the same object outside is the same one to the process. */
  const wrapped = new WeakMap<object, object>()
  const wrapObject = <Outside extends object>(outside: Outside, name: string): Outside => {
    const known = wrapped.get(outside)
    if (known) return known as Outside
    const proxy = new Proxy(outside, {
      get(target, property) {
        const value: unknown = Reflect.get(target, property)
        const path = name === '' ? String(property) : `${name}.${String(property)}`
        if (typeof value !== 'function') return wrapValue(value, path)
        return (...parameters: unknown[]) => callOutside(path, () => Reflect.apply(value, target, parameters))
      },
    })
    wrapped.set(outside, proxy)
    return proxy
  }

  return {
    wrap: (outside) => wrapObject(outside, ''),
    kill,
    died,
    get dead() {
      return dead
    },
    get callCount() {
      return callCount
    },
    get lastCall() {
      return lastCall
    },
  }
}

/** The only methods of the ports that return no promise. */
const synchronousCalls = new Set([
  'points',
  'watch',
  'changed',
  'map',
  'difference',
  'measured',
  'lagSeen',
  'now',
  'register',
])

/** Rows, buffers, maps of rows: nothing in it can be called. */
function isPlainData(value: object): boolean {
  if (value instanceof Uint8Array || value instanceof Map || value instanceof Set || value instanceof Date)
    return true
  if (value instanceof AbortSignal || value instanceof AbortController) return true
  if (Symbol.asyncIterator in value) return false
  return Object.values(value).every(
    (member) =>
      typeof member !== 'function' && (typeof member !== 'object' || member === null || isPlainData(member)),
  )
}
