// A roll back whose target cannot be reached may go on without it, on a person's word. What it leaves there is written down first, told
// for as long as it may run, and removed once the site answers.
import type { Run, RunId } from '@understudy/domain/failover/failover'
import type { Protection, ProtectionId } from '@understudy/domain/protection/protection'
import { type EngineContext, loadProtection } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { raiseAlert, resolveAlert } from '../events/report.ts'
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
    remedy: `It is removed as soon as ${where} answers; nothing is to be done here. If it must go sooner, switch it off there by hand.`,
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
  await parts.stores.protections.updateNotes(protectionId, { leftReplicas: left })
  if (left.length === 0)
    await resolveAlert(parts, LEFT_REPLICA_ALERT, await loadProtection(parts, protectionId))
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
    await strike(parts, protectionId, run.id)
  }
  await resolveAlert(parts, LEFT_REPLICA_ALERT, protection)
  await tellFailover(context, protection, {
    severity: 'info',
    code: 'failover/left-replica-removed',
    message: `The copy of ${protection.name} that a roll back had left behind was removed`,
  })
}

async function strike({ stores }: EngineParts, protectionId: ProtectionId, gone: RunId): Promise<void> {
  const { leftReplicas = [] } = await stores.protections.notes(protectionId)
  await stores.protections.updateNotes(protectionId, {
    leftReplicas: leftReplicas.filter((id) => id !== gone),
  })
}

const failoversOf = async (
  { stores }: Pick<EngineParts, 'stores'>,
  protectionId: Protection['id'],
): Promise<readonly Run[]> => (await stores.runs.active(protectionId)).filter(({ kind }) => kind !== 'test')
