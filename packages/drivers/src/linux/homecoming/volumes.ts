// What lies on the written disks: partitions, and what arrays (md) and LVM make of them. The kernel is told of the partitions; where it does not take
// them (files as disks), each gets a loop device of its own. All that is attached is put on the list of what is taken back.
import { basename } from 'node:path'
import { Outage } from '@understudy/base/errors'
import { isShortOfItsDisk, type ListedPartition, parsePartitionTable } from './partition-list.ts'
import { runWell, type Tools, tryRun } from './run-well.ts'
import type { UndoList } from './undo-list.ts'

export type WrittenDisk = {
  readonly path: string
  /** What was written from its beginning; the disk may be bigger. */
  readonly bytes: number
}

export type Volume = {
  readonly path: string
  /** Null: it lies on several, or on another volume. */
  readonly disk: string | null
  readonly partition: ListedPartition | null
  /** As blkid calls it; null: nothing that is known. */
  readonly type: string | null
  readonly uuid: string | null
  readonly label: string | null
  readonly partUuid: string | null
  readonly partLabel: string | null
  /** Paths by which it may be meant. */
  readonly names: readonly string[]
}

export type OpenedVolumes = {
  readonly volumes: readonly Volume[]
  readonly changes: readonly string[]
}

export async function openVolumes(
  disks: readonly WrittenDisk[],
  tools: Tools,
  undo: UndoList,
): Promise<OpenedVolumes> {
  const changes: string[] = []
  const found: Volume[] = []
  for (const disk of disks) found.push(...(await openDisk(disk, tools, undo, changes)))
  found.push(...(await openArrays(found, tools, undo)))
  found.push(...(await openLogicalVolumes(found, tools, undo)))
  return { volumes: found, changes }
}

async function openDisk(
  { path, bytes }: WrittenDisk,
  tools: Tools,
  undo: UndoList,
  changes: string[],
): Promise<readonly Volume[]> {
  const diskBytes = Number((await runWell(tools, ['blockdev', '--getsize64', path])).trim())
  if (!(diskBytes >= bytes))
    throw new Outage({
      code: 'homecoming/disk-too-small',
      message: `${path} has ${diskBytes} bytes, and ${bytes} were to be written to it`,
      remedy: 'Assign a disk that is at least as big, and restore it again.',
    })
  // What the kernel has in memory of this disk may be of before it was written.
  await runWell(tools, ['blockdev', '--flushbufs', path])
  const read = async () => parsePartitionTable((await tryRun(tools, ['sfdisk', '--json', path])) ?? '')
  const table = await read()
  if (table === null) return [await probe({ path, disk: path, partition: null, names: [] }, tools)]
  if (isShortOfItsDisk(table, diskBytes)) {
    await runWell(tools, ['sfdisk', '--no-tell-kernel', '--relocate', 'gpt-bak-std', path])
    changes.push(`The second partition table of ${path} was moved to its end, because this disk is bigger`)
  }
  await tryRun(tools, ['blockdev', '--rereadpt', path])
  await tryRun(tools, ['udevadm', 'settle', '--timeout=60'])
  const volumes: Volume[] = []
  for (const partition of table.partitions) {
    const node = await openPartition(path, partition, tools, undo)
    volumes.push(await probe({ path: node, disk: path, partition, names: [] }, tools))
  }
  return volumes
}

/** By the node of the kernel where that is the partition which the table means. */
async function openPartition(
  disk: string,
  { node, offset, bytes }: ListedPartition,
  tools: Tools,
  undo: UndoList,
): Promise<string> {
  const known = await tryRun(tools, [
    'cat',
    ...['start', 'size'].map((name) => `/sys/class/block/${basename(node)}/${name}`),
  ])
  if (known !== null) {
    // In sectors of 512 bytes, whatever the disk has.
    const [start, size] = known.split(/\s+/).map((text) => Number(text) * 512)
    if (start === offset && size === bytes) return node
    throw new Outage({
      code: 'homecoming/old-partitions',
      message: `The kernel still has the partitions of ${disk} as they were before it was written`,
      remedy:
        'Something in the rescue system uses one of them. End it, or restart the rescue system, and repeat the finishing.',
    })
  }
  const place = ['--offset', String(offset), '--sizelimit', String(bytes)]
  const loop = (await runWell(tools, ['losetup', '--find', '--show', ...place, disk])).trim()
  undo.add(`the loop device ${loop} (losetup -d ${loop})`, () =>
    runWell(withoutSignal(tools), ['losetup', '-d', loop]),
  )
  return loop
}

