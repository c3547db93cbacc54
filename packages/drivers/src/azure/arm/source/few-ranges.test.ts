import { createHttpHeaders, type HttpClient } from '@azure/core-rest-pipeline'
import { GiB, KiB, MiB } from '@understudy/base/bytes'
import type { DiskKey } from '@understudy/domain/machines/machine'
import { openOne, request } from '@understudy/simulator/contracts/platform-harness'
import { expect, test } from 'vitest'
import { testSite } from '../test-site.ts'
import { azureSource } from './azure-source.ts'
import { type ChangedPages, gatherPages } from './few-ranges.ts'
import { snapshotCalls } from './snapshot-calls.ts'

const everySecondPage = (count: number, stepBytes = 1024) =>
  Array.from({ length: count }, (_, index) => ({ offset: index * stepBytes, bytes: 512 }))

function gather(pages: ChangedPages, most?: number): ChangedPages {
  const gathered = gatherPages(most)
  gathered.add(pages)
  return gathered.all()
}

test('few ranges stay as they are', () => {
  const written = everySecondPage(3)
  const cleared = [{ offset: MiB, bytes: 512 }]
  expect(gather({ written: written.toReversed(), cleared })).toEqual({ written, cleared })
})

test('of too many all are inside of those that are left, cleared ones as well', () => {
  const written = everySecondPage(10, MiB)
  const cleared = [
    { offset: 9 * MiB + KiB, bytes: 512 },
    { offset: GiB, bytes: 512 },
  ]
  const few = gather({ written, cleared }, 4)
  expect(few).toEqual({
    written: [
      { offset: 0, bytes: 9 * MiB + KiB + 512 },
      { offset: GiB, bytes: 512 },
    ],
    cleared: [],
  })
})

test('a list of many parts takes bounded memory', async () => {
  const parts = 3
  const each = 90_000
  const client: HttpClient = {
    async sendRequest(asked) {
      const part = Number(new URL(asked.url).searchParams.get('marker') ?? 0)
      const ranges = everySecondPage(each).map(({ offset }) => {
        const start = offset + part * each * 1024
        return `<PageRange><Start>${start}</Start><End>${start + 511}</End></PageRange>`
      })
      const next = part + 1 < parts ? part + 1 : ''
      const bodyAsText = `<PageList>${ranges.join('')}<NextMarker>${next}</NextMarker></PageList>`
      return { request: asked, status: 200, headers: createHttpHeaders(), bodyAsText }
    },
  }
  const calls = snapshotCalls({ client, pause: async () => {} })
  const listed = await calls.changedPages('https://here/a?b', 'https://here/c?d', { offset: 0, bytes: GiB })
  expect(listed).toEqual({ written: [{ offset: 0, bytes: (parts * each - 1) * 1024 + 512 }], cleared: [] })
})

test('a disk that was written in very many places is compared all the same', async () => {
  const { source, sourceParts, addMachine } = await testSite()
  const ref = await addMachine('web', [200 * MiB])
  const first = await openOne(source, request(ref, null))
  await first.point.release(true)
  const written = everySecondPage(180_000)
  const pages = { ...sourceParts.pages, changedPages: async () => ({ written, cleared: [] }) }
  const opened = await azureSource({ ...sourceParts, pages }).openPoint({
    machines: [request(ref, first.checkpoint)],
    consistency: 'crash',
  })
  if (opened.kind !== 'opened') throw new Error('it is tracked')
  const disk = opened.point.machines[0]?.disks.find(({ key }) => key === ('os' as DiskKey))
  let found = 0
  for await (const { kind } of disk?.changed() ?? []) found += kind === 'data' ? 1 : 0
  expect(found).toBe(180_000)
  await opened.point.release(false)
})
