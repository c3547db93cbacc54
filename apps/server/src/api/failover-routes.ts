import { Refusal } from '@understudy/base/errors'
import { fromIso } from '@understudy/base/instant'
import type { FailoverInput } from '@understudy/contract/protection'
import type { PointChoice as PointChoiceBody } from '@understudy/contract/recovery-point'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PointChoice } from '@understudy/domain/recovery-points/choose-point'
import type { PointId } from '@understudy/domain/recovery-points/recovery-point'
import type { ProtectionRequest } from '@understudy/engine/requests'
import type { z } from 'zod'
import { askerOf } from './asker.ts'
import { type ApiDeps, os, type RequestContext } from './context.ts'
import { findProtection, findRun } from './find.ts'
import { previewFailover } from './preview-failover.ts'
import { showRun } from './show-run.ts'

export function toPointChoice(body: z.infer<typeof PointChoiceBody>): PointChoice {
  switch (body.kind) {
    case 'latest':
    case 'latest-application-consistent':
      return { kind: body.kind }
    case 'point':
      return { kind: 'point', id: body.id as PointId }
    case 'at':
      return { kind: 'at', instant: fromIso(body.instant) }
  }
}

export function failoverRoutes(deps: ApiDeps) {
  const requestOf = async (
    id: string,
    context: RequestContext,
    facts: Readonly<Record<string, unknown>> = {},
  ): Promise<ProtectionRequest> => {
    context.audit(id, facts)
    await findProtection(deps, id)
    return { ...askerOf(context), protectionId: id as ProtectionId }
  }

  return {
    failoverPreview: os.protections.failoverPreview.handler(async ({ input }) =>
      previewFailover(deps, await findProtection(deps, input.id), input),
    ),
    testFailover: os.protections.testFailover.handler(async ({ input, context }) => {
      const request = await requestOf(input.id, context, { point: input.point })
      return deps.engine.testFailover({
        ...request,
        choice: toPointChoice(input.point),
        allowOpenNetworks: input.allowOpenNetworks,
      })
    }),
    cleanUpTest: os.protections.cleanUpTest.handler(async ({ input, context }) =>
      deps.engine.cleanUpTest(await requestOf(input.id, context)),
    ),
    failover: os.protections.failover.handler(async ({ input, context }) => {
      const { kind, acceptUnfenced, point } = input
      const request = await requestOf(input.id, context, { kind, acceptUnfenced, point })
      switch (kind) {
        case 'planned':
          refuseOfPlanned(input)
          return deps.engine.plannedFailover(request)
        case 'unplanned':
          return deps.engine.unplannedFailover({ ...request, choice: toPointChoice(point), acceptUnfenced })
      }
    }),
    changePoint: os.protections.changePoint.handler(async ({ input, context }) =>
      deps.engine.changePoint({
        ...(await requestOf(input.id, context, { point: input.point })),
        choice: toPointChoice(input.point),
      }),
    ),
    startReplica: os.protections.startReplica.handler(async ({ input, context }) =>
      deps.engine.startReplica(await requestOf(input.id, context)),
    ),
    commit: os.protections.commit.handler(async ({ input, context }) =>
      deps.engine.commit(await requestOf(input.id, context)),
    ),
    rollBack: os.protections.rollBack.handler(async ({ input, context }) =>
      deps.engine.rollBack(await requestOf(input.id, context)),
    ),
    reprotect: os.protections.reprotect.handler(async ({ input, context }) => {
      const { powerOffOriginal } = input
      return deps.engine.reprotect({
        ...(await requestOf(input.id, context, { powerOffOriginal })),
        powerOffOriginal,
      })
    }),
    failBack: os.protections.failBack.handler(async ({ input, context }) => {
      const { overwriteModified } = input
      return deps.engine.failBack({
        ...(await requestOf(input.id, context, { overwriteModified })),
        overwriteModified,
      })
    }),
  }
}

/** A planned failover makes a point of its own and proves the source off: what says otherwise was meant for another kind. */
function refuseOfPlanned({
  point,
  acceptUnfenced,
}: Pick<z.infer<typeof FailoverInput>, 'point' | 'acceptUnfenced'>): void {
  if (point.kind === 'latest' && !acceptUnfenced) return
  throw new Refusal({
    code: 'failover/not-for-planned',
    message:
      'A planned failover takes no point and no acceptance: it makes its own point of a source that it has shut down',
    remedy: 'Leave both out, or ask for an unplanned failover.',
  })
}

export function runRoutes(deps: ApiDeps) {
  return {
    get: os.runs.get.handler(async ({ input }) => {
      const run = await findRun(deps, input.id)
      return showRun(run, (await deps.stores.runs.screenshot(run.id)) !== null)
    }),
    screenshot: os.runs.screenshot.handler(async ({ input }) => {
      const run = await findRun(deps, input.id)
      const png = await deps.stores.runs.screenshot(run.id)
      if (!png)
        throw new Refusal({
          code: 'screenshot/not-found',
          message: 'There is no screenshot of this run',
          remedy: 'One is taken when the machine has booted.',
        })
      return new File([new Uint8Array(png)], `${run.id}.png`, { type: 'image/png' })
    }),
  }
}
