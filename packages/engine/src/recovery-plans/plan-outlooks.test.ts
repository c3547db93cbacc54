import { expect, test, vi } from 'vitest'
import { by, newProtectedLab } from '../engine-lab.ts'
import { group, machine, plan } from './plan-lab.ts'

test('however many plans are looked at, the machines are read once', async () => {
  const { lab, protectionId } = await newProtectedLab()
  const groups = [group('all', { machines: [machine('m', protectionId)] })]
  const names = ['Shop', 'Mail', 'Data']
  const plans = await Promise.all(
    names.map(async (name) => (await lab.engine.plans.create(plan(groups, { name }), { by })).plan),
  )
  const list = vi.spyOn(lab.stores.protections, 'list')
  const summaries = vi.spyOn(lab.stores.protections, 'summaries')
  const outlooks = await lab.engine.plans.outlooks(plans, 'unplanned')
  expect([list.mock.calls.length, summaries.mock.calls.length]).toEqual([1, 1])
  for (const each of plans) {
    expect(outlooks.get(each.id)?.findings).toEqual(await lab.engine.plans.findings(each, 'unplanned'))
    expect(outlooks.get(each.id)?.timetable?.totalSeconds).toBeGreaterThan(0)
  }
})
