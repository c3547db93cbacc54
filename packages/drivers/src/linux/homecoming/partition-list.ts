// The partitions of a disk as its own table has them, read by sfdisk: what the kernel believes may be of before the disk was written.
export type PartitionTable = {
  readonly label: 'gpt' | 'dos'
  readonly sectorBytes: number
  /** The last sector that its partitions may use; null: the table does not say. */
  readonly lastSector: number | null
  readonly partitions: readonly ListedPartition[]
}

export type ListedPartition = {
  readonly number: number
  /** What the kernel calls it where it has it. */
  readonly node: string
  readonly offset: number
  readonly bytes: number
  readonly partUuid: string | null
  readonly partLabel: string | null
  /** Of a boot loader that UEFI reads. */
  readonly isSystemPartition: boolean
}

type Listed = {
  readonly label?: string
  readonly id?: string
  readonly lastlba?: number
  readonly sectorsize?: number
  readonly partitions?: readonly {
    readonly node: string
    readonly start: number
    readonly size: number
    readonly type?: string
    readonly uuid?: string
    readonly name?: string
  }[]
}

const SYSTEM_PARTITION = ['c12a7328-f81f-11d2-ba4b-00a0c93ec93b', 'ef']
/** A logical partition lies in an extended one, which holds nothing itself. */
const EXTENDED = ['5', 'f', '85']

/** The output of `sfdisk --json`, which may say something before. Null: no table that is known. Pure. */
export function parsePartitionTable(output: string): PartitionTable | null {
  const begin = output.indexOf('{')
  if (begin < 0) return null
  const { partitiontable } = JSON.parse(output.slice(begin, output.lastIndexOf('}') + 1)) as {
    readonly partitiontable?: Listed
  }
  const label = partitiontable?.label
  if (label !== 'gpt' && label !== 'dos') return null
  const sectorBytes = partitiontable?.sectorsize ?? 512
  const diskId = partitiontable?.id?.replace(/^0x/, '').toLowerCase()
  return {
    label,
    sectorBytes,
    lastSector: partitiontable?.lastlba ?? null,
    partitions: (partitiontable?.partitions ?? [])
      .filter(({ type = '' }) => label === 'gpt' || !EXTENDED.includes(type.toLowerCase()))
      .map(({ node, start, size, type = '', uuid, name }) => {
        const number = Number(/\d+$/.exec(node)?.[0])
        const dosUuid = diskId ? `${diskId}-${number.toString(16).padStart(2, '0')}` : null
        return {
          number,
          node,
          offset: start * sectorBytes,
          bytes: size * sectorBytes,
          partUuid: label === 'gpt' ? (uuid?.toLowerCase() ?? null) : dosUuid,
          partLabel: name ?? null,
          isSystemPartition: SYSTEM_PARTITION.includes(type.toLowerCase()),
        }
      }),
  }
}

/** The second header and table of a GPT, 33 sectors with 512 bytes in each, are the last of the disk (UEFI 2.10, 5.3.1). Pure. */
export function isShortOfItsDisk(
  { label, sectorBytes, lastSector }: PartitionTable,
  diskBytes: number,
): boolean {
  if (label !== 'gpt' || lastSector === null) return false
  const tableSectors = Math.ceil(16384 / sectorBytes)
  return lastSector + tableSectors + 1 < Math.floor(diskBytes / sectorBytes) - 1
}
