// Holding a running guest's disks at one instant:
//
//     device -> copy-before-write -> disk      with `on-cbw-error=break-snapshot`: when saving the old content fails, the
//                      |                       guest's write goes on and the snapshot's readers get errors instead
//                      +-> scratch
//     export -> snapshot-access -> copy-before-write
//
// Inserting filters is no part of a QMP transaction, so with several disks the guest is stopped for these few
// milliseconds. All commands go out in one write; a network's round trips do not lengthen the pause.
import type { BlockGraph, GraphDisk } from './block-graph.ts'
import { childOf, isDeadFilter, readBlockGraph } from './block-graph.ts'
import { additions, disabling } from './dirty-bitmaps.ts'
import type { Host } from './host.ts'
import {
  accessNode,
  type Checkpoint,
  filterNode,
  HELD_PAUSED,
  type OurNode,
  parseNode,
  scratchFileName,
  scratchNode,
} from './ownership.ts'
import type { Qmp, QmpCommand } from './qmp.ts'

/** After this, QEMU gives up the snapshot rather than let the guest's write wait for the scratch file. */
const COPY_TIMEOUT_SECONDS = 5
const EXPORT_END_MILLISECONDS = 10_000

export type SnapshotDisk = {
  readonly disk: GraphDisk
  readonly tail: string
  readonly scratchPath: string
  readonly scratchBytes: number
  /** The bitmap with the changes since the newest sealed point, or null: everything. */
  readonly sinceBitmap: string | null
}

/** Exports have the names of the nodes that they export. */
export const accessExport = (disk: SnapshotDisk): string => accessNode(disk.tail)
/** Shown only to tell where the guest has overwritten something: see toSnapshotDisk. */
export const scratchExport = (disk: SnapshotDisk): string => scratchNode(disk.tail)

export type HoldCommands = {
  readonly hold: readonly QmpCommand[]
  readonly mark: readonly QmpCommand[]
  readonly letGo: readonly QmpCommand[]
  readonly expose: readonly QmpCommand[]
}

/**
 * The commands of one point on one machine, in their order. `pause`: stop the guest for `mark`.
 *
 * The new bitmap records before the filter is there and the old one still after it: a write in between is in both, which
 * costs a block twice and loses none. So a single disk needs no pause: its instant is the insertion of its filter.
 */
export function holdCommands(
  disks: readonly SnapshotDisk[],
  bitmap: string,
  since: Checkpoint | null,
  pause: boolean,
): HoldCommands {
  const begin = additions(
    disks.map(({ disk }) => disk),
    bitmap,
    since,
  )
  const end = disks.flatMap(({ disk, sinceBitmap }) =>
    sinceBitmap === null ? [] : [disabling(disk, sinceBitmap)],
  )
  return {
    hold: pause ? [addMarker(HELD_PAUSED), { execute: 'stop' }] : [],
    mark: [transaction(begin), ...disks.map(addFilter), ...disks.map(insertFilter)],
    letGo: pause ? [{ execute: 'cont' }, removeMarker(HELD_PAUSED)] : [],
    expose: [...(end.length === 0 ? [] : [transaction(end)]), ...disks.flatMap(exposeCommands)],
  }
}

export const addMarker = (id: string): QmpCommand => ({
  execute: 'object-add',
  arguments: { 'qom-type': 'secret', id, data: 'none' },
})
export const removeMarker = (id: string): QmpCommand => ({ execute: 'object-del', arguments: { id } })

const transaction = (actions: readonly (readonly [string, unknown])[]): QmpCommand => ({
  execute: 'transaction',
  arguments: { actions: actions.map(([type, data]) => ({ type, data })) },
})

const addFilter = ({ disk, tail }: SnapshotDisk): QmpCommand => ({
  execute: 'blockdev-add',
  arguments: {
    driver: 'copy-before-write',
    'node-name': filterNode(tail),
    file: disk.topNode,
    target: scratchNode(tail),
    // Else the guest's discards would end here while a point is open.
    discard: 'unmap',
    'on-cbw-error': 'break-snapshot',
    'cbw-timeout': COPY_TIMEOUT_SECONDS,
  },
})

const insertFilter = ({ disk, tail }: SnapshotDisk): QmpCommand => setDrive(disk, filterNode(tail))

const setDrive = (disk: Pick<GraphDisk, 'devicePath'>, node: string): QmpCommand => ({
  execute: 'qom-set',
  arguments: { path: disk.devicePath, property: 'drive', value: node },
})

function exposeCommands(snapshot: SnapshotDisk): QmpCommand[] {
  const { disk, tail, sinceBitmap } = snapshot
  return [
    {
      execute: 'blockdev-add',
      arguments: { driver: 'snapshot-access', 'node-name': accessNode(tail), file: filterNode(tail) },
    },
    exportCommand(accessNode(tail), disk, sinceBitmap),
    withDepth(exportCommand(scratchNode(tail), disk, null)),
  ]
}

/** Saved zeros are told from what was not saved by nothing else. */
const withDepth = ({ execute, arguments: args }: QmpCommand): QmpCommand => ({
  execute,
  arguments: { ...args, 'allocation-depth': true },
})

