// What a failover would cost: facts for its dialog. The source site may be dead, so asking it is bounded and optional.
import { Refusal, toFailureReport } from '@understudy/base/errors'
import { secondsBetween } from '@understudy/base/instant'
import type { FailoverPreview } from '@understudy/contract/protection'
import type { Finding, Machine } from '@understudy/domain/machines/machine'
import type { Protection } from '@understudy/domain/protection/protection'
import type { Site } from '@understudy/domain/sites/site'
import type { z } from 'zod'
import type { ApiDeps } from './context.ts'

type Preview = z.infer<typeof FailoverPreview>
type Question = {
  readonly kind: 'test' | 'planned' | 'unplanned' | 'fail-back'
  readonly pointId?: string | undefined
}

export async function previewFailover(
  deps: ApiDeps,
  protection: Protection,
  question: Question,
): Promise<Preview> {
  const [machine, summary, site, points] = await Promise.all([
    deps.stores.machines.findByRef(protection.sourceSiteId, protection.sourceRef),
    deps.stores.protections.summary(protection.id),
    deps.stores.sites.find(protection.sourceSiteId),
    deps.engine.recoveryPoints(protection.id),
  ])
  const chosen =
    question.pointId === undefined ? points.at(-1) : points.find((point) => point.id === question.pointId)
  // A planned failover ships everything after the guest has shut down. The others lose what came after their point.
  const lossless = question.kind === 'planned' || question.kind === 'fail-back'
  const loss = chosen === undefined ? null : Math.max(0, secondsBetween(chosen.instant, deps.clock.now()))
  return {
    sourcePower: sourcePowerOf(site, machine),
    expectedLossSeconds: lossless ? 0 : loss,
    expectedRecoverySeconds: summary.lastRecoverySeconds,
    expectedRecoveryBasis:
      summary.lastRecoverySeconds === null
        ? 'Not known yet: run a test failover to measure it.'
        : 'Measured in the last test or failover of this machine, without the wait for a person.',
    findings: await findingsOf(deps, protection, question),
  }
}

/** What was read last is no fact any more when the site does not answer or the machine is gone from its inventory. Pure. */
export function sourcePowerOf(
  site: Pick<Site, 'health'> | null,
  machine: Pick<Machine, 'power' | 'present'> | null,
): Preview['sourcePower'] {
  if (site === null || site.health === 'unreachable') return 'unreachable'
  return machine?.present ? machine.power : 'unknown'
}

async function findingsOf(deps: ApiDeps, protection: Protection, question: Question): Promise<Finding[]> {
  const actionOf = {
    test: 'test-failover',
    planned: 'planned-failover',
    unplanned: 'unplanned-failover',
    'fail-back': 'fail-back',
  } as const
  const actions = await deps.engine.allowedActions(protection.id)
  const verdict = actions.find((action) => action.action === actionOf[question.kind])
  const findings: Finding[] = []
  if (verdict?.reason && verdict.remedy)
    findings.push({
      level: 'blocker',
      code: 'failover/not-allowed',
      message: verdict.reason,
      remedy: verdict.remedy,
    })
  if (question.kind === 'fail-back') return findings
  try {
    findings.push(
      ...(await deps.engine.preflightFailover({
        protectionId: protection.id,
        mode: question.kind === 'test' ? 'test' : 'failover',
      })),
    )
  } catch (error) {
    const { code, message, remedy } = toFailureReport(error)
    // What is refused now would be refused in the failover too. What cannot be asked now may work then.
    if (error instanceof Refusal) findings.push({ level: 'blocker', code, message, remedy })
    else
      findings.push({
        level: 'warning',
        code,
        message: `The target could not be checked: ${message}`,
        remedy,
      })
  }
  return findings
}
