import { randomBytes } from 'node:crypto'
import { KiB, MiB, TiB } from '@understudy/base/bytes'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { disksAreEqual } from './compare.ts'
import { type CopySink, type CopyTotals, copyExtents } from './copy-extents.ts'
import type { BlockReader, MappedExtent } from './device.ts'
import { memoryDevice } from './memory-device.ts'

const MAP_ALL = (disk: BlockReader): AsyncIterable<MappedExtent> | MappedExtent[] =>
  disk.map?.({ offset: 0, bytes: disk.bytes }) ?? []
const nothing: CopySink = { write: () => Promise.resolve(), zero: () => Promise.resolve() }

describe('copyExtents', () => {
  test('makes the copy equal to the source, for any content, extents and request size', async () => {
    const anyWrite = fc.tuple(fc.nat(510), fc.integer({ min: 1, max: 20 }), fc.boolean())
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyWrite, { maxLength: 25 }),
        fc.constantFrom(4, 16, 256),
        fc.integer({ min: 1, max: 5 }),
        fc.boolean(),
        fc.boolean(),
        async (writes, requestKiB, inFlight, detectZeros, reuseBuffers) => {
          const plain = memoryDevice(512 * KiB)
          for (const [at, length, filled] of writes) {
            const data = filled ? randomBytes(length * 512) : Buffer.alloc(length * 512)
            await plain.write(Math.min(at * 1024, plain.bytes - data.length), data)
          }
          const readInto = async (offset: number, target: Buffer): Promise<void> => {
            const data = await plain.read(offset, target.length)
            await new Promise((resolve) => setImmediate(resolve))
            data.copy(target)
          }
          const from = { ...plain, readInto }
          const to = memoryDevice(from.bytes)
          await to.write(0, randomBytes(from.bytes))
          const options = { requestBytes: requestKiB * KiB, inFlight, detectZeros, reuseBuffers }
          const totals = await copyExtents({ from, to, extents: MAP_ALL(from), ...options })
          expect(await disksAreEqual(from, to)).toBe(true)
          expect(totals.dataBytes + totals.zeroBytes).toBe(from.bytes)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('writes only the extents that it was given', async () => {
    const from = memoryDevice(MiB)
    const to = memoryDevice(MiB)
    await from.write(0, Buffer.alloc(MiB, 1))
    await to.write(0, Buffer.alloc(MiB, 2))
    const extents: MappedExtent[] = [
      { offset: 512, bytes: 512, kind: 'data' },
      { offset: 8192, bytes: 4096, kind: 'zero' },
    ]
    const totals = await copyExtents({ from, to, extents })
    expect(totals).toEqual({ readBytes: 512, dataBytes: 512, zeroBytes: 4096 })
    const expected = Buffer.alloc(MiB, 2)
    expected.fill(1, 512, 1024).fill(0, 8192, 12288)
    expect((await to.read(0, MiB)).equals(expected)).toBe(true)
  })

  test('finds zeros at 4 KiB grains in what was read, and costs nothing for a tebibyte of holes', async () => {
    const from = memoryDevice(TiB)
    await from.write(512 * 1024 * MiB, Buffer.concat([Buffer.alloc(60 * KiB), randomBytes(4 * KiB)]))
    const totals = await copyExtents({ from, to: nothing, extents: MAP_ALL(from) })
    expect(totals).toEqual({ readBytes: 64 * KiB, dataBytes: 4 * KiB, zeroBytes: TiB - 4 * KiB })
  })

  test('holds no more than its budget in memory, and uses all of it', async () => {
    let heldBytes = 0
    let mostBytes = 0
    const from: BlockReader = {
      bytes: 64 * MiB,
      read: (_, bytes) => {
        heldBytes += bytes
        mostBytes = Math.max(mostBytes, heldBytes)
        return Promise.resolve(Buffer.alloc(bytes, 1))
      },
      close: () => Promise.resolve(),
    }
    const to: CopySink = {
      ...nothing,
      write: async (_, data) => {
        await new Promise((resolve) => setImmediate(resolve))
        heldBytes -= data.length
      },
    }
    const progress: CopyTotals[] = []
    await copyExtents({
      from,
      to,
      extents: [{ offset: 0, bytes: from.bytes, kind: 'data' }],
      requestBytes: 128 * KiB,
      inFlight: 8,
      onProgress: (totals) => progress.push(totals),
    })
    expect(mostBytes).toBe(MiB)
    expect(heldBytes).toBe(0)
    expect(progress.at(-1)).toEqual({ readBytes: 64 * MiB, dataBytes: 64 * MiB, zeroBytes: 0 })
  })

  test.each(['read', 'write', 'extents'])(
    'throws the first failure of %s only after everything under way has settled',
    async (where) => {
      let underWay = 0
      let started = 0
      const step = async (fails: boolean): Promise<void> => {
        underWay += 1
        await new Promise((resolve) => setImmediate(resolve))
        underWay -= 1
        if (fails) throw new Error(`${where} failed`)
      }
      const from: BlockReader = {
        bytes: 64 * MiB,
        read: async (offset, bytes) => {
          started += 1
          await step(where === 'read' && offset === 2 * MiB)
          return Buffer.alloc(bytes, 1)
        },
        close: () => Promise.resolve(),
      }
      const to: CopySink = { ...nothing, write: (offset) => step(where === 'write' && offset === 2 * MiB) }
      function* extents(): Generator<MappedExtent> {
        yield { offset: 0, bytes: 4 * MiB, kind: 'data' }
        if (where === 'extents') throw new Error('extents failed')
        yield { offset: 4 * MiB, bytes: 60 * MiB, kind: 'data' }
      }
      await expect(copyExtents({ from, to, extents: extents() })).rejects.toThrow(`${where} failed`)
      expect(underWay).toBe(0)
      expect(started).toBeLessThan(40)
    },
  )

  test('stops when the caller aborts, and tells both ends', async () => {
    const stop = new AbortController()
    const disk = memoryDevice(64 * MiB)
    const told: boolean[] = []
    const to: CopySink = {
      zero: () => Promise.resolve(),
      write: async (_, __, signal) => {
        stop.abort(new DOMException('enough', 'AbortError'))
        told.push(signal?.aborted === true)
      },
    }
    const from = { ...disk, read: (_: number, bytes: number) => Promise.resolve(Buffer.alloc(bytes, 1)) }
    const extents: MappedExtent[] = [{ offset: 0, bytes: disk.bytes, kind: 'data' }]
    await expect(copyExtents({ from, to, extents, signal: stop.signal })).rejects.toMatchObject({
      name: 'AbortError',
    })
    expect(told.every(Boolean)).toBe(true)
    expect(told.length).toBeLessThan(20)
    await expect(copyExtents({ from, to, extents, signal: stop.signal })).rejects.toMatchObject({
      name: 'AbortError',
    })
  })
})
