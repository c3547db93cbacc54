import type { ScriptAction } from '@understudy/domain/recovery-plans/step-action'
import { expect, test } from 'vitest'
import { newLab } from '../engine-lab.ts'
import type { SitePlatform } from '../ports/platforms.ts'
import { group, script, step } from './plan-lab.ts'
import { siteFacts } from './program-sites.ts'

test('a site that hangs is unclear after a moment, and the others are what they are', async () => {
  const { clock, stores, siteA, siteB, b } = await newLab()
  const at = (site: ScriptAction['where']): ScriptAction => ({
    ...(script('go') as ScriptAction),
    where: site,
  })
  const steps = [siteA, siteB].map(({ id }) => step(id, at({ kind: 'site', site: id })))
  const hangs = new Promise<SitePlatform>(() => undefined)
  const platforms = {
    of: async ({ id }: { readonly id: string }) => (id === siteA.id ? await hangs : b.platform),
    preview: async () => b.platform,
    secretPlaces: () => ({}),
    forget: async () => undefined,
  }
  let facts: Awaited<ReturnType<typeof siteFacts>> | null = null
  const asked = siteFacts(
    { stores, platforms, sleep: clock.sleep },
    { groups: [group('all', { before: steps })] },
  ).then((found) => {
    facts = found
  })
  await clock.advance(5000)
  expect(facts).toEqual(
    new Map([
      [siteA.id, { name: 'A', runsPrograms: 'unclear', hasCloud: 'unclear' }],
      [siteB.id, { name: 'B', runsPrograms: 'no', hasCloud: 'no' }],
    ]),
  )
  await asked
})
