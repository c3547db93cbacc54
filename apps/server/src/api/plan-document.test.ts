import { Refusal } from '@understudy/base/errors'
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { SiteId } from '@understudy/domain/sites/site'
import {
  sampleGroup,
  sampleMachine,
  sampleParameter,
  samplePlan,
  sampleStep,
} from '@understudy/simulator/sample-plans'
import { describe, expect, test } from 'vitest'
import { planToYaml, yamlToPlan } from './plan-document.ts'

const named = (protections: ReadonlyMap<ProtectionId, string>, sites = new Map<SiteId, string>()) => ({
  protections,
  sites,
})
const nobody = named(new Map())

function refusalOf(work: () => unknown): Refusal {
  try {
    work()
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('it was not refused')
}

describe('the text of a plan', () => {
  const lines = (count: number, line: (depth: number) => string): string =>
    Array.from({ length: count }, (_, depth) => line(depth)).join('')
  test.each([
    ['lists in brackets', (levels: number) => '['.repeat(levels)],
    ['maps in braces', (levels: number) => '{a: '.repeat(levels)],
    ['lists in lists on one line', (levels: number) => '- '.repeat(levels)],
    ['keys of keys on one line', (levels: number) => '? '.repeat(levels)],
    [
      'maps by their indentation',
      (levels: number) => lines(Math.min(levels, 1300), (depth) => `${' '.repeat(depth)}a:\n`),
    ],
  ])('that is nested too deep is refused before it costs anything: %s', (_, text) => {
    const begun = performance.now()
    const { code, message } = refusalOf(() => yamlToPlan(text(100_000), nobody))
    expect(performance.now() - begun).toBeLessThan(1000)
    expect(code).toBe('recovery-plan/document')
    expect(message).toContain('nested more than 50 levels deep')
    expect(refusalOf(() => yamlToPlan(text(52), nobody)).message).toContain('nested')
    expect(refusalOf(() => yamlToPlan(text(50), nobody)).message).not.toContain('nested')
  })

  test.each([
    ['', 'no fields'],
    ['just words', 'no fields'],
    ['- a\n- b', 'no fields'],
    ['a: 1\n---\nb: 2', 'several documents'],
  ])('that is no plan at all is refused in words for whoever wrote it: %j', (text, words) => {
    const { code, message } = refusalOf(() => yamlToPlan(text, nobody))
    expect(code).toBe('recovery-plan/document')
    expect(message).toContain(words)
  })

  test('may hold any brackets in its strings', () => {
    const brackets = '['.repeat(200)
    for (const text of [brackets, `"${brackets}"`, `{{x}}\n${brackets}\n${'- '.repeat(200)}`]) {
      const { id, ...plan } = samplePlan([], { parameters: [sampleParameter('text', { default: text })] })
      expect(yamlToPlan(planToYaml({ id, ...plan }, nobody), nobody)).toEqual(plan)
    }
  })

  const [web, old, db] = ['web-id', 'old-id', 'db-id'] as unknown as [
    ProtectionId,
    ProtectionId,
    ProtectionId,
  ]
  const machineOf = (id: string, protectionId: ProtectionId) => sampleMachine(id, { protectionId })
  const full = samplePlan([sampleGroup('all', { machines: [machineOf('one', web), machineOf('two', db)] })])

  test('names a machine by its protection, and by its id where two have that name', () => {
    const { id, ...plan } = full
    const one = new Map([
      [web, 'web'],
      [db, 'db'],
    ] as [ProtectionId, string][])
    const text = planToYaml(full, named(one))
    expect(text).toMatch(/protection: web\n[\s\S]*protection: db\n/)
    expect(yamlToPlan(text, named(one))).toEqual(plan)
    const two = new Map([...one, [old, 'web']] as [ProtectionId, string][])
    const clear = planToYaml(full, named(two))
    expect(clear).toMatch(/protection: web-id\n[\s\S]*protection: db\n/)
    expect(yamlToPlan(clear, named(two))).toEqual(plan)
  })

  test('that could mean one of two machines, or means none, is refused', () => {
    const names = new Map([
      [web, 'web'],
      [db, 'db'],
    ] as [ProtectionId, string][])
    const text = planToYaml(full, named(names))
    const two = new Map([...names, [old, 'web']] as [ProtectionId, string][])
    expect(refusalOf(() => yamlToPlan(text, named(two)))).toMatchObject({
      code: 'recovery-plan/ambiguous-machine',
      message: 'More than one machine is protected under the name "web"',
    })
    expect(refusalOf(() => yamlToPlan(text, nobody))).toMatchObject({
      code: 'recovery-plan/unknown-machine',
      message: 'No machine is protected under the name "web", "db"',
    })
  })

  test('means the protection of a name before one of that id', () => {
    const names = new Map([
      [web, 'old-id'],
      [old, 'web'],
      [db, 'db'],
    ] as [ProtectionId, string][])
    const { groups } = yamlToPlan(planToYaml(full, named(names)), named(names))
    expect(groups[0]?.machines[0]?.protectionId).toBe(web)
  })

  const [harbour, other] = ['harbour-id', 'other-id'] as unknown as [SiteId, SiteId]
  const command = { command: '/opt/switch', arguments: [], environment: {} }
  const atSite = (site: SiteId) => ({ ...command, where: { kind: 'site' as const, site } })
  const withSite = samplePlan([
    sampleGroup('all', {
      before: [sampleStep('one', { action: { kind: 'script', ...atSite(harbour), timeoutSeconds: 60 } })],
      after: [
        sampleStep('two', {
          action: {
            kind: 'probe',
            check: { kind: 'script', ...atSite(harbour) },
            until: 'green',
            intervalSeconds: 1,
            timeoutSeconds: 60,
          },
        }),
      ],
    }),
  ])

  test('names the site of a program by its name, and by its id where two have that name', () => {
    const { id, ...plan } = withSite
    const one = named(new Map(), new Map([[harbour, 'Harbour']]))
    const text = planToYaml(withSite, one)
    expect(text.match(/site: Harbour\n/g)).toHaveLength(2)
    expect(yamlToPlan(text, one)).toEqual(plan)
    const two = named(new Map(), new Map([...one.sites, [other, 'Harbour']]))
    expect(planToYaml(withSite, two)).toMatch(/site: harbour-id\n/)
    expect(yamlToPlan(planToYaml(withSite, two), two)).toEqual(plan)
    expect(refusalOf(() => yamlToPlan(text, two)).code).toBe('recovery-plan/ambiguous-site')
    expect(refusalOf(() => yamlToPlan(text, nobody))).toMatchObject({
      code: 'recovery-plan/unknown-site',
      message: 'A step runs a program at a site that is not there: "Harbour"',
    })
  })
})
