// The few requests to Azure Storage that a replica is made of. One call is one request: no call repeats itself here.
// `azure-calls.ts` speaks to Azure, `emulator/memory-calls.ts` is the model of what Azure promises.
import type { Extent } from '@understudy/block/device'

export type Metadata = Readonly<Record<string, string>>

/** A page blob as it was at one moment. Nobody can change a snapshot; its ETag tells it from any other of that name and time. */
export type SnapshotRef = { readonly name: string; readonly snapshot: string; readonly etag: string }

export type StoredBlob = { readonly etag: string; readonly body: Buffer; readonly metadata: Metadata }

export type ListedBlob = {
  readonly name: string
  /** Null for the blob itself. */
  readonly snapshot: string | null
  readonly etag: string
  readonly metadata: Metadata
}

export type PageBlobFacts = {
  readonly etag: string
  readonly bytes: number
  readonly sequence: number
  readonly metadata: Metadata
}

/** `any`: whatever is there is replaced. `absent`: only where nothing is. Else only what has this ETag. */
export type Expected = 'any' | 'absent' | { readonly etag: string }

/** Somebody else's fence is up: the sequence number of the blob is not the one this writer was given. */
export class FenceBroken extends Error {
  override readonly name = 'FenceBroken'
}

/**
 * Null means: the condition did not hold, or the thing is not there. Everything else that goes wrong is an Outage or a Refusal
 * of `failures.ts`. After an Outage a call may have taken effect, or may take effect later.
 */
export interface StorageCalls {
  /** A whole small blob. The new ETag. */
  put(
    name: string,
    blob: { readonly body: Buffer; readonly metadata: Metadata },
    expected: Expected,
    signal?: AbortSignal,
  ): Promise<string | null>
  get(name: string, signal?: AbortSignal): Promise<StoredBlob | null>
  putMetadata(name: string, metadata: Metadata, etag: string, signal?: AbortSignal): Promise<string | null>
  /** False when it was not there, or is not the expected one. With a snapshot only that; else the blob with all its snapshots. */
  remove(
    name: string,
    which: { readonly snapshot?: string; readonly etag?: string },
    signal?: AbortSignal,
  ): Promise<boolean>
  /** Ascending by name. */
  list(
    prefix: string,
    include: { readonly snapshots?: boolean; readonly metadata?: boolean },
    signal?: AbortSignal,
  ): AsyncIterable<ListedBlob>

  /** Of zeros. Never takes the place of another. The new ETag. */
  createPages(
    name: string,
    blob: { readonly bytes: number; readonly metadata: Metadata; readonly fence: number },
    signal?: AbortSignal,
  ): Promise<string | null>
  pageFacts(name: string, signal?: AbortSignal): Promise<PageBlobFacts | null>
  /** Sets the sequence number. What names another one is fenced off from now on. The new ETag. */
  raiseFence(
    name: string,
    to: { readonly fence: number; readonly etag: string },
    signal?: AbortSignal,
  ): Promise<string | null>
  /** Shorter: what is behind the end is gone. Longer: zeros are added. The new ETag. */
  resizePages(name: string, bytes: number, etag: string, signal?: AbortSignal): Promise<string | null>
  /** Throws FenceBroken unless the sequence number is `fence`. The new ETag. At most 4 MiB, whole pages of 512 bytes. */
  putPages(name: string, at: PageWrite & { readonly data: Buffer }, signal?: AbortSignal): Promise<string>
  clearPages(name: string, at: PageWrite & { readonly bytes: number }, signal?: AbortSignal): Promise<string>
  /** The ETag is that of the blob at this moment. */
  takeSnapshot(name: string, signal?: AbortSignal): Promise<SnapshotRef>
  /** Null when there is no such snapshot. With `snapshot: null` from the blob itself. At most 4 MiB. */
  readPages(from: PageSource, range: Extent, signal?: AbortSignal): Promise<Buffer | null>
  /** Where pages are that were written and not cleared, ascending. They may touch. */
  pageRanges(from: PageSource, range: Extent, signal?: AbortSignal): AsyncIterable<Extent>
  /** What was written or cleared between the earlier snapshot and `from`, in any order. */
  changedPages(
    from: PageSource,
    earlier: string,
    range: Extent,
    signal?: AbortSignal,
  ): AsyncIterable<Extent & { readonly isCleared: boolean }>
}

export type PageWrite = {
  readonly offset: number
  readonly fence: number
  /** Called when an attempt got no answer: it may take effect late, even after the one that was answered. */
  readonly onUnsure?: () => void
}
/** With an ETag only that very content is read. */
export type PageSource = { readonly name: string; readonly snapshot: string | null; readonly etag?: string }
