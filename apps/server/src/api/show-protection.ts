import { secondsBetween, toIso } from '@understudy/base/instant'
import type { ProtectionHealth, Protection as ShownProtection } from '@understudy/contract/protection'
import type { AllowedAction } from '@understudy/domain/failover/allowed-actions'
import type { Run } from '@understudy/domain/failover/failover'
import type { Job } from '@understudy/domain/jobs/job'
import { activeSiteOf } from '@understudy/domain/protection/active-site'
import type { ConsistencyGroup } from '@understudy/domain/protection/consistency-group'
import type { Policy } from '@understudy/domain/protection/policy'
import type { Protection, ProtectionState } from '@understudy/domain/protection/protection'
import type { Readiness } from '@understudy/domain/recovery-plans/readiness'
import { lagTargetAt } from '@understudy/domain/replication/carried-pace'
import type { Seed } from '@understudy/domain/seeds/seed'
import { isEmulated, type Site, type SiteId } from '@understudy/domain/sites/site'
import type { ProtectionSummary } from '@understudy/engine/ports/stores'
import { showHardware } from './show-machine.ts'
import { showReadiness } from './show-readiness.ts'
import { showRun } from './show-run.ts'

/** Everything around a protection that its row shows. */
export type ProtectionSurroundings = {
  readonly summary: ProtectionSummary
  readonly policy: Policy | undefined
  readonly group: ConsistencyGroup | null
  readonly sites: ReadonlyMap<SiteId, Site>
  /** Those of them where no machine can run. */
  readonly keepingOnly: { has(id: SiteId): boolean }
  readonly runs: readonly Run[]
  readonly runsWithScreenshot: ReadonlySet<string>
  readonly job: Job | null
  readonly seed: Seed | null
  readonly actions: readonly AllowedAction[]
  readonly readiness: Readiness
  readonly now: number
}

/** A protection as the API shows it. */
export function showProtection(protection: Protection, around: ProtectionSurroundings): ShownProtection {
  const { summary, policy, now } = around
  const newest = summary.newestPoint
  const lagSeconds = newest === null ? null : Math.max(0, secondsBetween(newest.instant, now))
  const pace = summary.pace ?? null
  const lagTargetSeconds = policy ? lagTargetAt(policy, pace) : 0
  const mine = around.runs.filter((run) => run.protectionId === protection.id && !run.over)
  const test = mine.find((run) => run.kind === 'test') ?? null
  const failover = mine.find((run) => run.kind !== 'test') ?? null
  const show = (run: Run | null) => run && showRun(run, around.runsWithScreenshot.has(run.id))
  return {
    id: protection.id,
    name: protection.name,
    state: protection.state,
    stateNote: protection.stateNote,
    health: healthOf(protection.state, lagSeconds, lagTargetSeconds),
    simulated: siteOf(around, protection.sourceSiteId).platform === 'simulated',
    direction: protection.direction,
    activeSiteId: activeSiteOf(protection),
    source: siteOf(around, protection.sourceSiteId),
    target: {
      ...siteOf(around, protection.targetSiteId),
      runsMachines: !around.keepingOnly.has(protection.targetSiteId),
    },
    machineId: protection.machineId,
    policyId: protection.policyId,
    policyName: policy?.name ?? '',
    group: around.group && { id: around.group.id, name: around.group.name },
    lagSeconds,
    lagTargetSeconds,
    intervalSeconds: policy?.intervalSeconds ?? 0,
    pace: pace && { ...pace, since: toIso(pace.since) },
    newestPoint: newest && { id: newest.id, instant: toIso(newest.instant), consistency: newest.consistency },
    newestApplicationPoint: summary.newestApplicationPoint && {
      id: summary.newestApplicationPoint.id,
      instant: toIso(summary.newestApplicationPoint.instant),
    },
    pointCount: summary.pointCount,
    storedBytes: summary.storedBytes,
    diskBytes: protection.hardware.disks.reduce((sum, disk) => sum + disk.bytes, 0),
    lastCycle: summary.lastCycle && {
      ...summary.lastCycle,
      startedAt: toIso(summary.lastCycle.startedAt),
      endedAt: toIso(summary.lastCycle.endedAt),
    },
    lastTestAt: summary.lastTestAt === null ? null : toIso(summary.lastTestAt),
    lastTestPassed: summary.lastTestPassed,
    readiness: showReadiness(around.readiness),
    lastRecoverySeconds: summary.lastRecoverySeconds,
    excludedDisks: [...protection.excludedDisks],
    adapters: protection.adapters.map((adapter) => ({ ...adapter })),
    hardware: showHardware(protection.hardware),
    test: show(test),
    failover: show(failover),
    seed: around.seed && showSeed(around.seed),
    busyJobId: around.job?.id ?? null,
    actions: around.actions.map((action) => ({ ...action })),
    createdAt: toIso(protection.createdAt),
  }
}

const showSeed = ({ id, folder, startedAt, export: exported }: Seed): ShownProtection['seed'] => ({
  id,
  folder,
  startedAt: toIso(startedAt),
  exported: exported && {
    at: toIso(exported.endedAt),
    instant: toIso(exported.instant),
    storedBytes: exported.storedBytes,
    tracked: exported.tracked,
  },
})

/** Pure: what the coloured mark of a row says. */
export function healthOf(
  state: ProtectionState,
  lagSeconds: number | null,
  lagTargetSeconds: number,
): ProtectionHealth {
  switch (state) {
    case 'broken':
      return 'bad'
    case 'protected':
      return lagSeconds !== null && lagSeconds <= lagTargetSeconds ? 'good' : 'at-risk'
    case 'enabling':
    case 'seeding':
    case 'awaitingSeed':
    case 'resyncing':
    case 'failingOver':
    case 'rollingBack':
    case 'reprotecting':
    case 'failedOver':
    case 'committing':
    case 'committed':
      return 'at-risk'
    case 'paused':
    case 'ending':
    case 'gone':
      return 'off'
  }
}

function siteOf(around: ProtectionSurroundings, id: SiteId): ShownProtection['source'] {
  const site = around.sites.get(id)
  return {
    id,
    name: site?.name ?? 'Removed site',
    platform: site?.platform ?? 'unknown',
    emulated: site !== undefined && isEmulated(site),
  }
}
