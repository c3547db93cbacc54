// What a boot says while its disks are brought to Azure, some at a time: with big disks that is nearly all of its hours.
import type { BootSpec } from '@understudy/engine/ports/target-platform'

export type DisksTold = {
  /** So many bytes of its content are in the storage account. */
  copied(index: number, bytes: number): void
  /** All of it is there, and Azure imports it. */
  making(index: number): void
  made(index: number): void
}

type Part = 'waits' | 'copied' | 'making' | 'made'

export function tellDisks({ disks, onProgress }: Pick<BootSpec, 'disks' | 'onProgress'>): DisksTold {
  const parts = disks.map((): Part => 'waits')
  const done = disks.map(() => 0)
  const totalBytes = disks.reduce((sum, { bytes }) => sum + bytes, 0)
  const tell = (): void => {
    const doing = describe(parts)
    if (doing === null) return
    const doneBytes = done.reduce((sum, bytes) => sum + bytes, 0)
    // Azure does not tell how far an import is: a full bar that stands still would say that it is over.
    onProgress?.({ doing, bytes: parts.includes('copied') ? { doneBytes, totalBytes } : null })
  }
  const move = (index: number, part: Part, bytes: number): void => {
    parts[index] = part
    done[index] = Math.min(bytes, disks[index]?.bytes ?? 0)
    tell()
  }
  return {
    copied: (index, bytes) => move(index, 'copied', bytes),
    making: (index) => move(index, 'making', Number.POSITIVE_INFINITY),
    made: (index) => move(index, 'made', Number.POSITIVE_INFINITY),
  }
}

/** Null: nothing is under way. */
function describe(parts: readonly Part[]): string | null {
  const copied = numbersOf(parts, 'copied')
  const making = numbersOf(parts, 'making')
  const of = `of ${parts.length}`
  const words = [
    ...(copied === null ? [] : [`Copying ${copied} ${of}`]),
    ...(making === null ? [] : [`Azure makes managed ${making} ${of}`]),
  ]
  return words.length === 0 ? null : words.join('; ')
}

/** `disk 1`, `disks 1 and 3`. */
function numbersOf(parts: readonly Part[], wanted: Part): string | null {
  const numbers = parts.flatMap((part, index) => (part === wanted ? [index + 1] : []))
  if (numbers.length === 0) return null
  if (numbers.length === 1) return `disk ${numbers[0]}`
  return `disks ${numbers.slice(0, -1).join(', ')} and ${numbers.at(-1)}`
}
