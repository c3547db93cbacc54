import type { EvidenceReport } from '@understudy/domain/recovery-plans/evidence'
import type { PlanParameter } from '@understudy/domain/recovery-plans/plan'
import type { PlanRunId } from '@understudy/domain/recovery-plans/plan-run'
import { describe, expect, test, vi } from 'vitest'
import { by, type Lab, minute, newProtectedLab } from '../engine-lab.ts'
import { group, machine, plan, script, step } from '../recovery-plans/plan-lab.ts'

/** Of every edition, from old to new. The printer of a lab writes JSON. */
async function reportsOf(lab: Lab, id: PlanRunId): Promise<readonly EvidenceReport[]> {
  const editions = await lab.stores.evidence.list(id)
  const bundles = await Promise.all(
    editions.toReversed().map(({ edition }) => lab.stores.evidence.bundle(id, edition)),
  )
  return bundles.map((bundle) => JSON.parse(String(bundle)).report)
}

async function planned(more: Parameters<typeof plan>[1] = {}) {
  const { lab, protectionId } = await newProtectedLab()
  const wanted = plan(
    [
      group('all', {
        machines: [machine('m-web', protectionId)],
        after: [
          step('smoke', script('smoke', '{{key}}')),
          step('later', script('later'), { kinds: ['planned'] }),
        ],
      }),
    ],
    { targetRtoSeconds: 600, parameters: [secret], ...more },
  )
  const { plan: kept } = await lab.engine.plans.create(wanted, { by })
  const start = (kind: 'test' | 'planned', cleanUp: 'by-hand' | 'when-done' = 'by-hand') =>
    lab.engine.plans.start({
      by,
      planId: kept.id,
      kind,
      parameters: { key: 'Sesame-4711' },
      settings: { cleanUp },
    })
  return { lab, protectionId, planId: kept.id, start }
}

const secret: PlanParameter = {
  name: 'key',
  description: '',
  type: 'secret',
  choices: [],
  default: null,
  asked: true,
}

test('a test that cleans up by itself leaves one report, which tells all of it and no secret', async () => {
  const { lab, planId, start } = await planned()
  lab.steps.print('smoke', 'it said Sesame-4711 aloud')
  const run = await start('test', 'when-done')
  await lab.clock.advance(3 * minute)
  const reports = await reportsOf(lab, run.id)
  expect(reports).toHaveLength(1)
  const [report] = reports
  expect(report).toMatchObject({
    title: 'Test of "Web shop"',
    verdict: 'Passed',
    hasPassed: true,
    planId,
    version: 1,
    startedBy: by,
    dueAt: null,
    targetSeconds: 600,
    criticalPath: ['web', 'smoke'],
  })
  const [web, smoke, later] = report?.items ?? []
  expect(web).toMatchObject({
    name: 'web',
    kind: 'machine',
    state: 'succeeded',
    attempts: 1,
    isCritical: true,
  })
  expect(web?.boot?.pointAgeSeconds).toBeLessThan(10)
  expect(web?.boot?.answeredAt).not.toBeNull()
  expect(web?.boot?.screenshot).toBe('screenshots/001-web.png')
  expect(web?.tasks.map(({ name }) => name)).toContain('Wait for the guest to answer')
  expect(smoke).toMatchObject({ output: 'it said •••••• aloud' })
  expect(later).toMatchObject({ state: 'left out' })
  expect(report?.followUps).toMatchObject([{ title: 'Clean up of "Web shop"', state: 'succeeded' }])
  expect(report?.log[0]?.message).toBe('Test of "Web shop" was started by olga')
  expect(JSON.stringify(report)).not.toContain('Sesame')
  const [told] = await lab.events('plan-run/evidence')
  const [kept] = await lab.stores.evidence.list(run.id)
  expect(told?.facts).toMatchObject({ planRunId: run.id, sha256: kept?.sha256 })
})

test('what becomes of a run afterwards makes another edition, and the first one stays', async () => {
  const { lab, start } = await planned()
  lab.steps.failNext('smoke')
  const run = await start('test')
  await lab.clock.advance(2 * minute)
  const [first] = await lab.stores.evidence.list(run.id)
  const before = await lab.stores.evidence.bundle(run.id, 1)
  await lab.engine.plans.retry({ by, planRunId: run.id, itemId: 'smoke' as never })
  await lab.clock.advance(minute)
  await lab.engine.plans.followUp({ by, followsUp: run.id, kind: 'clean-up' })
  await lab.clock.advance(minute)
  const reports = await reportsOf(lab, run.id)
  expect(reports.map(({ edition, verdict }) => [edition, verdict])).toEqual([
    [1, 'Failed'],
    [2, 'Passed'],
    [3, 'Passed'],
  ])
  expect(reports[1]?.items[1]).toMatchObject({ attempts: 2, steeredBy: by })
  expect(reports.map(({ followUps }) => followUps.length)).toEqual([0, 0, 1])
  expect((await lab.stores.evidence.list(run.id)).at(-1)).toEqual(first)
  expect(await lab.stores.evidence.bundle(run.id, 1)).toEqual(before)
})

