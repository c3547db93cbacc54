import { KiB, MiB } from '@understudy/base/bytes'
import type { Extent } from '@understudy/block/device'
import { expect, test } from 'vitest'
import { askForSaved, DEPTH_CONTEXT } from './saved-content.ts'

/** A scratch in which these ranges are allocated; `asked` is what it was asked, `answer` lets it answer. */
function fakeScratch(allocated: readonly Extent[]) {
  const asked: Extent[] = []
  let letGo: (() => void)[] = []
  return {
    asked,
    answer() {
      for (const go of letGo.splice(0)) go()
    },
    async *blockStatus(context: string, range: Extent) {
      expect(context).toBe(DEPTH_CONTEXT)
      asked.push(range)
      await new Promise<void>((resolve) => {
        letGo = [...letGo, resolve]
      })
      let offset = range.offset
      const end = range.offset + range.bytes
      for (const { offset: from, bytes } of allocated.filter((each) => each.offset + each.bytes > offset)) {
        if (from >= end) break
        if (from > offset) yield { offset, bytes: from - offset, flags: 0 }
        yield {
          offset: Math.max(from, offset),
          bytes: Math.min(end, from + bytes) - Math.max(from, offset),
          flags: 1,
        }
        offset = from + bytes
      }
      if (offset < end) yield { offset, bytes: end - offset, flags: 0 }
    },
  }
}

const piece = (offset: number): Extent => ({ offset, bytes: 256 * KiB })

test('a range is told from its neighbours, though they are asked for together', async () => {
  const scratch = fakeScratch([{ offset: 320 * KiB, bytes: 64 * KiB }])
  const { has } = askForSaved(scratch)
  const first = has(piece(MiB))
  const others = [0, 256 * KiB, 512 * KiB, 100 * MiB].map((offset) => has(piece(offset)))
  scratch.answer()
  expect(await first).toBe(false)
  await expect.poll(() => scratch.asked.length).toBe(3)
  scratch.answer()
  expect(await Promise.all(others)).toEqual([false, true, false, false])
  expect(scratch.asked.slice(1)).toEqual([{ offset: 0, bytes: 768 * KiB }, piece(100 * MiB)])
})

test('no answer is given that was on its way before the question', async () => {
  const scratch = fakeScratch([])
  const { has } = askForSaved(scratch)
  const before = has(piece(0))
  const after = has(piece(0))
  expect(scratch.asked).toHaveLength(1)
  scratch.answer()
  await before
  await expect.poll(() => scratch.asked.length).toBe(2)
  scratch.answer()
  expect(await after).toBe(false)
})

test('a scratch that cannot be asked fails everybody who waits for it, and the next question is asked anew', async () => {
  let works = false
  const { has } = askForSaved({
    async *blockStatus(_, { offset, bytes }) {
      if (!works) throw new Error('gone')
      yield { offset, bytes, flags: 0 }
    },
  })
  const both = [has(piece(0)), has(piece(MiB))]
  expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  works = true
  expect(await has(piece(0))).toBe(false)
})

test('reads that are under way are waited for, eight at the most, and the last one for nobody', async () => {
  const scratch = fakeScratch([])
  const { reading, has } = askForSaved(scratch)
  const reads = Array.from({ length: 10 }, () => Promise.withResolvers<void>())
  const verdicts = reads.map(async ({ promise }, index) => {
    await reading(() => promise)
    return has(piece(index * 256 * KiB))
  })
  for (const { resolve } of reads.slice(0, 4)) resolve()
  await new Promise(setImmediate)
  expect(scratch.asked).toEqual([])
  reads[4]?.resolve()
  await expect.poll(() => scratch.asked.length).toBe(1)
  expect(scratch.asked).toEqual([{ offset: 0, bytes: 5 * 256 * KiB }])
  for (const { resolve } of reads.slice(5)) resolve()
  scratch.answer()
  await expect.poll(() => scratch.asked.length).toBe(2)
  scratch.answer()
  expect(new Set(await Promise.all(verdicts))).toEqual(new Set([false]))
})

test('whoever stops waiting is let go at once, and the others get their answer', async () => {
  const scratch = fakeScratch([])
  const { has } = askForSaved(scratch)
  const stop = new AbortController()
  const first = has(piece(0), stop.signal)
  const other = has(piece(MiB))
  stop.abort(new Error('enough'))
  await expect(first).rejects.toThrow('enough')
  await expect(has(piece(0), stop.signal)).rejects.toThrow('enough')
  scratch.answer()
  await expect.poll(() => scratch.asked.length).toBe(2)
  scratch.answer()
  expect(await other).toBe(false)
})
