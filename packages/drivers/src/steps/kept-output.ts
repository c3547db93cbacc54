// Output of a program, bounded: its beginning and its end.
import { openSync, writeSync } from 'node:fs'

export const HEAD_BYTES = 32 * 1024
export const TAIL_BYTES = 96 * 1024

export type OutputKeeper = {
  take(chunk: Buffer): void
  /** The end, without what the head has. */
  tail(): Buffer
  /** Everything that was printed. */
  bytes(): number
}

/** The beginning goes into the file as it comes, so that it outlives us; the end waits in memory. */
export function keepOutput(headPath: string): OutputKeeper {
  const head = openSync(headPath, 'w', 0o600)
  let headLeft = HEAD_BYTES
  let tail: Buffer[] = []
  let tailBytes = 0
  let bytes = 0
  return {
    take(chunk) {
      bytes += chunk.length
      const forHead = chunk.subarray(0, headLeft)
      headLeft -= forHead.length
      writeAll(head, forHead)
      const rest = chunk.subarray(forHead.length)
      if (rest.length === 0) return
      tail.push(rest)
      tailBytes += rest.length
      // Twice the bound, so that joining costs each byte once or twice and not once for each chunk.
      if (tailBytes <= 2 * TAIL_BYTES) return
      tail = [Buffer.concat(tail).subarray(-TAIL_BYTES)]
      tailBytes = TAIL_BYTES
    },
    tail: () => Buffer.concat(tail).subarray(-TAIL_BYTES),
    bytes: () => bytes,
  }
}

/** A full disk must not end the program that prints: what cannot be kept is left out. */
function writeAll(file: number, chunk: Buffer): void {
  try {
    for (let at = 0; at < chunk.length; ) at += writeSync(file, chunk, at)
  } catch {}
}

/**
 * For people. What is left out is cut at ends of lines, and a piece without one is left out whole: half a line could hold half a
 * secret, which nobody can mask any more. Pure.
 */
export function toText(head: Buffer, tail: Buffer, bytes: number): string {
  const left = bytes - head.length - tail.length
  if (left <= 0) return clean(Buffer.concat([head, tail]))
  const start = wholeLines(head)
  const firstEnd = tail.indexOf(NEWLINE)
  const end = firstEnd < 0 ? Buffer.alloc(0) : tail.subarray(firstEnd + 1)
  const leftOut = bytes - start.length - end.length
  return `${clean(start)}[... ${leftOut} bytes are left out here ...]\n${clean(end)}`
}

const NEWLINE = 0x0a

/** Of the beginning of something longer. Pure. */
export const wholeLines = (head: Buffer): Buffer => head.subarray(0, head.lastIndexOf(NEWLINE) + 1)

/** Valid UTF-8 of any bytes. Databases take no NUL in a text. */
export const clean = (bytes: Uint8Array): string =>
  new TextDecoder('utf-8').decode(bytes).replaceAll('\0', '\ufffd')

const LONGEST_LAST_LINE = 300

/** What a failure is told with. Null: there is none that is short enough; a piece of one could hold a piece of a secret. Pure. */
export function lastLine(output: string | null): string | null {
  const line = output?.trimEnd().split('\n').at(-1)?.trim() ?? ''
  return line === '' || line.length > LONGEST_LAST_LINE ? null : line
}
