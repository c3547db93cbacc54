// Every bound of the store in one place.
import { GiB, KiB, MiB, TiB } from '@understudy/base/bytes'
import { FOOTER_BYTES } from './vhd-footer.ts'

/** Azure's own: a request carries at most this much, and a page blob holds at most that. */
export const REQUEST_BYTES = 4 * MiB
export const LARGEST_DISK_BYTES = 8 * TiB - MiB
/** What an account holds unless Azure was asked for more. */
export const ACCOUNT_BYTES = 5 * 1024 * TiB
/** Of one blob, names and values together; the rest of Azure's 8 KiB is left for what others add. */
export const METADATA_BYTES = 7 * KiB

export type AzureLimits = {
  /** Requests of one point under way at a time. */
  readonly connections: number
  /** Written and not yet acknowledged by Azure, of one point. Writers wait beyond it. */
  readonly bufferBytes: number
  /** Neighbours are waited for until so much lies ready, so that they go as one request. */
  readonly gatherBytes: number
  /** Changed sums kept in memory before they are written: 512 bytes for each 256 KiB of disk. */
  readonly sumPages: number
  /** Sums of an open point kept for the neighbours of a read, for each disk. */
  readonly sumCacheChunks: number
  /** Lists of pages are asked for in pieces of the disk, so that none grows without bound. */
  readonly listBytes: number
}

export const defaultLimits: AzureLimits = {
  connections: 8,
  bufferBytes: 64 * MiB,
  gatherBytes: 32 * MiB,
  sumPages: 16 * 1024,
  sumCacheChunks: 64,
  listBytes: 64 * GiB,
}

/** Pages of 512 bytes are Azure's unit; this is why the footer costs one. */
export const PAGE_BYTES = FOOTER_BYTES