test('a failover leaves a report, and another one when it is committed', async () => {
  const { lab, start } = await planned()
  const run = await start('planned')
  await lab.clock.advance(3 * minute)
  expect(await reportsOf(lab, run.id)).toMatchObject([{ kind: 'planned', verdict: 'Passed' }])
  await lab.engine.plans.followUp({ by, followsUp: run.id, kind: 'commit' })
  await lab.clock.advance(2 * minute)
  expect((await reportsOf(lab, run.id)).at(-1)).toMatchObject({
    edition: 2,
    followUps: [{ title: 'Commit of "Web shop"' }],
  })
})

describe('a report that cannot be made', () => {
  test('is tried ever more rarely, then told once, and tried again when somebody asks for it', async () => {
    const { lab, start } = await planned()
    const print = vi.spyOn(lab.printer, 'print').mockRejectedValue(new Error('No room left'))
    const run = await start('test', 'when-done')
    await lab.clock.advance(minute)
    expect(lab.engine.evidence.troubleOf(run.id)).toMatchObject({ nextTryAt: expect.any(Number) })
    for (let each = 0; each < 60; each += 1) await lab.clock.advance(minute)
    expect(print).toHaveBeenCalledTimes(8)
    expect(await lab.events('plan-run/evidence-failed')).toHaveLength(1)
    const trouble = lab.engine.evidence.troubleOf(run.id)
    expect(trouble).toMatchObject({ tries: 8, nextTryAt: null })
    const alert = await lab.stores.alerts.findOpen('plan-run/evidence-failed', run.id)
    expect(alert).toMatchObject({
      message: expect.stringContaining('after 8 tries'),
      remedy: expect.any(String),
      subjectName: expect.stringMatching(/^Test of "Web shop" of 20/),
    })
    print.mockRestore()
    await lab.clock.advance(minute)
    expect(await lab.stores.evidence.list(run.id)).toEqual([])
    lab.engine.evidence.again(run.id)
    await lab.clock.advance(minute)
    expect(await lab.stores.evidence.list(run.id)).toHaveLength(1)
    expect(lab.engine.evidence.troubleOf(run.id)).toBeNull()
    expect(await lab.stores.alerts.findOpen('plan-run/evidence-failed', run.id)).toBeNull()
  })

  test('does not rest before somebody was told', async () => {
    const { lab, start } = await planned()
    vi.spyOn(lab.printer, 'print').mockRejectedValue(new Error('No room left'))
    const raise = vi.spyOn(lab.stores.alerts, 'raise').mockRejectedValue(new Error('The database is away'))
    const run = await start('test', 'when-done')
    for (let each = 0; each < 60; each += 1) await lab.clock.advance(minute)
    expect(lab.engine.evidence.troubleOf(run.id)?.nextTryAt).not.toBeNull()
    raise.mockRestore()
    await lab.clock.advance(minute)
    expect(lab.engine.evidence.troubleOf(run.id)?.nextTryAt).toBeNull()
    expect(await lab.openAlerts()).toContain('plan-run/evidence-failed')
    await lab.engine.plans.remove(run.planId, { by: 'olga' })
    expect(await lab.openAlerts()).not.toContain('plan-run/evidence-failed')
  })

  test('keeps no other one from its turn', async () => {
    const { lab, start } = await planned()
    const broken = Array.from({ length: 6 }, (_, index) => `broken-${index}` as PlanRunId)
    const { due } = lab.stores.evidence
    Object.assign(lab.stores.evidence, {
      due: async (limit: number) =>
        [...broken.map((planRunId) => ({ planRunId, edition: 1, basis: 'x' })), ...(await due(limit))].slice(
          0,
          limit,
        ),
    })
    const { find } = lab.stores.planRuns
    Object.assign(lab.stores.planRuns, {
      find: async (id: PlanRunId) => {
        if (broken.includes(id)) throw new Error('a broken row')
        return await find(id)
      },
    })
    const run = await start('test', 'when-done')
    await lab.clock.advance(3 * minute)
    expect(await lab.stores.evidence.list(run.id)).toHaveLength(1)
  })

  test('pictures are bounded by what they take, and what is left out is said', async () => {
    const { lab, start } = await planned()
    vi.spyOn(lab.stores.runs, 'screenshot').mockResolvedValue(Buffer.alloc(33 * 1024 * 1024))
    const run = await start('test', 'when-done')
    await lab.clock.advance(3 * minute)
    const [report] = await reportsOf(lab, run.id)
    expect(report?.items[0]?.boot?.screenshot).toBeNull()
    expect(report?.omitted).toEqual([expect.stringContaining('1 more screenshot')])
  })
})
