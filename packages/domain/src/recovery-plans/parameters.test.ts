import { itemId, sampleParameter } from '@understudy/simulator/sample-plans'
import { describe, expect, test } from 'vitest'
import { resolveParameters, substitute, substituteAction } from './parameters.ts'
import type { ParameterType } from './plan.ts'

const choice = { type: 'choice', choices: ['blue', 'green'] } as const

const findingsOf = (resolved: ReturnType<typeof resolveParameters>) =>
  resolved.kind === 'refused' ? resolved.findings.map(({ code, message }) => [code, message]) : []

describe('resolveParameters', () => {
  test('what is given goes before the kept secret and the default', () => {
    const resolved = resolveParameters(
      [
        sampleParameter('zone', { default: 'example.com' }),
        sampleParameter('count', { type: 'number', default: 0 }),
        sampleParameter('quiet', { type: 'boolean', default: false, asked: false }),
        sampleParameter('colour', { ...choice, default: 'blue' }),
        sampleParameter('key', { type: 'secret' }),
        sampleParameter('token', { type: 'secret', asked: false }),
      ],
      {
        given: { colour: 'green', count: 3, key: 'typed' },
        keptSecrets: { key: 'kept', token: 'kept too' },
      },
    )
    expect(resolved).toEqual({
      kind: 'resolved',
      values: new Map<string, unknown>([
        ['zone', 'example.com'],
        ['count', 3],
        ['quiet', false],
        ['colour', 'green'],
        ['key', 'typed'],
        ['token', 'kept too'],
      ]),
      secrets: ['typed', 'kept too'],
    })
  })

  const wrong: readonly (readonly [ParameterType, unknown, string])[] = [
    ['text', 5, 'must be a text'],
    ['number', '5', 'must be a number'],
    ['number', Number.NaN, 'must be a number'],
    ['boolean', 'true', 'must be true or false'],
    ['choice', 'red', 'must be one of: "blue", "green"'],
    ['secret', '', 'must be a text that is not empty'],
    ['secret', ['hunter2'], 'must be a text that is not empty'],
  ]
  test.each(wrong)('a %s that is given as %j %s, and the value is not repeated', (type, value, words) => {
    const parameter = sampleParameter('x', { type, choices: choice.choices })
    const resolved = resolveParameters([parameter], { given: { x: value }, keptSecrets: {} })
    expect(findingsOf(resolved)).toEqual([['recovery-plan/parameter-type', `The parameter "x" ${words}`]])
    expect(JSON.stringify(resolved)).not.toContain('hunter2')
  })

  test('everything that is wrong is told at once, beside its parameter', () => {
    const resolved = resolveParameters(
      [sampleParameter('missing'), sampleParameter('fixed', { asked: false, default: 'a' })],
      { given: { fixed: 'b', typo: 1 }, keptSecrets: {} },
    )
    expect(findingsOf(resolved).map(([code]) => code)).toEqual([
      'recovery-plan/parameter-unknown',
      'recovery-plan/parameter-missing',
      'recovery-plan/parameter-not-asked',
    ])
    expect(resolved.kind === 'refused' && resolved.findings.map(({ at }) => at)).toEqual([
      { kind: 'parameter', name: 'typo' },
      { kind: 'parameter', name: 'missing' },
      { kind: 'parameter', name: 'fixed' },
    ])
  })

  test('a parameter called like something that every object has is still missing', () => {
    const resolved = resolveParameters([sampleParameter('constructor')], { given: {}, keptSecrets: {} })
    expect(findingsOf(resolved)).toEqual([
      ['recovery-plan/parameter-missing', 'The parameter "constructor" has no value'],
    ])
  })
})

describe('substitute', () => {
  const values = new Map<string, string | number | boolean>([
    ['zone', 'example.com'],
    ['count', 3],
    ['on', true],
    ['sly', '{{zone}} $& $1'],
  ])

  test('values of every type take the place of their names', () => {
    expect(substitute('www.{{zone}} x{{ count }} {{on}} {{.Names}}', values)).toBe(
      'www.example.com x3 true {{.Names}}',
    )
  })

  test('what a value holds is not read again', () => {
    expect(substitute('<{{sly}}>', values)).toBe('<{{zone}} $& $1>')
  })

  test('a name that nobody knows is refused instead of left empty', () => {
    expect(() => substitute('rm -rf /{{folder}}', values)).toThrow('no parameter "folder"')
  })

  test('an argument stays one argument, whatever is put into it', () => {
    const action = substituteAction(
      {
        kind: 'script',
        where: { kind: 'server' },
        command: 'notify',
        arguments: ['{{text}}'],
        environment: { ZONE: '{{text}}' },
        timeoutSeconds: 5,
      },
      new Map([['text', 'a b; reboot']]),
    )
    expect(action).toMatchObject({ arguments: ['a b; reboot'], environment: { ZONE: 'a b; reboot' } })
  })

  test('a program on the server is never chosen by a parameter; one in a guest may be', () => {
    const command = { command: '{{zone}}', arguments: [], environment: {} }
    const onServer = { ...command, where: { kind: 'server' } } as const
    const probe = { kind: 'probe', until: 'green', intervalSeconds: 1, timeoutSeconds: 5 } as const
    const refused = expect.objectContaining({ code: 'recovery-plan/command-parameter' })
    const script = { kind: 'script', timeoutSeconds: 5 } as const
    expect(() => substituteAction({ ...script, ...onServer }, values)).toThrow(refused)
    expect(() => substituteAction({ ...probe, check: { kind: 'script', ...onServer } }, values)).toThrow(
      refused,
    )
    const inGuest = { ...command, where: { kind: 'guest', machine: itemId('web') } } as const
    expect(substituteAction({ ...script, ...inGuest }, values)).toMatchObject({ command: 'example.com' })
  })
})
