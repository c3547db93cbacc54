// What can go wrong with a call to a platform, on command or by chance.
import { Outage } from '@understudy/base/errors'
import type { SeededRandom } from './seeded-random.ts'

export type Faults = {
  /** Nothing answers: every call is an outage until it is switched off. */
  siteDown: boolean
  /** The next `times` calls of this name fail before they have any effect. */
  failNext(call: string, times?: number, error?: Error): void
  /** The next call of this name takes effect, but its answer is lost. */
  loseAnswer(call: string): void
  /** Every call of this name (or of all: `*`) fails with this probability, half of them after having taken effect. */
  failByChance(call: string, probability: number): void
  /** Calls of this name do not return until their signal aborts. Returns how to let them go. */
  hang(call: string): () => void
  /** How often each call was made. */
  readonly calls: ReadonlyMap<string, number>
}

export type FaultInjection = {
  readonly faults: Faults
  /** The object with every method going through the faults, as `<prefix>.<method>`. */
  inject<Port extends object>(prefix: string, port: Port): Port
}

export function faultInjection(random: SeededRandom): FaultInjection {
  const failing = new Map<string, Error[]>()
  const losing = new Map<string, number>()
  const chances = new Map<string, number>()
  const hanging = new Map<string, Promise<void>>()
  const calls = new Map<string, number>()
  const faults: Faults = {
    siteDown: false,
    calls,
    failNext(call, times = 1, error) {
      const list = failing.get(call) ?? []
      for (let index = 0; index < times; index += 1) list.push(error ?? brokenCall(call))
      failing.set(call, list)
    },
    loseAnswer: (call) => losing.set(call, (losing.get(call) ?? 0) + 1),
    failByChance: (call, probability) => chances.set(call, probability),
    hang(call) {
      let release = (): void => {}
      hanging.set(call, new Promise((resolve) => (release = resolve)))
      return () => {
        hanging.delete(call)
        release()
      }
    },
  }
  const strikes = (call: string): boolean => random.chance(chances.get(call) ?? chances.get('*') ?? 0)

  const before = async (call: string, signal: AbortSignal | undefined): Promise<void> => {
    calls.set(call, (calls.get(call) ?? 0) + 1)
    signal?.throwIfAborted()
    const gate = hanging.get(call)
    if (gate !== undefined) await Promise.race([gate, aborted(signal)])
    const error = failing.get(call)?.shift()
    if (error) throw error
    if (faults.siteDown) throw siteDown(call)
    if (strikes(call) && random.chance(0.5)) throw brokenCall(call)
  }
  const after = (call: string): void => {
    const lost = losing.get(call) ?? 0
    if (lost > 0) losing.set(call, lost - 1)
    if (lost > 0 || (strikes(call) && random.chance(0.5))) throw brokenCall(call)
  }

  return {
    faults,
    inject: (prefix, port) =>
      new Proxy(port, {
        get(target, property) {
          const value: unknown = Reflect.get(target, property)
          if (typeof value !== 'function' || synchronous.has(String(property))) return value
          const call = `${prefix}.${String(property)}`
          return async (...parameters: unknown[]) => {
            await before(call, findSignal(parameters))
            const result: unknown = await Reflect.apply(value, target, parameters)
            after(call)
            return result
          }
        },
      }),
  }
}

/** `watch` only gives hints, `changed` and `map` yield, and closing always succeeds. */
const synchronous = new Set(['watch', 'changed', 'map', 'close'])

function findSignal(parameters: readonly unknown[]): AbortSignal | undefined {
  for (const parameter of parameters) {
    if (parameter instanceof AbortSignal) return parameter
    if (typeof parameter === 'object' && parameter !== null && 'signal' in parameter) {
      const { signal } = parameter
      if (signal instanceof AbortSignal) return signal
    }
  }
  return undefined
}

const aborted = (signal: AbortSignal | undefined): Promise<never> =>
  new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason)
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

const brokenCall = (call: string): Outage =>
  new Outage({
    code: 'simulated/broken-call',
    message: `${call} failed, as the test asked it to`,
    remedy: 'Try again.',
  })

const siteDown = (call: string): Outage =>
  new Outage({
    code: 'site/unreachable',
    message: `The site does not answer ${call}`,
    remedy: 'Check the network and the power of the site.',
  })