/** The bitmap is named with its node: snapshot-access is no filter, so QEMU would not find it by name alone. */
export const exportCommand = (
  node: string,
  disk: Pick<GraphDisk, 'node'>,
  bitmap: string | null,
): QmpCommand => ({
  execute: 'block-export-add',
  arguments: {
    type: 'nbd',
    id: node,
    'node-name': node,
    name: node,
    writable: false,
    ...(bitmap === null ? {} : { bitmaps: [{ node: disk.node, name: bitmap }] }),
  },
})

/**
 * Takes down every snapshot of ours for which `isOurs` says so: export, access node, filter, scratch. Repeatable, also after
 * it was interrupted anywhere. A filter below another owner's stays until that one goes; then whoever comes removes it.
 * Resolves with what the block layer looks like then. Where nothing has to go, that costs one round trip.
 */
export async function removeSnapshots(
  qmp: Qmp,
  host: Host,
  folder: string,
  isOurs: (node: OurNode) => boolean,
): Promise<BlockGraph> {
  // QEMU answers in order, so what is asked together costs one round trip. Ending exports takes no node away.
  const [exports, before] = await Promise.all([listExports(qmp), readBlockGraph(qmp)])
  await endExports(qmp, exports, isOurs)
  const access = [...before.nodeNames].filter((name) => matches('acc', name, isOurs))
  const unexposed = await withoutNodes(qmp, before, access)
  const after = await takeOutDeadFilters(qmp, unexposed)

  // What was never inserted, or lies unused: deleting something that is in use fails, and that is right.
  const names = [...after.nodeNames]
  const unused = [
    ...names.filter((name) => matches('cbw', name, isOurs) && isDeadFilter(name, after.nodeNames)),
    ...names.filter((name) => matches('scr', name, isOurs)),
  ]
  const last = await withoutNodes(qmp, after, unused)
  await removeScratchFiles(host, folder, last.nodeNames, isOurs)
  return last
}

/** Tries to delete the nodes. The graph afterwards. */
async function withoutNodes(qmp: Qmp, graph: BlockGraph, names: readonly string[]): Promise<BlockGraph> {
  if (names.length === 0) return graph
  const [, after] = await Promise.all([qmp.batch(names.map(deletion)), readBlockGraph(qmp)])
  return after
}

const deletion = (node: string): QmpCommand => ({ execute: 'blockdev-del', arguments: { 'node-name': node } })

const matches = (kind: 'cbw' | 'acc' | 'scr', name: string, isOurs: (node: OurNode) => boolean): boolean => {
  const node = parseNode(kind, name)
  return node !== null && isOurs(node)
}

const listExports = (qmp: Qmp): Promise<readonly { readonly id: string }[]> =>
  qmp.execute<readonly { readonly id: string }[]>('query-block-exports')

async function endExports(
  qmp: Qmp,
  exports: readonly { readonly id: string }[],
  isOurs: (node: OurNode) => boolean,
): Promise<void> {
  const ours = exports
    .map(({ id }) => id)
    .filter((id) => matches('acc', id, isOurs) || matches('scr', id, isOurs))
  await Promise.all(ours.map((id) => endExport(qmp, id)))
}

/** Disconnects its clients and waits until QEMU has let go of the node. */
export async function endExport(qmp: Qmp, id: string): Promise<void> {
  const ended = qmp.event((event) => event.event === 'BLOCK_EXPORT_DELETED' && event.data.id === id, {
    milliseconds: EXPORT_END_MILLISECONDS,
  })
  // The deletion itself may fail first.
  ended.catch(() => undefined)
  await qmp.execute('block-export-del', { id, mode: 'hard' })
  await ended
}

/** From the top of every disk, as long as the topmost filter shows nobody anything. The graph afterwards. */
async function takeOutDeadFilters(qmp: Qmp, before: BlockGraph): Promise<BlockGraph> {
  for (let graph = before; ; ) {
    const commands = graph.disks
      .filter((disk) => isDeadFilter(disk.topNode, graph.nodeNames))
      .flatMap((disk): QmpCommand[] => {
        const below = childOf(disk.topNode, [...graph.nodeNames])
        const tail = parseNode('cbw', disk.topNode)?.tail
        if (below === null || tail === undefined) return []
        return [setDrive(disk, below), deletion(disk.topNode), deletion(scratchNode(tail))]
      })
    if (commands.length === 0) return graph
    const [settled, after] = await Promise.all([qmp.batch(commands), readBlockGraph(qmp)])
    // Without progress the next round would be the same one again.
    const failure = settled.find(
      ({ command, failure }) => command.execute === 'qom-set' && failure !== undefined,
    )
    if (failure?.failure !== undefined) throw failure.failure
    graph = after
  }
}

async function removeScratchFiles(
  host: Host,
  folder: string,
  nodeNames: ReadonlySet<string>,
  isOurs: (node: OurNode) => boolean,
): Promise<void> {
  for (const { name } of await host.list(folder)) {
    const node = name.endsWith('.qcow2') ? parseNode('scr', name.slice(0, -'.qcow2'.length)) : null
    if (node === null || !isOurs(node) || nodeNames.has(scratchNode(node.tail))) continue
    await host.removeFile(`${folder}/${scratchFileName(node.tail)}`)
  }
}
