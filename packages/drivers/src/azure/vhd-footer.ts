// The last 512 bytes of a fixed VHD, which make a page blob a disk to Azure. All numbers are big-endian.
//
//   0 "conectix"   8 features   12 version   16 data offset (none)   24 seconds since 2000   28 creator   36 its system
//  40 size         48 size      56 cylinders, heads, sectors         60 type (2: fixed)      64 checksum   68 unique id
//
// Source: "Virtual Hard Disk Image Format Specification" 1.0, sections "Hard Disk Footer Format" and "CHS Calculation".
import { MiB, roundUp } from '@understudy/base/bytes'
import { invariant } from '@understudy/base/invariant'

export const FOOTER_BYTES = 512

/** Azure takes disks of whole MiB only; what is past the end of the source's disk reads as zeros. */
export const virtualBytes = (diskBytes: number): number => roundUp(diskBytes, MiB)
export const vhdBytes = (diskBytes: number): number => virtualBytes(diskBytes) + FOOTER_BYTES

/** `size` in bytes, whole MiB. `id` has 16 bytes and stays the same for the life of the disk. */
export function vhdFooter(size: number, id: Buffer): Buffer {
  invariant(size > 0 && size % MiB === 0, 'Azure takes disks of whole MiB')
  invariant(id.length === 16, 'a disk has an id of 16 bytes')
  const footer = Buffer.alloc(FOOTER_BYTES)
  footer.write('conectix', 0, 'ascii')
  footer.writeUInt32BE(2, 8)
  footer.writeUInt32BE(0x00010000, 12)
  footer.fill(0xff, 16, 24)
  // With this creator readers trust the size; with any other, QEMU takes it from the rounded geometry.
  footer.write('win ', 28, 'ascii')
  footer.writeUInt32BE(0x000a0000, 32)
  footer.write('Wi2k', 36, 'ascii')
  footer.writeBigUInt64BE(BigInt(size), 40)
  footer.writeBigUInt64BE(BigInt(size), 48)
  const { cylinders, heads, sectors } = geometry(size / 512)
  footer.writeUInt16BE(cylinders, 56)
  footer[58] = heads
  footer[59] = sectors
  footer.writeUInt32BE(2, 60)
  id.copy(footer, 68)
  footer.writeUInt32BE(checksum(footer), 64)
  return footer
}

function checksum(footer: Buffer): number {
  let sum = 0
  for (const [at, byte] of footer.entries()) if (at < 64 || at >= 68) sum += byte
  return ~sum >>> 0
}

type Geometry = { readonly cylinders: number; readonly heads: number; readonly sectors: number }

function geometry(allSectors: number): Geometry {
  const total = Math.min(allSectors, 65535 * 16 * 255)
  if (total >= 65535 * 16 * 63) return { cylinders: Math.floor(total / 255 / 16), heads: 16, sectors: 255 }
  const tracks = Math.floor(total / 17)
  const heads = Math.max(4, Math.ceil(tracks / 1024))
  if (tracks < heads * 1024 && heads <= 16)
    return { cylinders: Math.floor(tracks / heads), heads, sectors: 17 }
  const longer = Math.floor(total / 31)
  if (longer < 16 * 1024) return { cylinders: Math.floor(longer / 16), heads: 16, sectors: 31 }
  return { cylinders: Math.floor(Math.floor(total / 63) / 16), heads: 16, sectors: 63 }
}
