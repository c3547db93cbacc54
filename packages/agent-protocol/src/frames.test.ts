import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import {
  encodeFrame,
  FRAME_HEADER_BYTES,
  type Frame,
  type FrameSink,
  MOST_READ_BYTES,
  readFrames,
} from './frames.ts'

const KiB = 1024
const frames: readonly Frame[] = [
  { read: 1, offset: 0, content: randomBytes(256 * KiB) },
  { read: 2, offset: 2 ** 45, content: Buffer.alloc(64 * KiB) },
  { read: 4_294_967_295, offset: 4096, content: Buffer.from('understudy '.repeat(2000)) },
  { read: 7, offset: 512, content: Buffer.concat([Buffer.alloc(4095), Buffer.from([1])]) },
  { read: 8, offset: 1, content: randomBytes(1) },
]
const whole = (list: readonly Frame[]): Buffer =>
  Buffer.concat(list.flatMap((frame) => [...encodeFrame(frame)]))

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read(bytes: Buffer, size = bytes.length, sink: Partial<FrameSink> = {}): Promise<Frame[]> {
  const found: Frame[] = []
  await readFrames(inPieces(bytes, Math.max(1, size)), {
    expect: () => {},
    take: (frame) => void found.push(frame),
    ...sink,
  })
  return found
}

const bad = { name: 'Outage', code: 'agent/bad-frame' }

test.each([1, 7, 28, 29, 4096, 10_000_000])(
  'frames come out as they went in, in pieces of %i bytes',
  async (size) => {
    const some = size === 1 ? frames.slice(2) : frames
    const found = await read(whole(some), size)
    expect(found.map(({ read: number, offset }) => [number, offset])).toEqual(
      some.map(({ read: number, offset }) => [number, offset]),
    )
    for (const [index, { content }] of found.entries())
      expect(content.equals(some[index]?.content ?? Buffer.alloc(0)), `frame ${index}`).toBe(true)
  },
)

test('zeros and what repeats take next to nothing', () => {
  const bytes = ({ content }: Frame) =>
    encodeFrame({ read: 1, offset: 0, content }).reduce((sum, part) => sum + part.length, 0)
  expect(frames.map(bytes)).toEqual([
    FRAME_HEADER_BYTES + 256 * KiB,
    FRAME_HEADER_BYTES,
    expect.any(Number),
    expect.any(Number),
    FRAME_HEADER_BYTES + 1,
  ])
  expect(bytes(frames[2] as Frame)).toBeLessThan(500)
})

test('a bit that is flipped anywhere is found, or changes only what the sink is asked about', async () => {
  const [, , text] = frames
  if (!text) throw new Error('there is one')
  const bytes = whole([text])
  for (let at = 0; at < bytes.length; at += 1)
    for (const bit of [0, 5, 7]) {
      const spoiled = Buffer.from(bytes)
      spoiled[at] = (spoiled[at] ?? 0) ^ (1 << bit)
      const sink: Partial<FrameSink> = {
        expect({ read: number, offset, contentBytes }) {
          if (number !== text.read || offset !== text.offset || contentBytes !== text.content.length)
            throw new Error('another piece')
        },
      }
      const outcome = await read(spoiled, spoiled.length, sink).then(
        ([frame]) => (frame?.content.equals(text.content) ? 'unharmed' : 'harmed'),
        () => 'refused',
      )
      expect(outcome, `bit ${bit} of byte ${at}`).not.toBe('harmed')
    }
})

test('a stream that ends in the middle of a frame is refused, and what came before is good', async () => {
  const bytes = whole(frames)
  const found: Frame[] = []
  const cut = bytes.subarray(0, bytes.length - 1)
  await expect(read(cut, 1000, { take: (frame) => void found.push(frame) })).rejects.toMatchObject(bad)
  expect(found).toHaveLength(frames.length - 1)
  await expect(read(bytes.subarray(0, 10))).rejects.toMatchObject(bad)
})

test('lengths that no side writes are refused before anything is kept for them', async () => {
  const header = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(encodeFrame(frames[0] as Frame)[0] as Buffer)
    change(bytes)
    return bytes
  }
  for (const spoiled of [
    header((bytes) => bytes.writeUInt32LE(MOST_READ_BYTES + 1, 12)),
    header((bytes) => bytes.writeUInt32LE(0, 12)),
    header((bytes) => bytes.writeUInt32LE(2 ** 32 - 1, 20)),
    header((bytes) => bytes.writeUInt8(3, 16)),
    header((bytes) => bytes.writeUInt8(1, 18)),
  ])
    await expect(read(spoiled)).rejects.toMatchObject(bad)
})
