// How every bench says what it measured: one line a figure, the same in a file, and an exit code.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const resultsFile = fileURLToPath(new URL('../../.bench/results.json', import.meta.url))

export type Wanted = { readonly atMost: number } | { readonly atLeast: number }

type Bar = {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly wanted: string
  readonly isMet: boolean
}

export type Bars = {
  /** Prints `bar <name> <value> <unit> (wanted <op> <value>) ok|short`. */
  bar(name: string, value: number, unit: string, wanted: Wanted): void
  /** A figure that could not be measured counts as short, and says why. */
  notMeasured(name: string, unit: string, wanted: Wanted, reason: string): void
  /** A figure that nothing is wanted of. */
  note(name: string, value: number, unit: string): void
  /** Adds the figures to `.bench/results.json` and sets the exit code: 1 when one is short. */
  finish(): Promise<void>
}

export function newBars(bench: string): Bars {
  const bars: (Bar & { readonly reason?: string })[] = []
  const notes: { name: string; value: number; unit: string }[] = []
  return {
    bar(name, value, unit, wanted) {
      const isMet = 'atMost' in wanted ? value <= wanted.atMost : value >= wanted.atLeast
      const words = wordsOf(wanted)
      bars.push({ name, value, unit, wanted: words, isMet })
      process.stdout.write(
        `bar ${name} ${rounded(value)} ${unit} (wanted ${words}) ${isMet ? 'ok' : 'short'}\n`,
      )
    },
    notMeasured(name, unit, wanted, reason) {
      const words = wordsOf(wanted)
      bars.push({ name, value: Number.NaN, unit, wanted: words, isMet: false, reason })
      process.stdout.write(`bar ${name} not-measured ${unit} (wanted ${words}) short\n     ${reason}\n`)
    },
    note(name, value, unit) {
      notes.push({ name, value, unit })
      process.stdout.write(`note ${name} ${rounded(value)} ${unit}\n`)
    },
    async finish() {
      await mkdir(path.dirname(resultsFile), { recursive: true })
      const known: unknown = await readFile(resultsFile, 'utf8').then(JSON.parse, () => ({}))
      const others = typeof known === 'object' && known !== null && !Array.isArray(known) ? known : {}
      const results = { ...others, [bench]: { at: new Date().toISOString(), bars, notes } }
      await writeFile(resultsFile, `${JSON.stringify(results, null, 2)}\n`)
      if (bars.some(({ isMet }) => !isMet)) process.exitCode = 1
    },
  }
}

/** `--name=12` on the command line, or what the bench takes by itself. */
export function numberOption(name: string, otherwise: number): number {
  const given = process.argv.find((word) => word.startsWith(`--${name}=`))
  if (given === undefined) return otherwise
  const value = Number(given.slice(name.length + 3))
  if (!Number.isFinite(value) || value <= 0) throw new Error(`--${name} wants a number above zero`)
  return value
}

const wordsOf = (wanted: Wanted): string =>
  'atMost' in wanted ? `<= ${wanted.atMost}` : `>= ${wanted.atLeast}`

/** `share` 0 to 1: 0.5 is the median. Not for an empty list. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const index = Math.min(sorted.length - 1, Math.floor(share * sorted.length))
  return sorted[index] ?? Number.NaN
}

/** Of an even number of values, the middle between the two in the middle. */
export function median(values: readonly number[]): number {
  const middle = quantile(values, 0.5)
  const below = values.length % 2 === 0 ? quantile(values, 0.5 - 1 / values.length) : middle
  return (middle + below) / 2
}

const rounded = (value: number): string => (Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3))
