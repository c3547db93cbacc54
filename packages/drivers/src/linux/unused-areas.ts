// What of a disk need not be copied at first, because its file systems have nothing there.
//
// On the medium a map of blocks may be older than the blocks: what was written lately may be free in it. So, with tracking already
// on, the file systems are frozen once and go on: everything up to then is on the medium, and whatever is taken into use after
// it is written after it, and noted.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { roundDown, roundUp } from '@understudy/base/bytes'
import type { Extent } from '@understudy/block/device'
import type { WholeDisk } from './block-devices.ts'
import type { DirectDisk } from './direct-disk.ts'
import { readFreeBlocks } from './ext-block-map.ts'
import { openFreezeKeeper } from './freeze-keeper.ts'
import { GRAIN_BYTES } from './grain-set.ts'
import type { HoldGate } from './hold-gate.ts'
import type { MountOnDisk } from './mounts.ts'

const EXT = ['ext2', 'ext3', 'ext4']

/** Sorted, in whole grains. Nothing of a disk whose file systems cannot be read in this way, or not just now. */
export async function readUnusedAreas(
  disk: WholeDisk,
  reader: DirectDisk,
  mounts: readonly MountOnDisk[],
  hold: { readonly gate: HoldGate; readonly seconds: number },
): Promise<readonly Extent[]> {
  const found: Extent[] = []
  for (const { device, bytes, start } of await placesOf(disk)) {
    const mount = mounts.find(
      (one) => one.device === device && one.writable && one.reachable && EXT.includes(one.type),
    )
    if (mount === undefined || !(await bringToMedium(mount.mountPoint, hold))) continue
    const free = await readFreeBlocks((offset, length) => reader.read(start + offset, length))
    for (const extent of free ?? []) {
      const from = roundUp(start + extent.offset, GRAIN_BYTES)
      const to = roundDown(start + Math.min(extent.offset + extent.bytes, bytes), GRAIN_BYTES)
      if (to > from) found.push({ offset: from, bytes: to - from })
    }
  }
  return found.sort((a, b) => a.offset - b.offset)
}

/** The disk itself, and its partitions. */
async function placesOf({ device, bytes, children }: WholeDisk) {
  const places = [{ device, bytes, start: 0 }]
  for (const child of children) {
    if (child.type !== 'part') continue
    const start = await readFile(join('/sys/dev/block', child.device, 'start'), 'latin1')
    places.push({ device: child.device, bytes: child.bytes, start: Number(start) * 512 })
  }
  return places
}

/** False: it could not be frozen, or not all the time. */
async function bringToMedium(
  mountPoint: string,
  { gate, seconds }: { readonly gate: HoldGate; readonly seconds: number },
): Promise<boolean> {
  const keeper = await openFreezeKeeper([{ mountPoint }], seconds).catch(() => null)
  if (keeper === null) return false
  let end: (() => void) | null = null
  try {
    end = await gate.hold(seconds)
    await keeper.freeze()
    return await keeper.thaw()
  } catch {
    // Another one holds it just now: everything is read then.
    return false
  } finally {
    await keeper.close()
    end?.()
  }
}
