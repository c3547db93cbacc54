// Of the two replicas of a reprotect one goes. Where it lies may be out of reach just then: that keeps no machine from being replicated,
// so it is written down, told, and removed once its site answers.
import { Outage, Refusal } from '@understudy/base/errors'
import type { JobId } from '@understudy/domain/jobs/job'
import type { ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, recordEvent, resolveAlert } from '../events/report.ts'
import type { TaskScope } from '../jobs/job-scope.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { replicasOf } from '../sites/platform-of.ts'

/** Open for as long as one lies where it is not needed any more. */
const NOT_REMOVED_ALERT = 'reprotect/replica-not-removed'

type Place = { readonly siteId: SiteId; readonly replicaId: ReplicaId }

/**
 * Removes that one which the protection does not use. `owner`: the job that turned it, if it is known. Throws while its site does not
 * answer. Repeatable.
 */
export async function removeNeedless(
  { parts }: Pick<EngineContext, 'parts'>,
  id: ProtectionId,
  owner: JobId | null,
): Promise<void> {
  const needless = await needlessOf(parts, id, owner)
  if (needless === null) return
  await deleteAt(parts, needless)
  // Whoever was late finds the notes of the next turn, which are not his to clear.
  if (sameAs(await needlessOf(parts, id, owner), needless))
    await parts.stores.protections.updateNotes(id, { turning: null })
  await tellIfNothingIsLeft(parts, id)
}

/** Before the next turn takes the place in the notes: what cannot be removed now is kept beside it. Never holds a reprotect up for long. */
export async function removeOrSetAside(
  { parts }: Pick<EngineContext, 'parts'>,
  id: ProtectionId,
  task: TaskScope,
): Promise<void> {
  const bound = { seconds: parts.config.deadSiteSeconds, signal: task.signal }
  try {
    await withinSeconds(parts, bound, () => removeNeedless({ parts }, id, null))
  } catch (error) {
    if (!isToldLater(error)) throw error
    const needless = await needlessOf(parts, id, null)
    if (needless === null) return
    const { setAside = [] } = await parts.stores.protections.notes(id)
    const others = setAside.filter((one) => !sameAs(one, needless))
    // Both in one write: after a crash it is known in one place or the other.
    await parts.stores.protections.updateNotes(id, { turning: null, setAside: [...others, needless] })
    await tellNotRemoved(parts, id, { place: needless, why: error.message })
    task.note(`What an earlier reprotect left over could not be removed now: ${error.message}`)
  }
}

/** All that is left over. What cannot be removed is told, and stays written down. Repeatable. */
export async function removeLeftOver(
  parts: EngineParts,
  id: ProtectionId,
  signal: AbortSignal,
): Promise<void> {
  const bound = { seconds: parts.config.deadSiteSeconds, signal }
  for (const place of await leftOver(parts, id))
    try {
      await withinSeconds(parts, bound, () => deleteAt(parts, place))
      await strike(parts, id, place)
    } catch (error) {
      if (!isToldLater(error)) throw error
      await tellNotRemoved(parts, id, { place, why: error.message })
    }
  await tellIfNothingIsLeft(parts, id)
}

/** Whoever removes the last one ends the alert: nobody looks at this protection again for it. */
async function tellIfNothingIsLeft(parts: EngineParts, id: ProtectionId): Promise<void> {
  const { setAside = [], turning } = await parts.stores.protections.notes(id)
  if (setAside.length === 0 && !turning)
    await resolveAlert(parts, NOT_REMOVED_ALERT, await loadProtection(parts, id))
}

/** The protection is about to be forgotten: what stays behind then is told by name. */
export async function tellLeftOver(parts: EngineParts, id: ProtectionId): Promise<void> {
  await removeLeftOver(parts, id, new AbortController().signal)
  const { name } = await loadProtection(parts, id)
  for (const { siteId, replicaId } of await leftOver(parts, id))
    await recordEvent(parts, {
      severity: 'warning',
      code: 'protection/left-behind',
      message: `The former replica ${replicaId} stays at ${await siteName(parts, siteId)}: it could not be reached when ${name} was ended. Remove it there by hand.`,
      subject: { id, name },
      facts: { siteId, replicaId },
    })
}

async function leftOver(parts: EngineParts, id: ProtectionId): Promise<readonly Place[]> {
  const { setAside = [] } = await parts.stores.protections.notes(id)
  const turned = await needlessOf(parts, id, null)
  return turned === null ? setAside : [...setAside, turned]
}

const isToldLater = (error: unknown): error is Outage | Refusal =>
  error instanceof Outage || error instanceof Refusal

async function needlessOf(
  parts: Pick<EngineParts, 'stores'>,
  id: ProtectionId,
  owner: JobId | null,
): Promise<Place | null> {
  const { turning, claim = null } = await parts.stores.protections.notes(id)
  // It is given back by now. A claim of another job, in the same notes, says that these are the replicas of its turn.
  if (!turning || (claim !== null && claim.jobId !== owner)) return null
  // After the notes: which of these two a protection uses is then told right, however late it is read.
  const protection = await loadProtection(parts, id)
  const isTurned = protection.replicaId === turning.replicaId
  // Before the turn the reverse replica lies at the source's site, and after it the former one does.
  return {
    siteId: protection.sourceSiteId,
    replicaId: isTurned ? turning.formerReplicaId : turning.replicaId,
  }
}

const sameAs = (one: Place | null, other: Place): boolean =>
  one !== null && one.siteId === other.siteId && one.replicaId === other.replicaId

async function deleteAt(parts: EngineParts, { siteId, replicaId }: Place): Promise<void> {
  const replicas = await replicasOf(parts, siteId)
  await replicas.deleteReplica(replicaId)
}

async function strike(parts: EngineParts, id: ProtectionId, gone: Place): Promise<void> {
  const { setAside = [] } = await parts.stores.protections.notes(id)
  const turned = await needlessOf(parts, id, null)
  await parts.stores.protections.updateNotes(id, {
    setAside: setAside.filter((one) => !sameAs(one, gone)),
    ...(sameAs(turned, gone) ? { turning: null } : {}),
  })
}

async function tellNotRemoved(
  parts: EngineParts,
  id: ProtectionId,
  { place, why }: { readonly place: Place; readonly why: string },
): Promise<void> {
  const { name } = await loadProtection(parts, id)
  const where = await siteName(parts, place.siteId)
  await raiseAlert(parts, {
    severity: 'warning',
    code: NOT_REMOVED_ALERT,
    message: `A former replica of ${name} still takes room at ${where}: it could not be removed (${why})`,
    remedy: `Nothing waits for it. It is removed as soon as ${where} answers.`,
    subject: { id, name },
    facts: { ...place },
  })
}

const siteName = async ({ stores }: EngineParts, id: SiteId): Promise<string> =>
  (await stores.sites.find(id))?.name ?? 'its site'
