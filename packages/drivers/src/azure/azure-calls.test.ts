// Whose fault it is when an answer cannot be read: of what answers, or ours.
import type { ContainerClient } from '@azure/storage-blob'
import { InvariantError } from '@understudy/base/errors'
import { expect, test } from 'vitest'
import { azureCalls } from './azure-calls.ts'

/** Whatever is asked of it, `answer` comes. */
const clientThat = (answer: () => Promise<unknown>): ContainerClient => {
  const blob = { download: answer, upload: answer, getProperties: answer, createSnapshot: answer }
  const list = () => ({ [Symbol.asyncIterator]: () => ({ next: answer }) })
  return {
    getBlockBlobClient: () => blob,
    getPageBlobClient: () => ({ ...blob, listPageRanges: list, listPageRangesDiff: list }),
    listBlobsFlat: list,
  } as unknown as ContainerClient
}

async function first<Item>(items: AsyncIterable<Item>): Promise<void> {
  for await (const _ of items) return
}

test('an answer without what all of Azure have is none of Azure Storage', async () => {
  const calls = azureCalls(clientThat(async () => ({})))
  const file = { body: Buffer.from('{}'), metadata: {} }
  for (const ask of [
    () => calls.get('a'),
    () => calls.put('a', file, 'any'),
    () => calls.pageFacts('a'),
    () => calls.takeSnapshot('a'),
  ])
    await expect(ask()).rejects.toMatchObject({ name: 'Refusal', code: 'azure/not-storage' })
})

test("a list that Microsoft's client stumbles over is none of Azure Storage", async () => {
  const calls = azureCalls(
    clientThat(async () => {
      throw new TypeError("Cannot read properties of undefined (reading 'segment')")
    }),
  )
  const page = { name: 'd', snapshot: null }
  const whole = { offset: 0, bytes: 512 }
  const lists: AsyncIterable<unknown>[] = [
    calls.list('', {}),
    calls.pageRanges(page, whole),
    calls.changedPages(page, '2026-01-01', whole),
  ]
  for (const list of lists)
    await expect(first(list)).rejects.toMatchObject({ name: 'Refusal', code: 'azure/not-storage' })
})

test.each([
  ['a broken invariant', new InvariantError('numbers of points ascend')],
  ['what cannot be asked at all', Object.assign(new TypeError('Invalid URL'), { code: 'ERR_INVALID_URL' })],
])('%s stays our fault, and is no wrong address', async (_, fault) => {
  const calls = azureCalls(
    clientThat(async () => {
      throw fault
    }),
  )
  await expect(calls.get('a')).rejects.toBe(fault)
  await expect(calls.takeSnapshot('a')).rejects.toBe(fault)
  await expect(first(calls.list('', {}))).rejects.toBe(fault)
})
