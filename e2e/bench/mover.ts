// A mover: runs the engine's own cycle from a KVM machine into a journal. As a program of its own it takes orders from its
// parent, so that its memory is nobody else's.
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { KiB } from '@understudy/base/bytes'
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { defaultEngineConfig } from '@understudy/engine/engine-parts'
import type { Replica } from '@understudy/engine/ports/replica-store'
import type { SourcePlatform } from '@understudy/engine/ports/source-platform'
import { type CycleOutcome, runCycle } from '@understudy/engine/replication/run-cycle'
import { openJournalStore } from '@understudy/journal/journal-store'
import { openSource } from './bench-site.ts'

export const trackingId = 'bench'

/** As the engine runs it, with the engine's own settings. */
export async function runOneCycle(
  source: SourcePlatform,
  replica: Replica,
  ref: MachineRef,
): Promise<CycleOutcome> {
  const outcome = await runCycle({
    source,
    replica,
    ref,
    trackingId,
    excludedDisks: [],
    resyncReason: null,
    consistency: 'crash',
    limits: [],
    config: defaultEngineConfig,
    time: { now: () => Date.now(), sleep: async (milliseconds) => sleep(milliseconds) },
    signal: new AbortController().signal,
    onPlan: async () => undefined,
    onProgress: () => undefined,
  })
  if (outcome.releaseFailure !== null) throw outcome.releaseFailure
  return outcome
}

export type MoverOrder = {
  readonly machinesFolder: string
  readonly replicasFolder: string
  readonly ref: MachineRef
  readonly replicaId: ReplicaId
  readonly compress: boolean
}

export type MoverReport =
  | { readonly milliseconds: number; readonly storedBytes: number; readonly peakBytes: number }
  | { readonly failure: string }

/** The first copy of a machine into a new replica. */
async function seed(order: MoverOrder): Promise<MoverReport> {
  const source = openSource(order.machinesFolder)
  const store = openJournalStore({ folder: order.replicasFolder, clock: { now: () => Date.now() } })
  const id = order.replicaId
  await store.createReplica({ id, machineName: 'bench', compress: order.compress, encrypt: false })
  const replica = await store.openReplica(id, 1)
  const startedAt = performance.now()
  const { point } = await runOneCycle(source, replica, order.ref)
  const milliseconds = performance.now() - startedAt
  await replica.close()
  await source.stopTracking(order.ref, trackingId)
  return { milliseconds, storedBytes: point.storedBytes, peakBytes: await peakResidentBytes() }
}

async function peakResidentBytes(): Promise<number> {
  const status = await readFile('/proc/self/status', 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * KiB
}

async function answer(order: MoverOrder): Promise<void> {
  const report = await seed(order).catch(
    (error: unknown): MoverReport => ({ failure: String(error instanceof Error ? error.stack : error) }),
  )
  process.send?.(report)
}

if (import.meta.main)
  process.on('message', (order: MoverOrder) => {
    void answer(order)
  })
