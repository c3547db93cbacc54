// What we must know of a run beyond its machine's definition. It lies in the machine's folder: `us-run.json`.
import { join } from 'node:path'
import type { RunId } from '@understudy/domain/failover/failover'
import { fieldsOf } from './checked-fields.ts'
import type { Host } from './host.ts'

export type RunRecord = {
  readonly runId: RunId
  readonly mode: 'test' | 'failover'
  /** The guest may have run: its overlays hold more than the point, and tracking can no longer begin at the point. */
  readonly started: boolean
  /** Committed: it belongs to the site. */
  readonly adopted: boolean
}

const pathOf = (folder: string): string => join(folder, 'us-run.json')

/** Null when there is none. */
export async function loadRunRecord(host: Host, folder: string): Promise<RunRecord | null> {
  const text = await host.readFile(pathOf(folder))
  if (text === null) return null
  const fields = fieldsOf(JSON.parse(text.toString('utf8')), pathOf(folder), 'kvm/run-record')
  return {
    runId: fields.text('runId') as RunId,
    mode: fields.oneOf('mode', ['test', 'failover']),
    started: fields.flag('started'),
    adopted: fields.flag('adopted'),
  }
}

/** Durable and atomic. */
export async function saveRunRecord(host: Host, folder: string, record: RunRecord): Promise<void> {
  await host.writeFile(pathOf(folder), `${JSON.stringify(record)}\n`)
}
