// From a recovery point to a guest that answers: the part that every kind of failover shares.
import { Refusal } from '@understudy/base/errors'
import { present } from '@understudy/base/invariant'
import { chooseBootNetworks } from '@understudy/domain/failover/boot-networks'
import type { FailoverKind, Run, RunId } from '@understudy/domain/failover/failover'
import type { DiscoveredMachine, Finding, MachineRef } from '@understudy/domain/machines/machine'
import type { Protection } from '@understudy/domain/protection/protection'
import { trackingIdOf } from '@understudy/domain/protection/tracking-id'
import { choosePoint, type PointChoice } from '@understudy/domain/recovery-points/choose-point'
import type { EngineContext } from '../engine-context.ts'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent, resolveAlert } from '../events/report.ts'
import type { TaskScope } from '../jobs/job-scope.ts'
import type { BootSpec } from '../ports/target-platform.ts'
import { whereIs, withReplica } from '../recovery-points/with-replica.ts'
import { platformOf, targetOf } from '../sites/platform-of.ts'
import { withinSeconds } from './bounded-call.ts'
import { HYDRATION_ALERT } from './run-keeper.ts'

export type RunPlan = {
  readonly runId: RunId
  readonly kind: FailoverKind
  readonly name: string
  readonly allowOpenNetworks: boolean
}

/** Decided once and kept by the step that decides it: a repeated boot must ask for the same machine. Touches nothing. */
export async function planRun(
  context: EngineContext,
  protection: Protection,
  wanted: {
    readonly kind: FailoverKind
    readonly allowOpenNetworks: boolean
    /** A machine that goes before this one boots: its name and resources will be free. */
    readonly replacing?: MachineRef | null
  },
): Promise<RunPlan> {
  const { parts } = context
  const { kind, allowOpenNetworks, replacing = null } = wanted
  const base = kind === 'test' ? `${protection.name}-test` : protection.name
  const name = await freeName(parts, protection, { base, replacing })
  const plan: RunPlan = { runId: parts.newId() as RunId, kind, allowOpenNetworks, name }
  // What is to be replaced would be found in the way; the boot itself checks again.
  if (replacing === null) await checkTarget(parts, protection, plan)
  return plan
}

type WantedName = { readonly base: string; readonly replacing: MachineRef | null }

/** The name, or the name with a number: the original or an earlier failover may still have it at the target site. */
async function freeName(parts: EngineParts, protection: Protection, wanted: WantedName): Promise<string> {
  const known = await parts.stores.machines.list(protection.targetSiteId)
  const machines = [...known.filter((machine) => machine.present), ...(await machinesNow(parts, protection))]
  const taken = new Set(machines.filter(({ ref }) => ref !== wanted.replacing).map(({ name }) => name))
  if (!taken.has(wanted.base)) return wanted.base
  // Among one more names than are taken, one is free.
  const numbered = Array.from({ length: taken.size + 1 }, (_, index) => `${wanted.base}-${index + 2}`)
  return present(
    numbered.find((name) => !taken.has(name)),
    'there are more names than machines',
  )
}

/** Fresh where the target can tell quickly; the kept inventory and the preflight do where it cannot. */
async function machinesNow(
  parts: EngineParts,
  protection: Protection,
): Promise<readonly DiscoveredMachine[]> {
  const { source } = await platformOf(parts, protection.targetSiteId)
  if (!source) return []
  const bound = { seconds: parts.config.deadSiteSeconds, signal: new AbortController().signal }
  try {
    return await withinSeconds(parts, bound, (signal) => source.inventory(signal))
  } catch (error) {
    parts.log('warn', 'the inventory could not be read before a boot', { protection: protection.id, error })
    return []
  }
}

async function checkTarget(parts: EngineParts, protection: Protection, plan: RunPlan): Promise<void> {
  const target = await targetOf(parts, protection.targetSiteId)
  const { runId, ...spec } = await machineSpec(parts, protection, plan)
  refuseBlockers(await target.preflight(spec))
}

export function refuseBlockers(findings: readonly Finding[]): void {
  const blocker = findings.find(({ level }) => level === 'blocker')
  if (blocker) throw new Refusal({ code: blocker.code, message: blocker.message, remedy: blocker.remedy })
}

async function machineSpec(
  parts: EngineParts,
  protection: Protection,
  plan: RunPlan,
): Promise<Omit<BootSpec, 'disks'>> {
  const target = await targetOf(parts, protection.targetSiteId)
  const mode = plan.kind === 'test' ? 'test' : 'failover'
  return {
    runId: plan.runId,
    name: plan.name,
    mode,
    hardware: protection.hardware,
    networks: chooseBootNetworks({
      mode,
      adapters: protection.adapters,
      networks: await target.networks(),
      allowOpenNetworks: plan.allowOpenNetworks,
    }),
    trackingId: mode === 'test' ? null : trackingIdOf(protection.id),
  }
}

