// What an event knows beside its message, for a person. Pure.
import { formatBytes } from '@understudy/base/bytes'
import type { Event } from '@understudy/contract/event'
import { formatDuration, withLocalTimes } from '../../lib/format.ts'

/** `disk 32.0 MiB · forecast 1 s`. What has parts of its own is in the export, not in a line. `names`: of what has an id. */
export function wordsOfFacts(facts: Event['facts'], names: ReadonlyMap<string, string> = new Map()): string {
  return Object.entries(facts)
    .flatMap(([name, value]) => {
      const known = typeof value === 'string' && name.endsWith('Id') ? names.get(value) : undefined
      if (known !== undefined) return [`${spaced(name.slice(0, -2))} ${known}`]
      const words = wordsOf(name, value)
      return words === null ? [] : [`${spaced(name)} ${words}`]
    })
    .join(' · ')
}

function wordsOf(name: string, value: unknown): string | null {
  if (typeof value === 'number' && name.endsWith('Bytes')) return formatBytes(value)
  if (typeof value === 'number' && name.endsWith('Seconds')) return formatDuration(value)
  if (Array.isArray(value)) return wordsOfList(name, value)
  if (typeof value === 'string') return withLocalTimes(value)
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null
}

function wordsOfList(name: string, values: readonly unknown[]): string | null {
  if (values.length === 0) return 'none'
  if (name === 'adapters') return `${values.length} mapped anew`
  return values.every((value) => typeof value === 'string') ? values.join(', ') : null
}

/** `forecastSeconds` has its unit in its value. */
const spaced = (name: string): string =>
  name.replace(/(?<=.)(Bytes|Seconds)$/, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
