// The head of a replica: one small blob that makes it exist, names its writer and says which points are sealed. It changes only
// from a state that its writer has seen (If-Match), so of two writers one learns that it came second. Nothing else decides.
//
//   heads/<replica>.json   { machineName, incarnation, epoch, owner, next, sealed: [[first, last], ...], write }
//
// `sealed` holds numbers of points, in runs without gaps. A manifest whose number is in none of them is not a point: its writer
// died or was overtaken before the head said so. Numbers that were given up are never given out again (`next`).
import { randomUUID } from 'node:crypto'
import { invariant } from '@understudy/base/invariant'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { unknownFormat } from './failures.ts'
import type { StorageCalls } from './storage-calls.ts'

export type Run = readonly [first: number, last: number]

export type Head = {
  readonly format: 1
  readonly machineName: string
  /** Where everything else of the replica lies. Another one after it was deleted and made anew. */
  readonly incarnation: string
  /** 0 when nobody has written yet. */
  readonly epoch: number
  /** Which opening for writing owns it: an epoch may be claimed twice by the same process. */
  readonly owner: string | null
  /** The number of the next point. */
  readonly next: number
  /** Ascending, apart. */
  readonly sealed: readonly Run[]
  /** Tells this change from every other, so that a change whose answer was lost is recognised. */
  readonly write: string
}

/** A head as it lies there. */
export type SeenHead = { readonly head: Head; readonly etag: string }

export const headName = (id: ReplicaId): string => `heads/${id}.json`
export const HEADS = 'heads/'

export const newHead = (machineName: string): Head => ({
  format: 1,
  machineName,
  incarnation: randomUUID(),
  epoch: 0,
  owner: null,
  next: 1,
  sealed: [],
  write: randomUUID(),
})

export const newestSealed = ({ sealed }: Head): number | null => sealed.at(-1)?.[1] ?? null

export const isSealed = ({ sealed }: Head, sequence: number): boolean =>
  sealed.some(([first, last]) => sequence >= first && sequence <= last)

/** The same with one more point. */
export function withPoint(head: Head, sequence: number): Head {
  const last = head.sealed.at(-1)
  invariant(sequence >= head.next && sequence > (last?.[1] ?? 0), 'numbers of points ascend')
  const continues = last !== undefined && last[1] === sequence - 1
  const run: Run = continues ? [last[0], sequence] : [sequence, sequence]
  const before = continues ? head.sealed.slice(0, -1) : head.sealed
  return { ...head, sealed: [...before, run], next: sequence + 1 }
}

/**
 * Runs of which no point is left say nothing any more. `live` are the numbers of the points that are there, ascending. The last
 * run always stays: it names the newest.
 */
export function withoutEmptyRuns(head: Head, live: readonly number[]): Head {
  const sealed = head.sealed.filter(
    ([first, last], index) =>
      index === head.sealed.length - 1 || live.some((sequence) => sequence >= first && sequence <= last),
  )
  return sealed.length === head.sealed.length ? head : { ...head, sealed }
}

export async function loadHead(
  calls: StorageCalls,
  id: ReplicaId,
  signal?: AbortSignal,
): Promise<SeenHead | null> {
  const found = await calls.get(headName(id), signal)
  return found === null ? null : { head: parseHead(found.body), etag: found.etag }
}

function parseHead(body: Buffer): Head {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    if (typeof value === 'object' && value !== null && 'format' in value && value.format === 1)
      return value as Head
  } catch {
    // No JSON: whatever wrote it, it was not us.
  }
  throw unknownFormat()
}

const toBody = (head: Head): Buffer => Buffer.from(JSON.stringify(head))

/** Repeatable: an existing one is left as it is. */
export async function createHead(calls: StorageCalls, id: ReplicaId, machineName: string): Promise<void> {
  await calls.put(headName(id), { body: toBody(newHead(machineName)), metadata: {} }, 'absent')
}

/** Null when the head is not the one that was seen: somebody else has changed it. An Outage leaves in doubt whether it changed. */
export async function changeHead(
  calls: StorageCalls,
  id: ReplicaId,
  seen: SeenHead,
  change: Head,
): Promise<SeenHead | null> {
  const head = { ...change, write: randomUUID() }
  const etag = await calls.put(headName(id), { body: toBody(head), metadata: {} }, { etag: seen.etag })
  if (etag !== null) return { head, etag }
  // The answer to an earlier attempt may have been lost.
  const now = await loadHead(calls, id)
  return now?.head.write === head.write ? now : null
}
