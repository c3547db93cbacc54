// Offering recovery points to QEMUs: one NBD server per run, on a socket in the machine's folder. The guest's reads of what
// it has not written itself come here until it is hydrated. When this process dies they wait, and go on with the next one.
import { type NbdServer, startNbdServer } from '@understudy/block/nbd/server'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { BootDisk } from '@understudy/engine/ports/target-platform'
import type { Host } from './host.ts'

export interface ReplicaExports {
  /**
   * Offers exactly these disks, under their keys, at a socket path of the host; replaces what this run offered before.
   * Closes no reader.
   */
  serve(
    runId: RunId,
    host: Host,
    socketPath: string,
    disks: readonly Pick<BootDisk, 'key' | 'reader'>[],
  ): Promise<void>
  /** This disk needs us no more. Repeatable. */
  withdraw(runId: RunId, key: DiskKey): Promise<void>
  /** Repeatable. */
  end(runId: RunId): Promise<void>
  /** The guests that still need us wait from now on. */
  endAll(): Promise<void>
}

export type ReplicaExportsOptions = {
  /** Hears of reads that failed, for the log. */
  readonly onFailure?: (runId: RunId, disk: string, error: unknown) => void
}

export function replicaExports(options: ReplicaExportsOptions = {}): ReplicaExports {
  const servers = new Map<RunId, NbdServer>()

  const end = async (runId: RunId): Promise<void> => {
    const server = servers.get(runId)
    servers.delete(runId)
    await server?.close()
  }

  return {
    async serve(runId, _host, socketPath, disks) {
      await end(runId)
      const server = await startNbdServer({
        address: { kind: 'unix', path: socketPath },
        onFailure: (disk, error) => options.onFailure?.(runId, disk, error),
      })
      servers.set(runId, server)
      for (const { key, reader } of disks) server.export(key, reader, { readOnly: true })
    },
    async withdraw(runId, key) {
      await servers.get(runId)?.unexport(key)
    },
    end,
    async endAll() {
      await Promise.all([...servers.keys()].map(end))
    },
  }
}
