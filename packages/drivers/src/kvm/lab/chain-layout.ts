// Where the lab's guests keep their chain of records, so that it can be checked from outside without mounting anything.
//
//   disk:       MBR | ... | partition of type 0xda (no file system) | ...
//   partition:  sector 0 "understudy-chain 1 tracks <n> track <t> slots <s>\n" | sector 1..s one record each, a ring
//   record:     "record <n> track <t> previous <hash> boot <id> uptime <seconds> sha256 <hash>\n", zeros to the end
//
// Record n (from 1) lies on track (n - 1) mod tracks, in slot floor((n - 1) / tracks) mod slots. `previous` is the hash of
// record n - 1 (zeros for the first), `sha256` that of the text before " sha256 ". A record is begun after the one before
// is durable, so at any instant all disks together hold records without a gap.

export const sectorBytes = 512
export const chainPartitionType = 0xda
export const chainSlots = 2047
export const chainAreaBytes = (chainSlots + 1) * sectorBytes

export type ChainTrack = { readonly track: number; readonly tracks: number; readonly slots: number }

export function toChainHeader(area: ChainTrack): Buffer {
  const sector = Buffer.alloc(sectorBytes)
  sector.write(`understudy-chain 1 tracks ${area.tracks} track ${area.track} slots ${area.slots}\n`)
  return sector
}

/** Null when the sector is something else. */
export function fromChainHeader(sector: Buffer): ChainTrack | null {
  const found = /^understudy-chain 1 tracks (\d+) track (\d+) slots (\d+)\n/.exec(sector.toString('latin1'))
  if (!found) return null
  return { tracks: Number(found[1]), track: Number(found[2]), slots: Number(found[3]) }
}
