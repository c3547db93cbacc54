// Brings the content of a disk into a page blob of its own, from which Azure makes a disk. The footer is written last: a blob with its
// footer is whole. What lies there can only be this run's content of this disk, so whatever is written twice, or late, is the same.
import { MiB } from '@understudy/base/bytes'
import { InvariantError } from '@understudy/base/errors'
import { copyExtents } from '@understudy/block/copy-extents'
import type { BlockReader, Extent, MappedExtent } from '@understudy/block/device'
import type { RunId } from '@understudy/domain/failover/failover'
import type { BootDisk } from '@understudy/engine/ports/target-platform'
import { REQUEST_BYTES } from '../limits.ts'
import { FenceBroken, type PageBlobFacts, type StorageCalls } from '../storage-calls.ts'
import { FOOTER_BYTES, vhdBytes, vhdFooter, virtualBytes } from '../vhd-footer.ts'
import { copyGone, foreign } from './arm-failures.ts'
import { copyId, copyName, RUN_TAG } from './run-names.ts'

/** So much is sent before it is noted: after a break no more than this is sent again. */
const NOTED_BYTES = 256 * MiB
const IN_FLIGHT = 8
/** Nobody else writes here, so the fence keeps nobody out. */
const FENCE = 0
/** Metadata is a header of HTTP: no dashes in names. */
const RUN_MARK = RUN_TAG.replace('-', '_')
const SENT_MARK = 'understudy_sent'

export type Staging = {
  readonly storage: StorageCalls
  readonly runId: RunId
  readonly disk: BootDisk
  /** Of the disk among those of its machine. */
  readonly index: number
  /** So many of its bytes are there by now. */
  readonly onDone?: (bytes: number) => void
  readonly copyWithin?: (disk: BootDisk, blob: string, signal?: AbortSignal) => Promise<boolean>
}

/** The name of the blob. Repeatable: goes on where a predecessor was. */
export async function stageDisk(
  { storage, runId, disk, index, onDone, copyWithin }: Staging,
  signal: AbortSignal | undefined,
): Promise<string> {
  const name = copyName(runId, index)
  const footer = vhdFooter(virtualBytes(disk.bytes), copyId(runId, index))
  const footerAt = virtualBytes(disk.bytes)
  if ((await copyWithin?.(disk, name, signal)) === true) return name
  const facts = await openBlob(storage, { name, runId, bytes: vhdBytes(disk.bytes) }, signal)
  const last = await storage.readPages(
    { name, snapshot: null },
    { offset: footerAt, bytes: FOOTER_BYTES },
    signal,
  )
  if (last?.equals(footer) === true) return name
  try {
    await sendContent(storage, { name, facts, reader: disk.reader, onDone }, signal)
    await storage.putPages(name, { offset: footerAt, data: footer, fence: FENCE }, signal)
  } catch (error) {
    throw error instanceof FenceBroken ? copyGone(name, error) : error
  }
  return name
}

async function openBlob(
  storage: StorageCalls,
  blob: { readonly name: string; readonly runId: RunId; readonly bytes: number },
  signal: AbortSignal | undefined,
): Promise<PageBlobFacts> {
  const metadata = { [RUN_MARK]: blob.runId, [SENT_MARK]: '0' }
  // Null when it is there: made by a predecessor, or by the request before this one whose answer was lost.
  await storage.createPages(blob.name, { bytes: blob.bytes, metadata, fence: FENCE }, signal)
  const facts = await storage.pageFacts(blob.name, signal)
  if (facts === null) throw new InvariantError(`${blob.name} was made and is not there`)
  if (facts.metadata[RUN_MARK] !== blob.runId || facts.bytes !== blob.bytes) throw foreign(blob.name)
  return facts
}

async function sendContent(
  storage: StorageCalls,
  {
    name,
    facts,
    reader,
    onDone,
  }: {
    readonly name: string
    readonly facts: PageBlobFacts
    readonly reader: BlockReader
    readonly onDone: ((bytes: number) => void) | undefined
  },
  signal: AbortSignal | undefined,
): Promise<void> {
  const sent = Number(facts.metadata[SENT_MARK] ?? 0)
  onDone?.(sent)
  for (let offset = sent; offset < reader.bytes; offset += NOTED_BYTES) {
    if (offset > sent) await noteSent(storage, name, offset, signal)
    const range = { offset, bytes: Math.min(NOTED_BYTES, reader.bytes - offset) }
    await copyExtents({
      from: reader,
      to: {
        write: async (at, data, stop) => {
          // A page is 512 bytes, and so is the smallest piece of a disk.
          await storage.putPages(name, { offset: at, data, fence: FENCE }, stop)
        },
        // The blob is new: where nothing was written it reads as zeros.
        zero: async () => {},
      },
      extents: extentsOf(reader, range, signal),
      requestBytes: REQUEST_BYTES,
      inFlight: IN_FLIGHT,
      // What is not mapped at all is passed over with the range.
      onProgress: ({ dataBytes, zeroBytes }) => onDone?.(offset + dataBytes + zeroBytes),
      ...(signal === undefined ? {} : { signal }),
    })
    onDone?.(offset + range.bytes)
  }
}

/** Only a help: where it cannot be written, more is sent again after a break. */
async function noteSent(
  storage: StorageCalls,
  name: string,
  sent: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  const facts = await storage.pageFacts(name, signal)
  if (facts !== null)
    await storage.putMetadata(name, { ...facts.metadata, [SENT_MARK]: `${sent}` }, facts.etag, signal)
}

const extentsOf = (
  reader: BlockReader,
  range: Extent,
  signal: AbortSignal | undefined,
): AsyncIterable<MappedExtent> | Iterable<MappedExtent> =>
  reader.map?.(range, signal) ?? [{ ...range, kind: 'data' as const }]
