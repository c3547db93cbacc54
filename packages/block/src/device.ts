// What a disk is to us: bytes at offsets. Everything that reads or holds a disk has one of these two shapes.

/** A piece of a disk. `offset` and `bytes` are in bytes; a valid extent has `bytes > 0`. */
export type Extent = { readonly offset: number; readonly bytes: number }

/** `zero` means: reads as zeros now. It is content, not absence: whoever copies must write zeros (or punch a hole). */
export type ExtentKind = 'data' | 'zero'
export type MappedExtent = Extent & { readonly kind: ExtentKind }

/**
 * A disk that can be read. Immutable while it is open, unless its maker says otherwise.
 * Reads may run concurrently. A failing read throws Outage (may work later) or Refusal (will not).
 */
export interface BlockReader {
  /** Size of the disk, a multiple of 512. */
  readonly bytes: number
  /**
   * Exactly `bytes` bytes from `offset`; the range lies inside the disk. The buffer is the caller's to keep
   * and to change.
   */
  read(offset: number, bytes: number, signal?: AbortSignal): Promise<Buffer>
  /**
   * Like `read`, filling `target`. Reusing a few buffers measured three times faster than a new one per read. When it
   * rejects, late data may still be written into `target`: let go of it. Absent when it would save nothing; a wrapper that
   * changes what `read` does must do the same here or leave it out.
   */
  readInto?(offset: number, target: Buffer, signal?: AbortSignal): Promise<void>
  /**
   * What is where inside the range, in order, without gaps: the pieces add up to the range.
   * `data` may still read as zeros; `zero` always does. Absent when the disk cannot tell.
   */
  map?(range: Extent, signal?: AbortSignal): AsyncIterable<MappedExtent>
  close(): Promise<void>
}

/** A disk that can be written too. Writes are durable only after `flush`. */
export interface BlockDevice extends BlockReader {
  write(offset: number, data: Buffer, signal?: AbortSignal): Promise<void>
  /** Makes the range read as zeros, with a hole where the medium can. */
  zero(offset: number, bytes: number, signal?: AbortSignal): Promise<void>
  flush(signal?: AbortSignal): Promise<void>
}
