import type { DiskKey } from '@understudy/domain/machines/machine'
import { describe, expect, test } from 'vitest'
import { grainBytesFor } from './dirty-bitmaps.ts'
import {
  accessNode,
  checkpointText,
  filterNode,
  newBitmapName,
  newTail,
  ownerDigest,
  parseBitmap,
  parseCheckpoint,
  parseNode,
  scratchFileNode,
  scratchNode,
} from './ownership.ts'

describe('names of ours', () => {
  test('fit into QEMU and say whose they are and what lies below', () => {
    const tail = newTail('p1', 'disk-system')
    for (const name of [filterNode(tail), accessNode(tail), scratchNode(tail), scratchFileNode(tail)])
      expect(name.length).toBeLessThanOrEqual(31)
    expect(parseNode('cbw', filterNode(tail))).toMatchObject({ tail, owner: ownerDigest('p1') })
    expect(parseNode('acc', filterNode(tail))).toBe(null)
    expect(parseNode('cbw', 'disk-system')).toBe(null)
  })

  test('of bitmaps tell owners apart, even when one is called like the beginning of another', () => {
    const other = newBitmapName('p1', 7)
    expect(parseBitmap(other)).toEqual({ trackingId: 'p1', sequence: 7 })
    expect(parseBitmap(newBitmapName(other.slice('us-'.length), 8))).toMatchObject({
      trackingId: other.slice(3),
    })
    expect(parseBitmap('backup-3')).toBe(null)
  })
})

describe('a checkpoint', () => {
  const checkpoint = {
    bitmap: newBitmapName('p1', 3),
    process: '0123456789abcdef',
    disks: new Map([
      ['vda' as DiskKey, 4096],
      ['vd.b' as DiskKey, 512],
    ]),
  }
  test('comes back from its text', () => {
    expect(parseCheckpoint(checkpointText(checkpoint), 'p1')).toEqual(checkpoint)
  })
  test.each([
    ['of another owner', checkpointText(checkpoint), 'p2'],
    ['of another platform', 'never-was', 'p1'],
    ['with a damaged list of disks', `${checkpointText(checkpoint)},x`, 'p1'],
  ])('%s is none', (_what, text, trackingId) => {
    expect(parseCheckpoint(text, trackingId)).toBe(null)
  })
})

test('grains are 4 KiB up to 1 TiB and grow with the disk beyond, so that a bitmap stays at 32 MiB', () => {
  const tebibyte = 2 ** 40
  expect([4096, tebibyte, tebibyte + 512, 5 * tebibyte].map(grainBytesFor)).toEqual([4096, 4096, 8192, 32768])
})
