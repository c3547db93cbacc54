// What QEMU's block layer looks like right now: the guest's disks, what lies above them, and who tracks their changes.
import type { DiskKey } from '@understudy/domain/machines/machine'
import { keyOfAlias } from './device-alias.ts'
import { DISK_KEY } from './machine-definition.ts'
import { accessNode, digest, parseNode } from './ownership.ts'
import type { Qmp } from './qmp.ts'

export type GraphBitmap = {
  readonly name: string
  readonly granularityBytes: number
  /** In whole grains. */
  readonly dirtyBytes: number
  readonly recording: boolean
  readonly persistent: boolean
  /** Was in use when its process was killed: worthless. */
  readonly inconsistent: boolean
  readonly busy: boolean
}

export type GraphDisk = {
  readonly key: DiskKey
  /** QOM path whose property `drive` says which node the device uses. */
  readonly devicePath: string
  /** The node that the device uses: the disk's own, or the topmost filter. */
  readonly topNode: string
  /** The disk's own node, below all filters of ours. */
  readonly node: string
  readonly bytes: number
  readonly format: string
  readonly file: string
  readonly virtio: boolean
  readonly bitmaps: readonly GraphBitmap[]
}

/** A drive that is not replicated, and why. */
export type SkippedDrive = {
  readonly label: string
  readonly reason: 'removable' | 'read-only' | 'empty' | 'no-id'
}

export type BlockGraph = {
  readonly disks: readonly GraphDisk[]
  readonly skipped: readonly SkippedDrive[]
  readonly nodeNames: ReadonlySet<string>
}

type BlockInfo = {
  readonly device: string
  readonly qdev?: string
  readonly removable: boolean
  readonly inserted?: NodeInfo
}
type NodeInfo = {
  readonly 'node-name'?: string
  readonly drv: string
  readonly ro: boolean
  readonly file: string
  readonly image: { readonly 'virtual-size': number; readonly filename: string }
  readonly 'dirty-bitmaps'?: readonly BitmapInfo[]
}
type BitmapInfo = {
  readonly name?: string
  readonly count: number
  readonly granularity: number
  readonly recording: boolean
  readonly persistent: boolean
  readonly inconsistent?: boolean
  readonly busy: boolean
}

export async function readBlockGraph(qmp: Qmp): Promise<BlockGraph> {
  // Asked together: a busy QEMU makes every round trip wait for its main loop.
  const [drives, nodes] = await Promise.all([
    qmp.execute<readonly BlockInfo[]>('query-block'),
    qmp.execute<readonly NodeInfo[]>('query-named-block-nodes', { flat: true }),
  ])
  const byName = new Map(nodes.map((node) => [node['node-name'] ?? '', node]))
  const disks: GraphDisk[] = []
  const skipped: SkippedDrive[] = []
  for (const drive of drives) {
    // A drive without a device is a file that QEMU has open for itself, such as the UEFI variables.
    if (drive.qdev === undefined || drive.qdev === '') continue
    const disk = toDisk(drive, toPath(drive.qdev), byName)
    if ('reason' in disk) skipped.push(disk)
    else disks.push(disk)
  }
  return { disks, skipped, nodeNames: new Set(byName.keys()) }
}

/** QEMU gives the id of a device that has one itself, else a path: a virtio disk is a nameless child of the device. */
const toPath = (qdev: string): string => (qdev.startsWith('/') ? qdev : `/machine/peripheral/${qdev}`)

function toDisk(
  drive: BlockInfo,
  devicePath: string,
  byName: ReadonlyMap<string, NodeInfo>,
): GraphDisk | SkippedDrive {
  const label = drive.device === '' ? devicePath : drive.device
  const topNode = drive.inserted?.['node-name']
  if (drive.inserted === undefined || topNode === undefined) return { label, reason: 'empty' }
  const node = byName.get(belowOurFilters(topNode, [...byName.keys()]))
  if (node === undefined) return { label, reason: 'empty' }
  if (drive.removable) return { label, reason: 'removable' }
  if (node.ro) return { label, reason: 'read-only' }
  const key = deviceKey(devicePath)
  if (key === null) return { label, reason: 'no-id' }
  return {
    key,
    devicePath,
    topNode,
    node: node['node-name'] ?? '',
    bytes: node.image['virtual-size'],
    format: node.drv,
    file: node.file,
    virtio: devicePath.endsWith('/virtio-backend'),
    bitmaps: (node['dirty-bitmaps'] ?? []).flatMap(toBitmap),
  }
}

function toBitmap(info: BitmapInfo): GraphBitmap[] {
  // Bitmaps without a name belong to jobs of QEMU itself.
  if (info.name === undefined) return []
  const { name, count, granularity, recording, persistent, busy } = info
  return [
    {
      name,
      granularityBytes: granularity,
      dirtyBytes: count,
      recording,
      persistent,
      inconsistent: info.inconsistent === true,
      busy,
    },
  ]
}

/**
 * The key of a disk is its device's id; we give ours `dev-<key>`, and behind libvirt an alias. Unnamed devices have no name
 * that lasts.
 */
function deviceKey(devicePath: string): DiskKey | null {
  const id = /^\/machine\/peripheral\/([^/]+)(\/|$)/.exec(devicePath)?.[1]
  if (id === undefined) return null
  const key = id.startsWith('dev-') ? id.slice('dev-'.length) : (keyOfAlias(id) ?? id)
  return DISK_KEY.test(key) ? (key as DiskKey) : null
}

/** Our filters say in their name what lies below them. */
export function belowOurFilters(topNode: string, nodeNames: readonly string[]): string {
  const below = childOf(topNode, nodeNames)
  return below === null ? topNode : belowOurFilters(below, nodeNames)
}

/** The node right below one of our filters; null when the node is no filter of ours. */
export function childOf(node: string, nodeNames: readonly string[]): string | null {
  const ours = parseNode('cbw', node)
  if (ours === null) return null
  return nodeNames.find((name) => digest(name) === ours.childDigest) ?? null
}

/** A filter that shows nobody anything any more: its point was released while another filter lay above it. */
export function isDeadFilter(node: string, nodeNames: ReadonlySet<string>): boolean {
  const ours = parseNode('cbw', node)
  return ours !== null && !nodeNames.has(accessNode(ours.tail))
}
