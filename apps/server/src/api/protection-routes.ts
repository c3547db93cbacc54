import { fromIso, toIso } from '@understudy/base/instant'
import type { BootCheck } from '@understudy/domain/boot-check/boot-check'
import type { DiskKey, MachineId } from '@understudy/domain/machines/machine'
import type { PolicyId } from '@understudy/domain/protection/policy'
import type { GroupId, ProtectionId } from '@understudy/domain/protection/protection'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { SiteId } from '@understudy/domain/sites/site'
import { askerOf, callerOf } from './asker.ts'
import { type ApiDeps, os } from './context.ts'
import { findProtection } from './find.ts'
import { loadProtection, loadProtections } from './load-protections.ts'
import { matches, pageRows, sortRows } from './page.ts'
import { loadSuggestedAdapters, previewProtect } from './preview-protect.ts'
import { showBootCheck } from './show-boot-check.ts'
import { showPoint } from './show-point.ts'
import { showRun } from './show-run.ts'

const historyRows = 480
const dayMilliseconds = 24 * 3_600_000

export function protectionRoutes(deps: ApiDeps) {
  const showBoot = (id: string, check: BootCheck | null) =>
    showBootCheck(check, deps.engine.isPreparingBoot(id as ProtectionId))
  const showOne = async (id: string) => loadProtection(deps, await findProtection(deps, id))

  return {
    list: os.protections.list.handler(async ({ input }) => {
      const rows = (await loadProtections(deps))
        .filter((row) => matches(input.search, row.name, row.source.name, row.target.name))
        .filter((row) => input.state === undefined || input.state.includes(row.state))
        .filter((row) => input.health === undefined || input.health.includes(row.health))
        .filter((row) => input.siteId === undefined || [row.source.id, row.target.id].includes(input.siteId))
        .filter((row) => input.sourceSiteId === undefined || row.source.id === input.sourceSiteId)
        .filter((row) => input.targetSiteId === undefined || row.target.id === input.targetSiteId)
        .filter((row) => input.policyId === undefined || row.policyId === input.policyId)
        .filter((row) => input.groupId === undefined || row.group?.id === input.groupId)
      const sorted = sortRows(rows, input.sort, {
        name: (row) => row.name,
        lag: (row) => row.lagSeconds,
        state: (row) => row.state,
        storedBytes: (row) => row.storedBytes,
      })
      return pageRows(sorted, input, (row) => row.id)
    }),
    get: os.protections.get.handler(({ input }) => showOne(input.id)),
    preview: os.protections.preview.handler(({ input }) => previewProtect(deps, input)),
    create: os.protections.create.handler(async ({ input, context }) => {
      const { targetSiteId, policyId, groupId } = input
      context.audit(input.machineId, { targetSiteId, policyId, groupId })
      const started = await deps.engine.protect({
        ...askerOf(context),
        machineId: input.machineId as MachineId,
        targetSiteId: input.targetSiteId as SiteId,
        policyId: input.policyId as PolicyId,
        excludedDisks: input.excludedDisks as DiskKey[],
        ...(input.groupId === undefined ? {} : { groupId: input.groupId as GroupId }),
        adapters: input.adapters ?? (await loadSuggestedAdapters(deps, input)),
      })
      return { jobId: started.jobId, protectionId: started.protectionId }
    }),
    update: os.protections.update.handler(async ({ input, context }) => {
      const { id, policyId, excludedDisks, adapters } = input
      context.audit(id, { policyId, excludedDisks, adapters })
      await findProtection(deps, id)
      await deps.engine.editProtection({
        ...askerOf(context),
        protectionId: id as ProtectionId,
        ...(policyId === undefined ? {} : { policyId: policyId as PolicyId }),
        ...(excludedDisks === undefined ? {} : { excludedDisks: excludedDisks as DiskKey[] }),
        ...(adapters === undefined ? {} : { adapters }),
      })
      return showOne(id)
    }),
    end: os.protections.end.handler(async ({ input, context }) => {
      context.audit(input.id, { keepReplica: input.keepReplica })
      await findProtection(deps, input.id)
      return deps.engine.endProtection({
        ...askerOf(context),
        protectionId: input.id as ProtectionId,
        deleteReplica: !input.keepReplica,
      })
    }),
    recoveryPoints: os.protections.recoveryPoints.handler(async ({ input }) => {
      await findProtection(deps, input.id)
      const from = input.from === undefined ? Number.NEGATIVE_INFINITY : fromIso(input.from)
      const to = input.to === undefined ? Number.POSITIVE_INFINITY : fromIso(input.to)
      const points = (await deps.engine.recoveryPoints(input.id as ProtectionId))
        .filter((point) => point.instant >= from && point.instant <= to)
        .filter((point) => input.consistency === undefined || point.consistency === input.consistency)
      const page = pageRows(points.toReversed(), input, (point) => point.id)
      return { ...page, items: page.items.map(showPoint) }
    }),
    annotatePoint: os.protections.annotatePoint.handler(async ({ input, context }) => {
      const { id, pointId, note, pinned } = input
      context.audit(id, { pointId, note, pinned })
      await findProtection(deps, id)
      const point = await deps.engine.annotatePoint({
        protectionId: id as ProtectionId,
        pointId: pointId as PointId,
        ...(note === undefined ? {} : { note }),
        ...(pinned === undefined ? {} : { pinned }),
      })
      return showPoint(point)
    }),
    runs: os.protections.runs.handler(async ({ input }) => {
      await findProtection(deps, input.id)
      const runs = await deps.stores.runs.history(input.id as ProtectionId, 100)
      const pictured = await deps.stores.runs.withScreenshot(runs.map(({ id }) => id))
      return { items: runs.map((run) => showRun(run, pictured.has(run.id))) }
    }),
    history: os.protections.history.handler(async ({ input }) => {
      await findProtection(deps, input.id)
      const to = input.to === undefined ? deps.clock.now() : fromIso(input.to)
      const from = input.from === undefined ? to - dayMilliseconds : fromIso(input.from)
      const samples = await deps.stores.history.range(input.id as ProtectionId, from, to, historyRows)
      return {
        items: samples.map((sample) => ({
          at: toIso(sample.at),
          lagSeconds: sample.lagSeconds,
          changedBytes: sample.bytes,
        })),
      }
    }),
    bootCheck: os.protections.bootCheck.handler(async ({ input }) => {
      await findProtection(deps, input.id)
      return showBoot(input.id, await deps.engine.bootCheck(input.id as ProtectionId))
    }),
    checkBoot: os.protections.checkBoot.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await findProtection(deps, input.id)
      const request = { ...askerOf(context), protectionId: input.id as ProtectionId }
      return showBoot(input.id, await deps.engine.checkBoot(request))
    }),
    prepareBoot: os.protections.prepareBoot.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await findProtection(deps, input.id)
      await deps.engine.prepareBoot({ ...askerOf(context), protectionId: input.id as ProtectionId })
      return showBoot(input.id, await deps.engine.bootCheck(input.id as ProtectionId))
    }),
    resync: os.protections.resync.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await findProtection(deps, input.id)
      await deps.engine.resync({ ...askerOf(context), protectionId: input.id as ProtectionId })
      return showOne(input.id)
    }),
    replicateNow: os.protections.replicateNow.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await findProtection(deps, input.id)
      await deps.engine.replicateNow({ by: callerOf(context).name, protectionId: input.id as ProtectionId })
      return showOne(input.id)
    }),
    pause: os.protections.pause.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await findProtection(deps, input.id)
      await deps.engine.pause({ by: callerOf(context).name, protectionId: input.id as ProtectionId })
      return showOne(input.id)
    }),
    resume: os.protections.resume.handler(async ({ input, context }) => {
      context.audit(input.id, {})
      await findProtection(deps, input.id)
      await deps.engine.resume({ by: callerOf(context).name, protectionId: input.id as ProtectionId })
      return showOne(input.id)
    }),
  }
}
