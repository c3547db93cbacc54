// Offering recovery points to QEMUs: one NBD server per run, on a socket in the machine's folder. The guest's reads of what
// it has not written itself come here until it is hydrated. When this process dies they wait, and go on with the next one.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type NbdServer, type NbdServerSettings, startNbdServer } from '@understudy/block/nbd/server'
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey } from '@understudy/domain/machines/machine'
import type { BootDisk } from '@understudy/engine/ports/target-platform'
import type { Host } from './host.ts'

export type ServedDisk = Pick<BootDisk, 'key' | 'reader'>

export interface ReplicaExports {
  /**
   * Offers these disks, under their keys, at a socket path of the host; replaces what this run offered before. Does nothing
   * while these very readers are offered there, so that nobody is disturbed; returns whether it did anything. Closes no reader.
   */
  serve(runId: RunId, host: Host, socketPath: string, disks: readonly ServedDisk[]): Promise<boolean>
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
  const offers = new Map<RunId, Offer>()
  /** What is being done for a run: an end must find what is being opened at this moment, or nobody would ever close it. */
  const turns = new Map<RunId, Promise<unknown>>()

  const inTurn = <Result>(runId: RunId, work: () => Promise<Result>): Promise<Result> => {
    const mine = (turns.get(runId) ?? Promise.resolve()).then(work)
    const settled = mine
      .catch(() => undefined)
      .then(() => {
        if (turns.get(runId) === settled) turns.delete(runId)
      })
    turns.set(runId, settled)
    return mine
  }
  const close = async (runId: RunId): Promise<void> => {
    const offer = offers.get(runId)
    offers.delete(runId)
    await offer?.close()
  }
  const end = (runId: RunId): Promise<void> => inTurn(runId, () => close(runId))

  const serve: ReplicaExports['serve'] = async (runId, host, socketPath, disks) => {
    const offer = offers.get(runId)
    if (offer?.holds(disks) === true && !(await offer.isLost())) return false
    await close(runId)
    const onFailure = (disk: string, error: unknown) => options.onFailure?.(runId, disk, error)
    // From the first moment on: a guest that waits for us connects at once and must not be told that its disk is unknown.
    const exports = disks.map(({ key, reader }) => ({ name: key, disk: reader, readOnly: true }))
    const holds = (wanted: readonly ServedDisk[]): boolean =>
      wanted.every(({ key, reader }) => disks.some((disk) => disk.key === key && disk.reader === reader))
    offers.set(runId, { ...(await openOffer(host, socketPath, { exports, onFailure })), holds })
    return true
  }

  return {
    serve: (runId, host, socketPath, disks) => inTurn(runId, () => serve(runId, host, socketPath, disks)),
    async withdraw(runId, key) {
      await offers.get(runId)?.server.unexport(key)
    },
    end,
    async endAll() {
      await Promise.all([...new Set([...offers.keys(), ...turns.keys()])].map(end))
    },
  }
}

type OpenOffer = {
  readonly server: NbdServer
  /** Nobody can find it any more. */
  isLost(): Promise<boolean>
  close(): Promise<void>
}
type Offer = OpenOffer & { holds(disks: readonly ServedDisk[]): boolean }

/** Listens in the machine's folder, or, when that is elsewhere, here, and is offered there. */
async function openOffer(
  host: Host,
  socketPath: string,
  settings: Pick<NbdServerSettings, 'exports' | 'onFailure'>,
): Promise<OpenOffer> {
  if (host.offer === undefined) {
    const server = await startNbdServer({ address: { kind: 'unix', path: socketPath }, ...settings })
    try {
      await host.handOver?.(socketPath)
    } catch (error) {
      await server.close()
      throw error
    }
    const isLost = async (): Promise<boolean> => (await host.status(socketPath)) === null
    return { server, isLost, close: () => server.close() }
  }
  const folder = await mkdtemp(join(tmpdir(), 'understudy-'))
  const path = join(folder, 'base.sock')
  const server = await startNbdServer({ address: { kind: 'unix', path }, ...settings })
  const closeHere = async (): Promise<void> => {
    await server.close()
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const there = await host.offer(path, socketPath, async () => host.handOver?.(socketPath))
    return {
      server,
      isLost: () => there.isLost(),
      async close() {
        await there.close()
        await closeHere()
      },
    }
  } catch (error) {
    await closeHere()
    throw error
  }
}
