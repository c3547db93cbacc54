import { sampleGroup, samplePlan, sampleStep } from '@understudy/simulator/sample-plans'
import { expect, test } from 'vitest'
import type { SiteId } from '../sites/site.ts'
import { diffPlans } from './diff-plans.ts'
import { substituteAction } from './parameters.ts'
import type { StepAction } from './step-action.ts'
import { validatePlan } from './validate-plan.ts'
import { type SiteFacts, validateSites } from './validate-sites.ts'

const site = 'site-1' as SiteId
const script: StepAction = {
  kind: 'script',
  where: { kind: 'site', site },
  command: '/opt/switch',
  arguments: [],
  environment: {},
  timeoutSeconds: 60,
}
const planWith = (action: StepAction) =>
  samplePlan([sampleGroup('a', { before: [sampleStep('run', { action })] })])

test.each<[SiteFacts['runsPrograms'] | null, string | null]>([
  ['yes', null],
  ['no', 'blocker recovery-plan/no-programs-at-site'],
  ['unclear', 'warning recovery-plan/site-silent'],
  [null, 'blocker recovery-plan/unknown-site'],
])('a program at a site that can run it, cannot, is away, or is not there: %s', (runsPrograms, found) => {
  const facts = new Map(
    runsPrograms === null ? [] : [[site, { name: 'Harbour', runsPrograms, hasCloud: 'no' as const }]],
  )
  const findings = validateSites(planWith(script), facts).map(({ level, code }) => `${level} ${code}`)
  expect(findings).toEqual(found === null ? [] : [found])
})

test('a program at a site needs a timeout, and is never chosen by a parameter', () => {
  const codes = (action: StepAction) => validatePlan(planWith(action), new Map()).map(({ code }) => code)
  expect(codes(script)).toEqual([])
  expect(codes({ ...script, timeoutSeconds: 0 })).toEqual(['recovery-plan/no-timeout'])
  const chosen = { ...script, command: '{{program}}' }
  expect(codes(chosen)).toContain('recovery-plan/command-parameter')
  expect(() => substituteAction(chosen, new Map([['program', '/bin/sh']]))).toThrow(
    'A parameter would choose',
  )
})

test('what differs between two versions names the site', () => {
  const onServer: StepAction = { ...script, where: { kind: 'server' } }
  const names = new Map([[site, 'Harbour']])
  expect(diffPlans(planWith(onServer), planWith(script), names).map(({ words }) => words)).toEqual([
    'where of step "run" from on the server to on the host of "Harbour"',
  ])
})