async function probe(
  volume: Pick<Volume, 'path' | 'disk' | 'partition' | 'names'>,
  tools: Tools,
): Promise<Volume> {
  const output = (await tryRun(tools, ['blkid', '-p', '-o', 'export', volume.path])) ?? ''
  const say = (name: string): string | null =>
    new RegExp(`^${name}=(.*)$`, 'm').exec(output)?.[1]?.replace(/\\(.)/g, '$1') ?? null
  return {
    ...volume,
    type: say('TYPE'),
    uuid: say('UUID'),
    label: say('LABEL'),
    partUuid: volume.partition?.partUuid ?? null,
    partLabel: volume.partition?.partLabel ?? null,
  }
}

/** Each from the members that lie on these disks and no others: another disk of this computer may hold an older half of it. */
async function openArrays(
  volumes: readonly Volume[],
  tools: Tools,
  undo: UndoList,
): Promise<readonly Volume[]> {
  const opened: Volume[] = []
  const members = volumes.filter(({ type }) => type === 'linux_raid_member')
  for (const [index, group] of [...Map.groupBy(members, ({ uuid }) => uuid).values()].entries()) {
    const path = `/dev/md/understudy-${index}`
    await runWell(tools, ['mdadm', '--assemble', '--run', path, ...group.map((member) => member.path)])
    undo.add(`the array ${path} (mdadm --stop ${path})`, () =>
      runWell(withoutSignal(tools), ['mdadm', '--stop', path]),
    )
    opened.push(await probe({ path, disk: null, partition: null, names: [] }, tools))
  }
  return opened
}

const LVM_FIELDS = ['--noheadings', '--separator', '|']

async function openLogicalVolumes(
  volumes: readonly Volume[],
  tools: Tools,
  undo: UndoList,
): Promise<readonly Volume[]> {
  const members = volumes.filter(({ type }) => type === 'LVM2_member').map(({ path }) => path)
  if (members.length === 0) return []
  // Nothing but these: a disk that stayed in the computer may hold a group of the same name.
  const only = ['--devices', members.join(',')]
  const groups = new Set(rows(await runWell(tools, ['pvs', ...only, ...LVM_FIELDS, '-o', 'vg_name'])).flat())
  const opened: Volume[] = []
  for (const group of groups) {
    if (group === '') continue
    undo.add(`the volume group ${group} (vgchange -an ${group})`, () =>
      runWell(withoutSignal(tools), ['vgchange', ...only, '-an', group]),
    )
    await runWell(tools, ['vgchange', ...only, '-ay', group])
    const listed = await runWell(tools, [
      'lvs',
      ...only,
      ...LVM_FIELDS,
      '-o',
      'lv_name,lv_path,lv_dm_path',
      group,
    ])
    for (const [, path = '', mapped = ''] of rows(listed)) {
      // Pools and the like have no path.
      if (path === '') continue
      opened.push(await probe({ path: mapped, disk: null, partition: null, names: [path, mapped] }, tools))
    }
  }
  return opened
}

const rows = (output: string): readonly (readonly string[])[] =>
  output
    .split('\n')
    .map((line) => line.trim())
    // No name has a blank in it; what has one is a complaint.
    .filter((line) => line !== '' && !/\s/.test(line))
    .map((line) => line.split('|').map((field) => field.trim()))

/** What is taken back is taken back also when nobody wants the rest any more. */
export const withoutSignal = ({ run }: Tools): Tools => ({ run, signal: undefined })
