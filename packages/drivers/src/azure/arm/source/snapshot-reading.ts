// The content of one snapshot, read at an address that Azure gives out for a while. It is asked for when something is first read, and
// taken back at the end: whoever has it can read the disk.
import type { Extent } from '@understudy/block/device'
import { ReadingEnded } from './snapshot-calls.ts'
import type { SourceParts } from './source-parts.ts'

/** A full copy may take a day; an address that ends before is asked for again. */
const READING_SECONDS = 86_400

export type SnapshotReading = {
  readonly name: string
  with<Result>(work: (address: string) => Promise<Result>, signal?: AbortSignal): Promise<Result>
  read(range: Extent, signal?: AbortSignal): Promise<Buffer>
  /** Repeatable. Nothing may be under way. */
  end(): Promise<void>
}

export function openReading(
  { arm, pages }: Pick<SourceParts, 'arm' | 'pages'>,
  name: string,
): SnapshotReading {
  let granted: Promise<string> | null = null
  let wasGranted = false
  const address = (signal: AbortSignal | undefined): Promise<string> => {
    wasGranted = true
    const asked = arm.grantReading(name, READING_SECONDS, signal)
    granted = asked
    asked.catch(() => {
      if (granted === asked) granted = null
    })
    return asked
  }
  const reading: SnapshotReading = {
    name,
    async with(work, signal) {
      const mine = granted ?? address(signal)
      try {
        return await work(await mine)
      } catch (error) {
        if (!(error instanceof ReadingEnded)) throw error
        // Somebody else may have seen it before us.
        const next = granted === mine || granted === null ? address(signal) : granted
        return await work(await next)
      }
    },
    read: (range, signal) => reading.with((at) => pages.read(at, range, signal), signal),
    async end() {
      if (!wasGranted) return
      await arm.revokeReading(name)
      wasGranted = false
    },
  }
  return reading
}
