// Whether and how the direction may turn: decided once, while nothing has been touched but an original that had to be switched off.
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import type { RunId } from '@understudy/domain/failover/failover'
import { isEligible, type MachineHardware, type MachineRef } from '@understudy/domain/machines/machine'
import type { Protection, ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { DiskFingerprint, SourcePlatform } from '../ports/source-platform.ts'
import type { ReprotectRequest } from '../requests.ts'
import { platformOf, sourceOf } from '../sites/platform-of.ts'
import { refuseBlockers } from './boot-run.ts'
import { newestBoot } from './newest-boot.ts'
import { goes, type Original, type StandIn, standInOf } from './stand-in.ts'

/** Decided once. Small JSON. */
export type TurnPlan = {
  readonly replicaId: ReplicaId
  readonly formerReplicaId: ReplicaId
  readonly pointId: PointId
  /** The machine that runs now. */
  readonly ref: MachineRef
  readonly hardware: MachineHardware
  /** The machine that ran before, if it is still there and not ours to remove. */
  readonly originalRef: MachineRef | null
  /** The machine that ran before was booted by a run of ours: it has done its part and may go once the direction has turned. */
  readonly standIn: StandIn | null
  readonly fingerprints: readonly DiskFingerprint[]
  /** The original's disks are exactly the common point. */
  readonly originalIsCommonPoint: boolean
}

/** Refuses what stands in the way. Switches the original off where that was asked for. */
export async function planTurn(context: EngineContext, request: ReprotectRequest): Promise<TurnPlan> {
  const { parts } = context
  const protection = await loadProtection(parts, request.protectionId)
  const run = present(await newestBoot(parts, protection.id), 'a committed failover has a machine')
  await refuseActiveTest(context, protection.id)
  const source = await sourceOf(parts, protection.targetSiteId)
  const eligibility = await source.eligibility(run.machineRef)
  if (!isEligible(eligibility)) refuseBlockers(eligibility.findings)
  const machines = await source.inventory()
  const { stoppedSource = null } = await parts.stores.protections.notes(protection.id)
  const original = await lookAtOriginal(context, protection, request)
  const originalIsCommonPoint =
    original !== null && stoppedSource?.pointId === run.pointId && stoppedSource.replicaId === run.replicaId
  const noted = originalIsCommonPoint ? (stoppedSource?.fingerprints ?? []) : []
  const standIn = original && standInOf(protection, original, noted)
  return {
    replicaId: parts.newId() as ReplicaId,
    formerReplicaId: protection.replicaId,
    pointId: run.pointId,
    ref: run.machineRef,
    hardware: machines.find(({ ref }) => ref === run.machineRef)?.hardware ?? protection.hardware,
    // One that stays may hold data that nobody has copied: it is known, so it is watched and never protected by accident.
    originalRef: original === null || goes(standIn) ? null : protection.sourceRef,
    standIn,
    fingerprints: stoppedSource?.fingerprints ?? original?.fingerprints ?? [],
    originalIsCommonPoint,
  }
}

async function refuseActiveTest(context: EngineContext, id: ProtectionId): Promise<void> {
  const active = await context.parts.stores.runs.active(id)
  if (!active.some(({ kind }) => kind === 'test')) return
  throw new Refusal({
    code: 'failover/test-is-up',
    message: 'A test failover still runs from the replica that would go',
    remedy: 'Clean it up first.',
  })
}

/**
 * The machine that ran before must be off: its site would soon be told to overwrite it. Null when it is not there any
 * more, else its fingerprints as it is now.
 */
async function lookAtOriginal(
  context: EngineContext,
  protection: Protection,
  request: ReprotectRequest,
): Promise<Original | null> {
  const source = await sourceOf(context.parts, protection.sourceSiteId)
  const ref = protection.sourceRef
  const { originals } = await platformOf(context.parts, protection.sourceSiteId)
  // Only a rescue system lets it be written to, which is looked for when it goes home: by then it may be another computer.
  if (originals) return await rescuedLater(source, protection)
  const machine = (await source.inventory()).find((each) => each.ref === ref)
  if (!machine) return null
  if ((await source.powerState(ref)) !== 'off') await stopOriginal(context, source, protection, request)
  const stopped = await source.openStoppedDisks(ref, {
    excludedDisks: protection.excludedDisks,
    trackingId: trackingIdOf(protection.id),
    since: null,
  })
  await stopped.close()
  return {
    fingerprints: stopped.fingerprints,
    disks: machine.hardware.disks.map(({ key }) => key),
    ownedBy: machine.ownedBy as RunId | null,
  }
}

async function rescuedLater(source: SourcePlatform, protection: Protection): Promise<Original> {
  const power = await source.powerState(protection.sourceRef)
  if (power === 'running' || power === 'paused')
    throw new Refusal({
      code: 'reprotect/original-runs',
      message: `The original ${protection.name} runs at the site that it would be replicated to`,
      remedy:
        'Switch it off by hand; what it wrote since the failover is overwritten when the machine goes home.',
    })
  return { fingerprints: [], disks: protection.hardware.disks.map(({ key }) => key), ownedBy: null }
}

async function stopOriginal(
  context: EngineContext,
  source: SourcePlatform,
  protection: Protection,
  request: ReprotectRequest,
): Promise<void> {
  if (!request.powerOffOriginal)
    throw new Refusal({
      code: 'reprotect/original-runs',
      message: `The original ${protection.name} runs at the site that it would be replicated to`,
      remedy: 'Switch it off, or let the reprotect switch it off.',
    })
  // Nothing is claimed yet. A process that stood still here may find the direction turned, and this machine the one that serves.
  const { state, replicaId } = await loadProtection(context.parts, protection.id)
  if (state !== 'committed' || replicaId !== protection.replicaId)
    throw new Refusal({
      code: 'protection/state-changed',
      message: `${protection.name} is ${state} now`,
      remedy: 'Look at the protection and decide again.',
    })
  await source.powerOff(protection.sourceRef)
}
