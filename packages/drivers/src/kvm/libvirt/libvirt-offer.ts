// Offering a replica's disks to a domain, the first time and after our restart.
//
// libvirt opens the backing without QEMU's `reconnect-delay` (before 9.1 it knows none for NBD): once the connection is lost,
// the next read fails, which stops the guest, and only begins to connect again in the background. So nobody is told that the
// disks are there before a read of each of them has come through.
import { setTimeout as sleep } from 'node:timers/promises'
import { Outage } from '@understudy/base/errors'
import type { BlockReader } from '@understudy/block/device'
import type { BootDisk, BootSpec } from '@understudy/engine/ports/target-platform'
import { serveDisks } from '../boot-replica.ts'
import { withMonitor } from '../monitor.ts'
import { backingSocketPath } from '../replica-definition.ts'
import type { LibvirtRun, LibvirtSite } from './libvirt-site.ts'

/** QEMU waits up to 16 s between two attempts to connect. */
const CONNECT_MILLISECONDS = 40_000
const POLL_MILLISECONDS = 200

export async function offerDisks(
  site: Pick<LibvirtSite, 'exports'>,
  run: LibvirtRun,
  spec: Pick<BootSpec, 'runId' | 'disks'>,
  signal?: AbortSignal,
): Promise<void> {
  const disks = spec.disks.map(listening)
  const isNew = await serveDisks(site, run.replica, { ...spec, disks })
  if (isNew) for (const { reader } of disks) heard.delete(reader)
  if (!run.domain.active) return
  const needed = new Set(
    run.replica.definition.disks.flatMap(({ key, backing }) => (backing === undefined ? [] : [key])),
  )
  const silent = (): boolean => disks.some(({ key, reader }) => needed.has(key) && !heard.has(reader))
  const deadline = performance.now() + CONNECT_MILLISECONDS
  while (silent()) {
    if (performance.now() > deadline) throw notConnected(run)
    await readFromBacking(run, signal)
    await sleep(POLL_MILLISECONDS, undefined, signal === undefined ? {} : { signal })
  }
}

/** Readers of ours that QEMU has asked something since they were offered. */
const heard = new WeakSet<BlockReader>()
/** One for each reader: who offers the same reader twice is to be known by it. */
const listeners = new WeakMap<BlockReader, BlockReader>()

/** The same disk, except that whatever is asked of it is noticed. */
function listening({ reader, ...disk }: BootDisk): BootDisk {
  const known = listeners.get(reader) ?? toListener(reader)
  listeners.set(reader, known)
  return { ...disk, reader: known }
}

function toListener(reader: BlockReader): BlockReader {
  const { readInto, map } = reader
  const hear = (): void => void heard.add(listener)
  const listener: BlockReader = {
    bytes: reader.bytes,
    read(...request) {
      hear()
      return reader.read(...request)
    },
    ...(readInto !== undefined && {
      readInto: (...request: Parameters<typeof readInto>) => {
        hear()
        return readInto.apply(reader, request)
      },
    }),
    ...(map !== undefined && {
      map: (...request: Parameters<typeof map>) => {
        hear()
        return map.apply(reader, request)
      },
    }),
    close: () => reader.close(),
  }
  return listener
}

type Node = { readonly 'node-name'?: string; readonly drv: string; readonly file: string }

/** One small read of every disk that is ours, below the guest and its overlays. Whether it comes, our reader hears. */
async function readFromBacking({ replica }: LibvirtRun, signal: AbortSignal | undefined): Promise<void> {
  const socket = backingSocketPath(replica.folder)
  await withMonitor(
    replica,
    async (qmp) => {
      const nodes = await qmp.execute<readonly Node[]>('query-named-block-nodes', { flat: true })
      for (const { 'node-name': name, drv, file } of nodes)
        if (name !== undefined && drv === 'nbd' && file.includes(socket))
          await qmp.human(`qemu-io ${name} "read -q 0 512"`)
    },
    { signal },
  )
}

const notConnected = ({ domain }: LibvirtRun): Outage =>
  new Outage({
    code: 'target/backing-not-connected',
    message: `QEMU of ${domain.name} did not come back for its disks within ${CONNECT_MILLISECONDS / 1000} s`,
    remedy: 'See whether its host is overloaded; it is tried again.',
  })
