// The machine that ran at the second site while the first one was away. It may go once the direction has turned, but only if every
// byte of it is in the common point.
import type { RunId } from '@understudy/domain/failover/failover'
import type { DiskKey, MachineRef } from '@understudy/domain/machines/machine'
import type { Protection } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { DiskFingerprint } from '../ports/source-platform.ts'
import { platformOf, sourceOf } from '../sites/platform-of.ts'
import { tellFailover, whereaboutsOf } from './boot-run.ts'
import { fingerprintsOf } from './remove-replica.ts'

/** The machine that ran before, as it is now. */
export type Original = {
  readonly fingerprints: readonly DiskFingerprint[]
  readonly disks: readonly DiskKey[]
  readonly ownedBy: RunId | null
}

/** `fingerprints` of the moment when its disks were the common point, byte for byte; null: they never were. */
export type StandIn = {
  readonly ref: MachineRef
  readonly runId: RunId
  readonly fingerprints: readonly DiskFingerprint[] | null
}

export const goes = (standIn: StandIn | null): boolean => standIn !== null && standIn.fingerprints !== null

/**
 * Null: the machine that ran before is not ours. It may go only if every byte of it is in the common point: what it wrote after
 * a point that was chosen by hand, after an unplanned failover or on an excluded disk exists nowhere else.
 */
export function standInOf(
  protection: Protection,
  original: Original,
  noted: readonly DiskFingerprint[],
): StandIn | null {
  // Only where another machine is the original: the first machine of all is never ours to remove.
  if (protection.direction === 'forward' || original.ownedBy === null) return null
  const proven = noted.length > 0 && original.disks.every((key) => !protection.excludedDisks.includes(key))
  return { ref: protection.sourceRef, runId: original.ownedBy, fingerprints: proven ? noted : null }
}

function areEqual(noted: readonly DiskFingerprint[], now: readonly DiskFingerprint[]): boolean {
  const values = new Map(now.map(({ key, value }) => [key, value]))
  return noted.length === now.length && noted.every(({ key, value }) => values.get(key) === value)
}

/** After coming home: what stood in at the second site goes if it is still what the common point holds. Repeatable. */
export async function removeStandIn(
  context: EngineContext,
  turned: Protection,
  standIn: StandIn,
): Promise<string> {
  const { source, target } = await platformOf(context.parts, turned.targetSiteId)
  const machine = (await source?.inventory())?.find(({ ref }) => ref === standIn.ref)
  if (!machine) return 'It is not there any more'
  // Copying took its time; somebody may have started it meanwhile.
  const proven = standIn.fingerprints !== null && (await isUntouched(context, turned, standIn))
  if (!proven) return await keepStandIn(context, turned, standIn, machine.name)
  const run = await context.parts.stores.runs.find(standIn.runId)
  // Last: whoever took over this job may have kept it, and then somebody may have failed back to it.
  const { replicaId, originalRef } = await loadProtection(context.parts, turned.id)
  if (replicaId !== turned.replicaId || originalRef === standIn.ref) return 'It stays: it counts again by now'
  await target?.destroy(standIn.runId, run ? whereaboutsOf(run) : { kind: 'anywhere' })
  return `${machine.name} was removed`
}

async function isUntouched(
  context: EngineContext,
  turned: Protection,
  { ref, fingerprints }: StandIn,
): Promise<boolean> {
  const source = await sourceOf(context.parts, turned.targetSiteId)
  if ((await source.powerState(ref)) !== 'off') return false
  return areEqual(fingerprints ?? [], await fingerprintsOf(context, turned, ref))
}

async function keepStandIn(
  context: EngineContext,
  turned: Protection,
  standIn: StandIn,
  name: string,
): Promise<string> {
  const { protections, sites } = context.parts.stores
  // As an original it is known: watched for a second life, and protected by nobody else.
  await protections.update(turned.id, { originalRef: standIn.ref })
  const site = await sites.find(turned.targetSiteId)
  const where = `${name} stays at ${site?.name ?? 'its site'}`
  await tellFailover(context, turned, {
    severity: 'warning',
    code: 'reprotect/stand-in-kept',
    message: `${where}: it may hold what was written there and never copied. Save what you need from it, then remove it there.`,
    facts: { siteId: turned.targetSiteId, machine: name },
  })
  return where
}
