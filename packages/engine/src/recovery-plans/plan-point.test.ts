// One point for all machines of a plan, chosen before a run of it begins.
import { Outage } from '@understudy/base/errors'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import { expect, test, vi } from 'vitest'
import { by, type Lab, newProtectedLab, protectOneMore } from '../engine-lab.ts'
import type { StartPlanRequest } from '../requests.ts'
import { group, machine, plan } from './plan-lab.ts'

async function newPointLab() {
  const { lab, protectionId: web } = await newProtectedLab()
  const db = await protectOneMore(lab, { name: 'db' })
  const groups = [group('all', { machines: [machine('m-db', db), machine('m-web', web)] })]
  const { plan: made } = await lab.engine.plans.create(plan(groups), { by })
  const start = (request: Partial<StartPlanRequest> = {}) =>
    lab.engine.plans.start({ by, planId: made.id, kind: 'test', ...request })
  return { lab, db, web, planId: made.id, start }
}

const instants = async (lab: Lab, id: ProtectionId): Promise<readonly number[]> =>
  (await lab.engine.recoveryPoints(id)).map(({ instant }) => instant)

async function bootedFrom(lab: Lab, id: ProtectionId): Promise<number | undefined> {
  for (let turn = 0; turn < 300; turn += 1) {
    const [boot] = await lab.activeRuns(id)
    if (boot) return boot.pointInstant
    await lab.clock.advance(1000)
  }
  return undefined
}

test('"latest that all have reached" is settled when the run begins, although replication goes on', async () => {
  const { lab, db, web, start } = await newPointLab()
  // Behind its mate: the machine of which nothing new has come for a while.
  await lab.engine.pause({ by, protectionId: web })
  await lab.clock.advance(60_000)
  const reached = (await instants(lab, web)).at(-1) ?? 0
  const run = await start({ point: { kind: 'latest-processed' } })
  expect(run.point).toEqual({ kind: 'latest-processed', instant: reached })
  expect(await bootedFrom(lab, web)).toBe(reached)
  const ofDb = await bootedFrom(lab, db)
  expect(ofDb).toBe((await instants(lab, db)).findLast((instant) => instant <= reached))
  expect(ofDb).toBeLessThan((await instants(lab, db)).at(-1) ?? 0)
})

test('an instant before the history of a machine is refused with its name, and nothing is begun', async () => {
  const { lab, db, web, start, planId } = await newPointLab()
  const [oldest = 0] = await instants(lab, web)
  expect((await instants(lab, db))[0]).toBeGreaterThan(oldest)
  const point = { kind: 'at', instant: oldest } as const
  const refusal = await start({ point }).catch((error: unknown) => error)
  expect(refusal).toMatchObject({ code: 'recovery-plan/not-ready' })
  expect(String(refusal)).toContain('"db" has no recovery point at or before')
  expect(await lab.stores.planRuns.active()).toEqual([])
  const dry = await lab.engine.plans.dryRun({ by, planId, kind: 'test', point })
  expect(dry.findings).toMatchObject([{ code: 'recovery-plan/no-point-then', at: { id: 'm-db' } }])
  expect(dry.points).toMatchObject([
    { name: 'db', point: null },
    { name: 'web', point: { instant: oldest }, ageSeconds: 0 },
  ])
})

test('a store that does not answer is told by the name of the machine, and holds up no run from the latest points', async () => {
  const { lab, start, planId } = await newPointLab()
  const away = new Outage({ code: 'site/unreachable', message: 'The store does not answer', remedy: 'Wait.' })
  const broken = vi.spyOn(lab.b.replicas, 'openReplica').mockRejectedValue(away)
  const point = { kind: 'latest-processed' } as const
  await expect(start({ point })).rejects.toMatchObject({ code: 'recovery-plan/not-ready' })
  const dry = await lab.engine.plans.dryRun({ by, planId, kind: 'test', point })
  expect(dry.findings.map(({ code }) => code)).toContain('recovery-plan/points-unreadable')
  broken.mockRestore()
  expect(await start()).toMatchObject({ point: { kind: 'latest' } })
})

test('a move on purpose has no point, whatever was chosen', async () => {
  const { start } = await newPointLab()
  const run = await start({ kind: 'planned', point: { kind: 'at', instant: 1 } })
  expect(run.point).toEqual({ kind: 'latest' })
})