/** Chooses the point and holds it, then writes the run down. Repeatable. */
export async function openRun(
  context: EngineContext,
  protection: Protection,
  plan: RunPlan,
  choice: PointChoice,
): Promise<Run> {
  const { parts } = context
  const known = await parts.stores.runs.find(plan.runId)
  if (known) return known
  const point = await withReplica(parts, whereIs(protection), async (replica) => {
    const chosen = choosePoint(replica.points(), choice)
    // Held before anything depends on it: retention may run at this very moment.
    await replica.hold(chosen.id, plan.runId)
    return chosen
  })
  const run: Run = {
    id: plan.runId,
    protectionId: protection.id,
    kind: plan.kind,
    testState: plan.kind === 'test' ? 'starting' : null,
    over: false,
    targetSiteId: protection.targetSiteId,
    replicaId: protection.replicaId,
    pointId: point.id,
    pointInstant: point.instant,
    machineRef: null,
    addresses: [],
    hydrated: 0,
    failure: null,
    startedAt: parts.clock.now(),
    answeredAt: null,
    endedAt: null,
    commitDeadline: null,
  }
  await parts.stores.runs.create(run)
  parts.live.changed('runs', run.id)
  return run
}

/** Boots the run's machine. Repeatable: the same machine goes on. */
export async function bootRun(
  context: EngineContext,
  protection: Protection,
  plan: RunPlan,
  task: TaskScope,
): Promise<void> {
  const { parts, keeper } = context
  const run = present(await parts.stores.runs.find(plan.runId), 'a run is written down before it boots')
  const target = await targetOf(parts, run.targetSiteId)
  const disks = await keeper.open(run, protection.hardware)
  const spec = { ...(await machineSpec(parts, protection, plan)), disks }
  const { ref, checkpoint } = await target.boot(spec, task.signal)
  if (plan.kind !== 'test')
    await parts.stores.protections.updateNotes(protection.id, { runningCheckpoint: checkpoint })
  await parts.stores.runs.update(run.id, { machineRef: ref })
  parts.live.changed('runs', run.id)
  task.note(`${plan.name} runs from the point of ${new Date(run.pointInstant).toISOString()}`)
}

/** The failover of a protection that is not over, or null. */
export async function findFailover(context: EngineContext, id: Protection['id']): Promise<Run | null> {
  const active = await context.parts.stores.runs.active(id)
  return active.find(({ kind }) => kind !== 'test') ?? null
}

/** After a fail-back the run's machine is one that was there before: it is never destroyed and never adopted. */
export const isFailBack = (run: Run, protection: Protection): boolean =>
  run.machineRef !== null && run.machineRef === protection.originalRef

export type Answered = { readonly answered: boolean; readonly note: string }

/** Asks the guest until it answers or the time is over. A guest that does not answer is told, never an error. */
export async function waitForAnswer(
  context: EngineContext,
  plan: RunPlan,
  wait: { readonly timeoutSeconds: number; readonly clickedAt: number; readonly task: TaskScope },
): Promise<Answered> {
  const { parts } = context
  const run = present(await parts.stores.runs.find(plan.runId), 'a run that boots is written down')
  const target = await targetOf(parts, run.targetSiteId)
  const deadline = parts.clock.now() + wait.timeoutSeconds * 1000
  for (;;) {
    wait.task.signal.throwIfAborted()
    const result = await target.probe(run.id, wait.task.signal)
    if (result.answered) {
      const answeredAt = parts.clock.now()
      const seconds = Math.round((answeredAt - wait.clickedAt) / 1000)
      await parts.stores.runs.update(run.id, { addresses: result.addresses, answeredAt })
      await parts.stores.protections.updateSummary(run.protectionId, { lastRecoverySeconds: seconds })
      parts.live.changed('runs', run.id)
      wait.task.note(`The guest answered ${seconds} s after the click`)
      return { answered: true, note: result.note }
    }
    if (parts.clock.now() >= deadline) {
      await parts.stores.runs.update(run.id, { addresses: result.addresses })
      wait.task.note(`No answer within ${wait.timeoutSeconds} s: ${result.note}`)
      return { answered: false, note: result.note }
    }
    await parts.sleep(parts.config.probeEverySeconds * 1000, wait.task.signal)
  }
}

/** Removes everything that was made for the run, and lets its point go. Repeatable. */
export async function destroyRun(context: EngineContext, runId: RunId, end: Partial<Run>): Promise<void> {
  const run = await context.parts.stores.runs.find(runId)
  if (!run) return
  const target = await targetOf(context.parts, run.targetSiteId)
  await target.destroy(runId)
  await closeRun(context, run, end)
}

/** The run is over and its point may expire; no machine is touched. Repeatable. */
export async function closeRun(context: EngineContext, run: Run, end: Partial<Run>): Promise<void> {
  const { parts, keeper } = context
  const runId = run.id
  // Only when the machine has gone, or reads from us no more.
  await keeper.drop(runId)
  await withReplica(parts, { siteId: run.targetSiteId, replicaId: run.replicaId }, (replica) =>
    replica.unhold(run.pointId, runId),
  )
  await parts.stores.runs.update(runId, { over: true, endedAt: parts.clock.now(), ...end })
  // Also one that was raised because the machine went away under its hydration a moment ago.
  await resolveAlert(parts, HYDRATION_ALERT, { id: run.protectionId, name: run.protectionId })
  parts.live.changed('runs', runId)
  parts.live.changed('protections', run.protectionId)
}

export async function tellFailover(
  context: EngineContext,
  protection: Protection,
  told: {
    readonly code: string
    readonly message: string
    readonly severity: 'info' | 'warning' | 'critical'
  } & {
    readonly facts?: Readonly<Record<string, unknown>>
  },
): Promise<void> {
  const subject = { id: protection.id, name: protection.name }
  await recordEvent(context.parts, { ...told, subject })
}
