import type { LibraryText } from '@understudy/contract/plan-library'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { PlanId } from '@understudy/domain/recovery-plans/plan-ids'
import { machinesOf, stepsOf } from '@understudy/domain/recovery-plans/plan-items'
import { activePlanRunStates } from '@understudy/domain/recovery-plans/plan-run'
import { validatePlan } from '@understudy/domain/recovery-plans/validate-plan'
import { sitesOf } from '@understudy/domain/recovery-plans/validate-sites'
import { by, newProtectedLab, protectOneMore } from '@understudy/engine/engine-lab'
import { openHintPool } from '@understudy/store/hint-pool'
import { startTestPostgres } from '@understudy/store/test-postgres'
import { describe, expect, test } from 'vitest'
import { planFromLibrary, readLibrary } from './plan-library.ts'

const library = readLibrary()

const filledIn = ({ plan }: LibraryText) =>
  Object.fromEntries(
    plan.parameters
      .filter(({ type, default: plain }) => type !== 'secret' && plain === null)
      .map(({ name }) => [
        name,
        name === 'zone' ? 'example.org' : name === 'record' ? 'www.example.org' : 'x',
      ]),
  )

test('the library has the plans that it is known for, each once', () => {
  expect(library.map(({ id }) => id).toSorted()).toEqual([
    'active-directory-first',
    'azure-switch',
    'dns-switch',
    'exchange-dag',
    'haproxy-switch',
    'oracle-data-guard',
    'postgresql',
    'sql-server-availability-group',
    'two-tier-web',
  ])
})

describe.each(library.map((entry) => ({ id: entry.id, entry })))('$id', ({ entry }) => {
  test('says what was run and what was not, and uses every role once', () => {
    expect(entry.documentation).toMatch(/Was run: [\s\S]+Was not run: /)
    const used = entry.plan.groups.flatMap(({ machines }) => machines.map(({ protection }) => protection))
    expect(used.toSorted()).toEqual(entry.roles.map(({ name }) => name).toSorted())
    const groups = entry.plan.groups.map((group) => ({ ...group, machines: [] }))
    expect(sitesOf({ groups })).toEqual(entry.sites.map(({ name }) => name))
  })

  test('is without a fault once its roles and parameters are filled in, and is refused without a machine', () => {
    const roles = Object.fromEntries(
      entry.roles.map(({ name, many }) => [name, many ? [`${name}-a`, `${name}-b`] : [name]]),
    )
    const sites = Object.fromEntries(entry.sites.map(({ name }) => [name, `site-${name}`]))
    const plan = planFromLibrary(entry, { name: 'Mine', roles, sites, parameters: filledIn(entry) })
    expect(sitesOf(plan)).toEqual(Object.values(sites))
    const names = new Map(
      machinesOf({ ...plan, id: 'p' as PlanId }).map(({ protectionId }) => [
        protectionId,
        protectionId as string,
      ]),
    )
    expect(validatePlan({ ...plan, id: 'p' as PlanId }, names)).toEqual([])
    expect(() => planFromLibrary(entry, { name: 'Mine', roles: {}, sites, parameters: {} })).toThrow(/needs/)
    if (entry.sites.length > 0)
      expect(() => planFromLibrary(entry, { name: 'Mine', roles, sites: {}, parameters: {} })).toThrow(
        /needs a site/,
      )
    const elsewhere = { name: 'Mine', roles, sites: { ...sites, moon: 'x' }, parameters: {} }
    expect(() => planFromLibrary(entry, elsewhere)).toThrow(/moon/)
    const stray = { name: 'Mine', roles, sites, parameters: { nothing: 'x' } }
    expect(() => planFromLibrary(entry, stray)).toThrow(/nothing/)
  })

  test.each(['test', 'unplanned'] as const)(
    'is looked at beforehand and run for a %s with simulated machines',
    async (kind) => {
      const { lab, protectionId } = await newProtectedLab()
      const roles: Record<string, readonly ProtectionId[]> = {}
      for (const [index, { name }] of entry.roles.entries())
        roles[name] = [index === 0 ? protectionId : await protectOneMore(lab, { name: `part-${name}` })]
      // As if machines of site B ran in Azure.
      if (entry.sites.length > 0) Object.assign(lab.b.platform, { cloudServices: { check: async () => [] } })
      const sites = Object.fromEntries(entry.sites.map(({ name }) => [name, lab.siteB.id]))
      const plan = planFromLibrary(entry, { name: entry.title, roles, sites, parameters: filledIn(entry) })
      const { plan: made } = await lab.engine.plans.create(plan, { by })
      if (plan.parameters.some(({ type }) => type === 'secret'))
        await lab.stores.plans.changeSecrets(made.id, { dnsKey: 'c2VjcmV0' })
      const { findings } = await lab.engine.plans.dryRun({ by, planId: made.id, kind })
      expect(findings.filter(({ level }) => level === 'blocker')).toEqual([])
      const settings = { acceptUnfenced: true }
      const { id } = await lab.engine.plans.start({ by, planId: made.id, kind, settings })
      for (let turn = 0; turn < 600; turn += 1) {
        const run = await lab.stores.planRuns.find(id)
        if (run && !activePlanRunStates.includes(run.state)) break
        for (const { itemId, state } of await lab.stores.planRuns.activities(id))
          if (
            state === 'running' &&
            stepsOf(made).find((step) => step.id === itemId)?.action.kind === 'manual'
          )
            await lab.engine.plans
              .answer({ by, planRunId: id, itemId, value: 'done', comment: '' })
              .catch(() => {})
        await lab.clock.advance(1000)
      }
      expect(await lab.stores.planRuns.find(id)).toMatchObject({ state: 'succeeded', note: null })
    },
  )
})

test('what the PostgreSQL plan asks a server is answered by a real one as it is meant', {
  timeout: 120_000,
}, async () => {
  const questions = library
    .find(({ id }) => id === 'postgresql')
    ?.plan.groups.flatMap(({ after }) => after)
    .flatMap(({ action }) =>
      action.kind === 'probe' && action.check.kind === 'script' ? action.check.arguments.slice(-1) : [],
    )
  const [isPrimary = '', streams = ''] = questions ?? []
  const postgres = await startTestPostgres()
  try {
    const hints = openHintPool(await postgres.newDatabase())
    try {
      expect((await hints.pool.query(isPrimary)).rows).toHaveLength(1)
      // A server that streams from nobody is not taken for a replica.
      await expect(hints.pool.query(streams)).rejects.toMatchObject({ code: '22012' })
    } finally {
      await hints.close()
    }
  } finally {
    await postgres.stop()
  }
})
