import { Refusal } from '@understudy/base/errors'
import { sampleParameter, samplePlan } from '@understudy/simulator/sample-plans'
import { describe, expect, test } from 'vitest'
import { planToYaml, yamlToPlan } from './plan-document.ts'

const nobody = new Map()

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

  test('may hold any brackets in its strings', () => {
    const brackets = '['.repeat(200)
    for (const text of [brackets, `"${brackets}"`, `{{x}}\n${brackets}\n${'- '.repeat(200)}`]) {
      const { id, ...plan } = samplePlan([], { parameters: [sampleParameter('text', { default: text })] })
      expect(yamlToPlan(planToYaml({ id, ...plan }, nobody), nobody)).toEqual(plan)
    }
  })
})
