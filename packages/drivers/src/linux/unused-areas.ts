// What of a disk need not be copied at first, because its file systems have nothing there.
//
// On the medium a map of blocks may be older than the blocks: what was written lately may be free in it. So, with tracking already
// on, the file systems are frozen once and go on: everything up to then is on the medium, and whatever is taken into use after
// it is written after it, and noted.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Extent } from '@understudy/block/device'
import type { WholeDisk } from './block-devices.ts'
import type { DirectDisk } from './direct-disk.ts'
import { readUsedBlocks } from './ext-block-map.ts'
import { openFreezeKeeper } from './freeze-keeper.ts'
import { grainSet } from './grain-set.ts'
import type { HoldGate } from './hold-gate.ts'
import type { MountOnDisk } from './mounts.ts'

const EXT = ['ext2', 'ext3', 'ext4']

/** Of one disk: what need not be read. */
export type UnusedAreas = {
  /** Whole grains, ascending, one at a time. */
  areas(): Generator<Extent>
}

/** Nothing of a disk whose file systems cannot be read in this way, or not just now. */
export async function readUnusedAreas(
  disk: WholeDisk,
  reader: DirectDisk,
  mounts: readonly MountOnDisk[],
  hold: { readonly gate: HoldGate; readonly seconds: number },
): Promise<UnusedAreas> {
  const used = grainSet(disk.bytes)
  const known: Extent[] = []
  for (const { device, bytes, start } of await placesOf(disk)) {
    const mount = mounts.find(
      (one) => one.device === device && one.writable && one.reachable && EXT.includes(one.type),
    )
    if (mount === undefined || !(await bringToMedium(mount.mountPoint, hold))) continue
    const ofFileSystem = await readUsedBlocks(
      (offset, length) => reader.read(start + offset, length),
      (extent) => used.add({ ...extent, offset: start + extent.offset }),
    )
    if (ofFileSystem !== null) known.push({ offset: start, bytes: Math.min(ofFileSystem, bytes) })
  }
  known.sort((a, b) => a.offset - b.offset)
  return {
    *areas() {
      for (const place of known) yield* used.gaps(place)
    },
  }
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
