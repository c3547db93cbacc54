// Whether the storage does what Azure does. An emulator that answers a question it does not understand with a wrong list would
// cost content, silently; so we ask one whose answer we know.
import { randomUUID } from 'node:crypto'
import { MiB } from '@understudy/base/bytes'
import type { StorageCalls } from './storage-calls.ts'

/** True when the pages that changed since a snapshot can be asked for. Leaves nothing behind. */
export async function probePageDiff(calls: StorageCalls, signal?: AbortSignal): Promise<boolean> {
  const name = `probes/${randomUUID()}`
  const write = { fence: 1 }
  if ((await calls.createPages(name, { bytes: MiB, metadata: {}, ...write }, signal)) === null) return false
  try {
    await calls.putPages(name, { ...write, offset: 0, data: Buffer.alloc(1024, 1) }, signal)
    const { snapshot } = await calls.takeSnapshot(name, signal)
    await calls.clearPages(name, { ...write, offset: 0, bytes: 512 }, signal)
    await calls.putPages(name, { ...write, offset: 4096, data: Buffer.alloc(512, 2) }, signal)
    const found: string[] = []
    const range = { offset: 0, bytes: MiB }
    for await (const { offset, bytes, isCleared } of calls.changedPages(
      { name, snapshot: null },
      snapshot,
      range,
      signal,
    ))
      found.push(`${isCleared ? 'cleared' : 'written'} ${offset} ${bytes}`)
    return found.sort().join() === 'cleared 0 512,written 4096 512'
  } finally {
    await calls.remove(name, {})
  }
}
