import { createHash } from 'node:crypto'
import { MiB } from '@understudy/base/bytes'
import type { BlockReader } from '@understudy/block/device'
import { describe, expect, test } from 'vitest'
import { chainAreaBytes, chainPartitionType, sectorBytes, toChainHeader } from './chain-layout.ts'
import { toPartitionTable } from './partition-table.ts'
import { verifyChain } from './verify-chain.ts'

const slots = 7
const areaOffset = MiB

/** Disks with the records 1..`count`, as the guest writes them. */
function disksWithRecords(count: number, tracks = 2): Buffer[] {
  const table = toPartitionTable([
    { type: chainPartitionType, offset: areaOffset, bytes: chainAreaBytes, active: false },
  ])
  const disks = Array.from({ length: tracks }, (_, track) => {
    const disk = Buffer.alloc(areaOffset + chainAreaBytes)
    table.copy(disk)
    toChainHeader({ track, tracks, slots }).copy(disk, areaOffset)
    return disk
  })
  let hash = '0'.repeat(64)
  for (let number = 1; number <= count; number += 1) {
    const track = (number - 1) % tracks
    const body = `record ${number} track ${track} previous ${hash} boot b1 uptime 1.${number}`
    hash = createHash('sha256').update(body).digest('hex')
    const sector = disks[track]?.subarray(offsetOf(number, tracks), offsetOf(number, tracks) + sectorBytes)
    sector?.fill(0).write(`${body} sha256 ${hash}\n`)
  }
  return disks
}

const offsetOf = (number: number, tracks = 2): number =>
  areaOffset + sectorBytes * (1 + (Math.floor((number - 1) / tracks) % slots))

const toReader = (disk: Buffer): BlockReader => ({
  bytes: disk.length,
  read: async (offset, bytes) => Buffer.from(disk.subarray(offset, offset + bytes)),
  close: async () => {},
})
const judge = (disks: readonly Buffer[]) => verifyChain(disks.map(toReader))

describe('a chain of records over the disks of a machine', () => {
  test.each([0, 1, 2, 5, 14, 15, 16, 100])(
    'is whole after %i records, also when the ring has gone round',
    async (count) => {
      const verdict = await judge(disksWithRecords(count))
      expect(verdict).toMatchObject({ ok: true, reason: null, newestRecord: count })
    },
  )

  test('is whole on a single disk and in any order of the disks', async () => {
    expect(await judge(disksWithRecords(20, 1))).toMatchObject({
      ok: true,
      newestRecord: 20,
      recordsPerTrack: [7],
    })
    expect(await judge(disksWithRecords(5).reverse())).toMatchObject({ ok: true, recordsPerTrack: [3, 2] })
  })

  test('is broken when one disk is older than the other', async () => {
    const [system] = disksWithRecords(9)
    const [, data] = disksWithRecords(6)
    const verdict = await judge([system, data].filter((disk) => disk !== undefined))
    expect(verdict).toMatchObject({ ok: false, reason: 'record 8 is missing, though record 9 is there' })
  })

  test('is broken when one disk is older and the ring has gone round', async () => {
    const [system] = disksWithRecords(29)
    const [, data] = disksWithRecords(26)
    expect((await judge([system, data].filter((disk) => disk !== undefined))).ok).toBe(false)
  })

  const damages: readonly [string, (disks: Buffer[]) => void, RegExp][] = [
    [
      'a record is lost',
      (disks) => disks[1]?.fill(0, offsetOf(4), offsetOf(4) + sectorBytes),
      /record 4 is missing/,
    ],
    [
      'a byte of a record has changed',
      (disks) => disks[0]?.write('X', offsetOf(3) + 26 + 64 + 6),
      /hash of record 3 is wrong/,
    ],
    [
      'a record is torn',
      (disks) => disks[0]?.fill(0, offsetOf(5) + 100, offsetOf(5) + sectorBytes),
      /no whole record/,
    ],
    [
      'records have changed places',
      (disks) => disks[0]?.copy(disks[0], offsetOf(3), offsetOf(5), offsetOf(5) + sectorBytes),
      /lies in slot/,
    ],
    ['a disk is missing', (disks) => disks.pop(), /hold the tracks 0 of 2/],
    ['there is no chain', (disks) => disks.splice(0, 2, Buffer.alloc(4096)), /no disk has a chain area/],
  ]
  test.each(damages)('is broken when %s', async (_, damage, reason) => {
    const disks = disksWithRecords(6)
    damage(disks)
    const verdict = await judge(disks)
    expect(verdict.ok).toBe(false)
    expect(verdict.reason).toMatch(reason)
  })

  test('is broken when a record was made anew over another history', async () => {
    const disks = disksWithRecords(6)
    const body = `record 6 track 1 previous ${'a'.repeat(64)} boot b1 uptime 2`
    const hash = createHash('sha256').update(body).digest('hex')
    disks[1]?.fill(0, offsetOf(6), offsetOf(6) + sectorBytes).write(`${body} sha256 ${hash}\n`, offsetOf(6))
    expect((await judge(disks)).reason).toBe('record 6 does not follow the one before')
  })
})
