import { Refusal } from '@understudy/base/errors'
import { toIso, toIsoOrNull } from '@understudy/base/instant'
import type {
  TestSettings as ShownSettings,
  ScheduledTest as ShownTest,
} from '@understudy/contract/plan-tests'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { wordsOfSchedule } from '@understudy/domain/recovery-plans/schedule-words'
import type { ScheduledTest, TestSettings } from '@understudy/domain/recovery-plans/test-schedule'
import { type ApiDeps, os } from './context.ts'
import { findPlan, findPlanRun } from './find.ts'
import { byOf } from './plan-routes.ts'
import { showEvidence } from './show-evidence.ts'

/** When plans are tested by themselves, and what became of it. */
export function planTestRoutes({ engine, ...deps }: ApiDeps) {
  const find = async (id: string): Promise<PlanId> => (await findPlan({ engine, ...deps }, id)).plan.id
  return {
    testSettings: os.plans.testSettings.handler(async ({ input }) =>
      showSettings(await engine.plans.testSettings(await find(input.id))),
    ),
    saveTestSettings: os.plans.saveTestSettings.handler(async ({ input, context }) => {
      const { id, testEveryDays, schedule, revision } = input
      context.audit(id, { testEveryDays, schedule })
      const planId = await find(id)
      const request = { ...byOf(context), planId, testEveryDays, schedule, revision }
      return showSettings(await engine.plans.saveTestSettings(request))
    }),
    scheduledTests: os.plans.scheduledTests.handler(async ({ input }) => {
      const { limit, cursor } = input
      const page = { limit, cursor: cursor ?? null }
      const { rows, next } = await deps.stores.tests.history(await find(input.id), page)
      return { items: rows.map(showTest), next, total: null }
    }),
  }
}

const typeOf = {
  'report.html': 'text/html; charset=utf-8',
  'report.pdf': 'application/pdf',
  'bundle.zip': 'application/zip',
} as const

/** The reports of a run. */
export function evidenceRoutes(deps: ApiDeps) {
  return {
    evidence: os.planRuns.evidence.handler(async ({ input }) => {
      const run = await findPlanRun(deps, input.id)
      const trouble = deps.engine.evidence.troubleOf(run.id)
      return {
        items: (await deps.stores.evidence.list(run.id)).map(showEvidence),
        trouble: trouble && {
          message: trouble.message,
          tries: trouble.tries,
          nextTryAt: toIsoOrNull(trouble.nextTryAt),
        },
      }
    }),
    makeEvidence: os.planRuns.makeEvidence.handler(async ({ input, context }) => {
      const run = await findPlanRun(deps, input.id)
      context.audit(run.id, {})
      deps.engine.evidence.again(run.id)
      return {}
    }),
    evidenceFile: os.planRuns.evidenceFile.handler(async ({ input, context }) => {
      const { edition, file } = input
      const run = await findPlanRun(deps, input.id)
      const bundle = await deps.stores.evidence.bundle(run.id, edition)
      const content = bundle && (file === 'bundle.zip' ? bundle : deps.printer.open(bundle, file))
      if (!content)
        throw new Refusal({
          code: 'evidence/not-found',
          message: `There is no ${file} of edition ${edition}`,
          remedy: 'A report is made within seconds of the end of a run: look at its list of reports.',
        })
      const name = `${fileNameOf(run.planName)}-${toIso(run.startedAt).slice(0, 10)}-${file}`
      const way = file === 'bundle.zip' ? 'attachment' : 'inline'
      context.setHeader('content-disposition', `${way}; filename="${name}"`)
      // The page has its own rules in itself as well: names and outputs in it are somebody else's.
      if (file === 'report.html')
        context.setHeader(
          'content-security-policy',
          "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
        )
      return new File([new Uint8Array(content)], name, { type: typeOf[file] })
    }),
  }
}

/** Nothing of a name may end the header. */
const fileNameOf = (name: string): string => name.replaceAll(/[^A-Za-z0-9-]+/g, '_').slice(0, 60)

function showSettings(settings: TestSettings): ShownSettings {
  const { planId, testEveryDays, schedule, revision, nextAt, waitsFor } = settings
  return {
    planId,
    testEveryDays,
    // The same, but that a list of the contract could be changed.
    schedule: schedule as ShownSettings['schedule'],
    revision,
    words: schedule && wordsOfSchedule(schedule),
    nextAt: toIsoOrNull(nextAt),
    waitsFor,
  }
}

const showTest = ({
  planId,
  dueAt,
  state,
  planRunId,
  note,
  passed,
  settledAt,
}: ScheduledTest): ShownTest => ({
  planId,
  dueAt: toIso(dueAt),
  state,
  planRunId,
  note,
  passed,
  settledAt: toIsoOrNull(settledAt),
})
