// A roll back whose target cannot be reached may go on without it, on a person's word. What it leaves there is written down first, told
// for as long as it may run, and removed once the site answers.
import { Outage } from '@understudy/base/errors'
import type { Run, RunId } from '@understudy/domain/failover/failover'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
import { withinSeconds } from '../sites/bounded-call.ts'
import { sourceOf } from '../sites/platform-of.ts'
import { tellFailover } from './boot-run.ts'
import { removeRun } from './remove-replica.ts'
import type { StillOurs } from './state-claim.ts'

/** Open for as long as what was left may run beside the machine. */
const LEFT_REPLICA_ALERT = 'failover/replica-left'

/** A person takes the responsibility: whatever failover is not over counts as left. Needs nothing from its site. Repeatable. */
export async function noteLeft(
  context: EngineContext,
  protectionId: ProtectionId,
  what: {
    readonly by: string
    readonly why: string
    readonly startedBy: string
    readonly jobId: string
    readonly stillOurs: StillOurs
  },
): Promise<void> {
  const { parts } = context
  const { by, why, startedBy, jobId, stillOurs } = what
  const protection = await loadProtection(parts, protectionId)
  const { leftReplicas = [] } = await parts.stores.protections.notes(protectionId)
  const runs = await failoversOf(parts, protectionId)
  const site = await parts.stores.sites.find(protection.targetSiteId)
  const where = site?.name ?? 'its target site'
  await stillOurs()
  await parts.stores.protections.updateNotes(protectionId, {
    leftReplicas: [...new Set([...leftReplicas, ...runs.map(({ id }) => id)])],
  })
  await raiseAlert(parts, {
    severity: 'critical',
    code: LEFT_REPLICA_ALERT,
    message: `${protection.name} was rolled back while its copy at ${where} could not be removed: that copy may still run beside it`,
    remedy: `It is removed as soon as ${where} answers and the original is seen to run. If it must go sooner, switch it off there by hand.`,
    subject: { id: protection.id, name: protection.name },
  })
  await tellFailover(context, protection, {
    severity: 'critical',
    code: 'failover/replica-left-accepted',
    message: `${protection.name} is rolled back although its copy at ${where} could not be removed: ${why}; ${by} went on`,
    facts: { jobId, startedBy, acceptedBy: by, runs: runs.map(({ id }) => id) },
  })
}

/** What was noted counts as over: nobody serves it any more, and nothing that is done with a failover finds it. Repeatable. */
export async function endLeft(
  { parts, keeper }: EngineContext,
  protectionId: ProtectionId,
  how: { readonly failure: string; readonly stillOurs: StillOurs },
): Promise<void> {
  const { leftReplicas = [] } = await parts.stores.protections.notes(protectionId)
  for (const run of await failoversOf(parts, protectionId)) {
    if (!leftReplicas.includes(run.id)) continue
    await how.stillOurs()
    // Its point stays held: it may be read once more before its machine has gone.
    await parts.stores.runs.update(run.id, {
      over: true,
      endedAt: parts.clock.now(),
      commitDeadline: null,
      failure: how.failure,
    })
    await keeper.drop(run.id)
    parts.live.changed('runs', run.id)
  }
}

/** The roll back stops after all: what still counts as the failover is not left. Repeatable. */
export async function forgetLeft(parts: EngineParts, protectionId: ProtectionId): Promise<void> {
  const { leftReplicas = [] } = await parts.stores.protections.notes(protectionId)
  const active = new Set((await failoversOf(parts, protectionId)).map(({ id }) => id))
  const left = leftReplicas.filter((id) => !active.has(id))
  if (left.length === leftReplicas.length) return
  // First the alert: of what is no longer noted, nobody would ever close it.
  if (left.length === 0)
    await resolveAlert(parts, LEFT_REPLICA_ALERT, await loadProtection(parts, protectionId))
  await parts.stores.protections.updateNotes(protectionId, { leftReplicas: left })
}

/** Written down as left, and over. */
export async function leftOf(
  { stores }: Pick<EngineParts, 'stores'>,
  protectionId: ProtectionId,
): Promise<readonly Run[]> {
  const { leftReplicas = [] } = await stores.protections.notes(protectionId)
  const runs = await Promise.all(leftReplicas.map((id) => stores.runs.find(id)))
  return runs.filter((run) => run !== null).filter(({ over }) => over)
}

/** Removes what was left, and says so. Throws while its site does not answer. Repeatable. */
export async function removeLeft(
  context: EngineContext,
  protectionId: ProtectionId,
  stillOurs: StillOurs,
): Promise<void> {
  const { parts } = context
  const left = await leftOf(parts, protectionId)
  if (left.length === 0) return
  const protection = await loadProtection(parts, protectionId)
  for (const run of left) {
    await stillOurs()
    await removeRun(context, protection, run, { end: { failure: run.failure }, stillOurs })
  }
  // Before they are struck out: of what is no longer noted, nobody would ever close it.
  await resolveAlert(parts, LEFT_REPLICA_ALERT, protection)
  await strike(
    parts,
    protectionId,
    left.map(({ id }) => id),
  )
  await tellFailover(context, protection, {
    severity: 'info',
    code: 'failover/left-replica-removed',
    message: `The copy of ${protection.name} that a roll back had left behind was removed`,
  })
}

/**
 * The same where nothing is about to take its place: only beside an original that is seen to run. Else what was left may be the only
 * one of it, with all that was written since. Throws while that cannot be seen.
 */
export async function removeLeftBesideSource(
  context: EngineContext,
  protectionId: ProtectionId,
  stillOurs: StillOurs,
): Promise<void> {
  const { parts } = context
  if ((await leftOf(parts, protectionId)).length === 0) return
  const { name, sourceSiteId, sourceRef } = await loadProtection(parts, protectionId)
  const bound = { seconds: parts.config.deadSiteSeconds, signal: new AbortController().signal }
  const power = await withinSeconds(parts, bound, async (signal) =>
    (await sourceOf(parts, sourceSiteId)).powerState(sourceRef, signal),
  )
  if (power !== 'running')
    throw new Outage({
      code: 'failover/left-may-be-only',
      message: `${name} does not run where it comes from (${power}): the copy that a roll back has left behind may be the only one that runs`,
      remedy: 'Start the original. The copy is removed as soon as both can be seen.',
    })
  await removeLeft(context, protectionId, stillOurs)
}

async function strike(
  { stores }: EngineParts,
  protectionId: ProtectionId,
  gone: readonly RunId[],
): Promise<void> {
  const { leftReplicas = [] } = await stores.protections.notes(protectionId)
  await stores.protections.updateNotes(protectionId, {
    leftReplicas: leftReplicas.filter((id) => !gone.includes(id)),
  })
}

const failoversOf = async (
  { stores }: Pick<EngineParts, 'stores'>,
  protectionId: Protection['id'],
): Promise<readonly Run[]> => (await stores.runs.active(protectionId)).filter(({ kind }) => kind !== 'test')
