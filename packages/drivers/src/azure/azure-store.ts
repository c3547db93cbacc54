// Replicas as page blobs in a container of an Azure storage account. See DESIGN.md for the order of requests and what a crash
// leaves.
import type { Clock } from '@understudy/base/instant'
import type { ReplicaId } from '@understudy/domain/protection/protection'
import { checkReplicaId, notFound } from '@understudy/engine/ports/replica-failures'
import type { ReplicaStore } from '@understudy/engine/ports/replica-store'
import { type AzureContainer, connectAzure } from './azure-calls.ts'
import { replicaFolder } from './blob-names.ts'
import { cannotEncrypt, isContainerGone } from './failures.ts'
import { type AzureLimits, defaultLimits } from './limits.ts'
import { openPointsRegistry } from './open-points.ts'
import { openedReplica } from './opened-replica.ts'
import { type Pace, pacedCalls } from './paced-calls.ts'
import { defaultPatience, type Patience, type Patient, patientCalls } from './patient-calls.ts'
import { probePageDiff } from './probe.ts'
import { removeFolder, sweep } from './remove-points.ts'
import { createHead, HEADS, headName, loadHead } from './replica-head.ts'
import { ReplicaState } from './replica-state.ts'
import { slowedDown } from './slowed-down.ts'
import type { StorageCalls } from './storage-calls.ts'

export type AzureStoreOptions = {
  /** The container is there already: making one needs rights that replicating does not. */
  readonly container: AzureContainer
  readonly clock: Clock
  readonly limits?: Partial<AzureLimits>
  /** Left out: as fast as it goes. */
  readonly pace?: Pace
  readonly patience?: Partial<Patience>
}

export function openAzureStore(options: AzureStoreOptions): ReplicaStore {
  return replicaStoreOver(() => connectAzure(options.container), options)
}

/** The same over any implementation of the requests. */
export function replicaStoreOver(
  connect: () => Promise<StorageCalls>,
  { clock, limits: given, pace, patience }: Omit<AzureStoreOptions, 'container'>,
): ReplicaStore {
  const limits = { ...defaultLimits, ...given }
  const openPoints = openPointsRegistry()
  const slowed = slowedDown(clock)
  const connection = once(async (): Promise<Patient> => {
    const onThrottled = (): void => slowed.note()
    const patient = patientCalls(await connect(), {
      ...defaultPatience,
      isInUse: true,
      onThrottled,
      ...patience,
    })
    return pace === undefined ? patient : pacedCalls(patient, pace)
  })
  const pageDiff = once(async () => probePageDiff(await connection()))

  return {
    async createReplica(spec) {
      checkReplicaId(spec.id)
      if (spec.encrypt) throw cannotEncrypt(spec.machineName)
      const calls = await connection()
      if ((await loadHead(calls, spec.id)) !== null) return
      // What a deletion that was cut short has left of an earlier one.
      await removeFolder(calls, replicaFolder(spec.id))
      await createHead(calls, spec.id, spec.machineName)
    },

    async openReplica(id, epoch) {
      const calls = await connection()
      const seen = await loadHead(calls, checkReplicaId(id))
      if (seen === null) throw notFound(id)
      const state = new ReplicaState({ calls, id, limits, clock, pageDiff }, seen)
      if (epoch === null) await state.refresh()
      else {
        await state.claim(epoch)
        await sweep(state, () => state.checkOwner())
      }
      return openedReplica({ state, mayWrite: epoch !== null, openPoints })
    },

    async exists(id) {
      return (await loadHead(await connection(), checkReplicaId(id))) !== null
    },

    async deleteReplica(id) {
      const calls = await connection()
      checkReplicaId(id)
      try {
        // The head first: without it nothing of the rest counts, and whoever still writes is refused.
        if ((await loadHead(calls, id)) !== null) await calls.remove(headName(id), {})
        await removeFolder(calls, replicaFolder(id))
      } catch (error) {
        // It went with its container: what is not there any more needs no removal, and nothing may wait for one.
        if (!isContainerGone(error)) throw error
      }
    },

    async list() {
      const ids: ReplicaId[] = []
      for await (const { name } of (await connection()).list(HEADS, {}))
        if (name.endsWith('.json')) ids.push(name.slice(HEADS.length, -'.json'.length) as ReplicaId)
      return ids
    },

    // Azure has to boot from what lies there.
    encrypts: false,

    strain: () => slowed.strain(),

    // An account holds petabytes, and what others keep in it cannot be asked for.
    freeBytes: async () => null,
  }
}

/** What was begun is waited for by all; what failed is begun anew by the next. */
function once<Result>(work: () => Promise<Result>): () => Promise<Result> {
  let begun: Promise<Result> | null = null
  return () => {
    if (begun === null) {
      begun = work()
      begun.catch(() => {
        begun = null
      })
    }
    return begun
  }
}
