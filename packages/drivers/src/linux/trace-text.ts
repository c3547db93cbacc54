// What the kernel's trace buffer says as text: a completed write, one of our fences, or that something was lost. Pure.
//
//     fio-812 [001] d.h1. 71.204: block_rq_complete: 8,0 WS () 409600 + 64 none,0,0 [0]
//                                                    |   |  |  sector   sectors
//                                              device  what  command of a pass-through request
import type { Extent } from '@understudy/block/device'

export type TraceLine =
  | { readonly kind: 'write'; readonly device: string; readonly extent: Extent }
  | { readonly kind: 'fence'; readonly name: string }
  | { readonly kind: 'lost' }

const SECTOR_BYTES = 512
const FENCE = 'understudy-fence '
/** All kernels that have the event since 2.6.3x begin like this; what is behind the sectors has changed, and is not read. */
const KNOWN_FORMAT = 'print fmt: "%d,%d %s (%s) %llu + %u'
const completed = /block_rq_complete: (\d+),(\d+) (\S*) \(.*?\) (\d+) \+ (\d+)/

/** `format` of the event, as its kernel wrote it: whether its lines can be read here. */
export const isKnownFormat = (format: string): boolean =>
  format.split('\n').some((line) => line.startsWith(KNOWN_FORMAT))

export const fenceText = (name: string): string => `${FENCE}${name}\n`

/** Null: nothing of ours. */
export function parseTraceLine(line: string): TraceLine | null {
  const found = completed.exec(line)
  if (found) {
    const [, major, minor, what = '', sector, sectors] = found
    const bytes = Number(sectors) * SECTOR_BYTES
    // A flush has no sectors. Everything but a read may change content: writes of zeros are no `W` before Linux 6.16.
    if (bytes === 0 || what.startsWith('R')) return null
    return {
      kind: 'write',
      device: `${major}:${minor}`,
      extent: { offset: Number(sector) * SECTOR_BYTES, bytes },
    }
  }
  const fence = line.indexOf(FENCE)
  if (fence >= 0) return { kind: 'fence', name: line.slice(fence + FENCE.length).trim() }
  return line.includes('[LOST ') ? { kind: 'lost' } : null
}

/** Events of one processor's buffer that never reached a reader; `text` is its `stats`. */
export function lostEvents(text: string): number {
  let lost = 0
  for (const found of text.matchAll(/^(?:overrun|commit overrun|dropped events): (\d+)$/gm))
    lost += Number(found[1])
  return lost
}

/** Events of it that were handed to a reader since it was last emptied. */
export const readEvents = (text: string): number => Number(/^read events: (\d+)$/m.exec(text)?.[1] ?? 0)

/** The kernel numbers a device by twelve bits and twenty. */
export function filterOf(devices: readonly string[]): string {
  const numbers = devices.map((device) => {
    const [major = 0, minor = 0] = device.split(':').map(Number)
    return `dev == ${major * 2 ** 20 + minor}`
  })
  return `(${numbers.join(' || ')}) && !(rwbs ~ "R*")`
}
