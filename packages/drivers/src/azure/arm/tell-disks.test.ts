import { MiB } from '@understudy/base/bytes'
import type { BootProgress } from '@understudy/engine/ports/target-platform'
import { testBoot, testRun } from '@understudy/simulator/contracts/platform-harness'
import { expect, test } from 'vitest'
import { OWN_NETWORK } from './site-networks.ts'
import { tellDisks } from './tell-disks.ts'
import { testSite } from './test-site.ts'

const twoDisks = () =>
  testBoot([Buffer.alloc(2 * MiB, 3), Buffer.alloc(MiB, 4)], { runId: testRun('told'), network: OWN_NETWORK })
    .spec

test('each part is called by its disks, and how far is told while one is copied', () => {
  const told: BootProgress[] = []
  const disks = tellDisks({ ...twoDisks(), onProgress: (now) => told.push(now) })
  disks.copied(0, 0)
  disks.copied(1, MiB)
  disks.making(1)
  disks.copied(0, MiB)
  disks.making(0)
  disks.made(1)
  disks.made(0)
  expect(told).toEqual([
    { doing: 'Copying disk 1 of 2', bytes: { doneBytes: 0, totalBytes: 3 * MiB } },
    { doing: 'Copying disks 1 and 2 of 2', bytes: { doneBytes: MiB, totalBytes: 3 * MiB } },
    {
      doing: 'Copying disk 1 of 2; Azure makes managed disk 2 of 2',
      bytes: { doneBytes: MiB, totalBytes: 3 * MiB },
    },
    {
      doing: 'Copying disk 1 of 2; Azure makes managed disk 2 of 2',
      bytes: { doneBytes: 2 * MiB, totalBytes: 3 * MiB },
    },
    { doing: 'Azure makes managed disks 1 and 2 of 2', bytes: null },
    { doing: 'Azure makes managed disk 1 of 2', bytes: null },
  ])
})

test('a boot tells all its parts, to the end of the copy, and says that its disks are whole', async () => {
  const site = await testSite()
  const told: BootProgress[] = []
  const running = await site.target.boot({ ...twoDisks(), onProgress: (now) => told.push(now) })
  const parts = told.map(({ doing }) => doing)
  expect(parts.some((part) => part.startsWith('Copying disk'))).toBe(true)
  expect(parts.some((part) => part.includes('Azure makes managed disk'))).toBe(true)
  expect(parts.slice(-2)).toEqual(['Azure makes the adapters and the machine', `Starting ${running.name}`])
  const shares = told.flatMap(({ bytes }) => (bytes === null ? [] : [bytes.doneBytes]))
  expect(shares).toEqual(shares.toSorted((a, b) => a - b))
  expect(Math.max(...shares)).toBeGreaterThanOrEqual(2 * MiB)
  expect(running.isWhole).toBe(true)
})
