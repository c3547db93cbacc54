// Every bound of the journal in one place.
import { KiB, MiB } from '@understudy/base/bytes'

export type JournalLimits = {
  /** A segment file is closed at this size, so that reclaiming one never copies more. Below 4 GiB: positions are 32 bits. */
  readonly segmentBytes: number
  /** So much is written to a segment between two syncs behind the copy: the seal then waits for the last of it only. */
  readonly syncBehindBytes: number
  /** A record holds at most this much content and never crosses a multiple of it, so 4 KiB cost at most this much decoding. */
  readonly recordBytes: number
  readonly openFiles: number
  /** Decoded records kept for the neighbours of a small read. */
  readonly cacheBytes: number
  /** Kept free for folding, without which a full disk could never be relieved. */
  readonly reservedBytes: number
  /** What folding, merging and reclaiming may read and write together; 0 is unlimited. */
  readonly maintenanceBytesPerSecond: number
  /** So many layers of dropped points are merged into one. */
  readonly mergeLayers: number
  /** The oldest layer is rewritten when what waits beside it reaches this share of it. */
  readonly foldShare: number
  /** A segment with less live content than this share is rewritten. */
  readonly liveShare: number
  /** Segments below this size are packed together when a layer has more than `smallSegments` of them. */
  readonly smallSegmentBytes: number
  readonly smallSegments: number
  /** On average a merged index stands for this many indexes of the level below. A power of two. */
  readonly runFanout: number
  /** Seals between two looks at the merged indexes when nobody calls `expire`. */
  readonly sealsPerMaintenance: number
  /** The log of changes is packed when it has grown by this much and at least doubled. */
  readonly logBytes: number
  /** False: `expire` and `seal` wait for what they cause. True: it goes on behind them. */
  readonly maintainBehind: boolean
}

export const defaultLimits: JournalLimits = {
  segmentBytes: 256 * MiB,
  syncBehindBytes: 32 * MiB,
  recordBytes: 64 * KiB,
  openFiles: 64,
  cacheBytes: 8 * MiB,
  reservedBytes: 64 * MiB,
  maintenanceBytesPerSecond: 64 * MiB,
  mergeLayers: 8,
  foldShare: 0.25,
  liveShare: 0.5,
  smallSegmentBytes: 16 * MiB,
  smallSegments: 8,
  runFanout: 16,
  sealsPerMaintenance: 16,
  logBytes: 256 * KiB,
  maintainBehind: true,
}
