import { expect, test } from 'vitest'
import { ProcessDied, simulatedProcess } from './simulated-process.ts'

/** A notebook outside the process, which survives it. */
function notebook() {
  const lines: string[] = []
  return {
    lines,
    outside: {
      async write(line: string): Promise<number> {
        lines.push(line)
        return lines.length
      },
      async fail(): Promise<void> {
        throw new Error('no more paper')
      },
      async open() {
        return { title: 'Notes', append: async (line: string) => void lines.push(line), read: readLines }
      },
      points: (): readonly string[] => lines,
    },
  }
  async function* readLines() {
    yield* lines
  }
}

/** True when the promise has not settled after everything else has. */
async function hangs(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  const mark = (): void => {
    settled = true
  }
  promise.then(mark, mark)
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
  return !settled
}

test('a living process sees the outside as it is: results, errors, objects that are returned, what they yield', async () => {
  const { outside, lines } = notebook()
  const process = simulatedProcess()
  const seen = process.wrap(outside)
  expect(await seen.write('one')).toBe(1)
  await expect(seen.fail()).rejects.toThrow('no more paper')
  const opened = await seen.open()
  await opened.append('two')
  expect(opened.title).toBe('Notes')
  const read: string[] = []
  for await (const line of opened.read()) read.push(line)
  expect(read).toEqual(['one', 'two'])
  expect(seen.points()).toEqual(lines)
  expect(process.callCount).toBe(6)
})

test('a crash before a call leaves no effect, one after it leaves the effect and no answer', async () => {
  for (const [moment, left] of [
    ['before', ['one']],
    ['after', ['one', 'two']],
  ] as const) {
    const { outside, lines } = notebook()
    const process = simulatedProcess({ call: 2, moment })
    const seen = process.wrap(outside)
    await seen.write('one')
    expect(process.dead).toBe(false)
    expect(await hangs(seen.write('two'))).toBe(true)
    expect(process.dead).toBe(true)
    await process.died
    expect(lines).toEqual(left)
    expect(process.lastCall).toBe('write')
  }
})

test('a dead process runs no catch block and no finally, and nothing that it still calls has an effect', async () => {
  const { outside, lines } = notebook()
  const process = simulatedProcess()
  const seen = process.wrap(outside)
  const opened = await seen.open()
  const tidied: string[] = []
  let release = (): void => {}
  const gate = new Promise<void>((resolve) => (release = resolve))
  const work = (async () => {
    try {
      await gate
      await seen.write('after death')
    } catch {
      tidied.push('catch')
    } finally {
      tidied.push('finally')
    }
  })()
  process.kill()
  release()
  expect(await hangs(work)).toBe(true)
  expect(await hangs(opened.append('after death'))).toBe(true)
  expect(() => seen.points()).toThrow(ProcessDied)
  expect(lines).toEqual([])
  expect(tidied).toEqual([])
})

test('a call under way when the process dies is never answered', async () => {
  let answer = (): void => {}
  const process = simulatedProcess()
  const seen = process.wrap({ slow: () => new Promise<void>((resolve) => (answer = resolve)) })
  const call = seen.slow()
  process.kill()
  answer()
  expect(await hangs(call)).toBe(true)
})
