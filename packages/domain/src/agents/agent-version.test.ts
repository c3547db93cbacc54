import { expect, test } from 'vitest'
import { isNewer, judgeSkew, judgeUpgrade } from './agent-version.ts'

test.each([
  ['0.2.0', '0.1.9', true],
  ['0.10.0', '0.9.0', true],
  ['1.0.0', '0.99.99', true],
  ['0.1.10', '0.1.9', true],
  ['0.1.0', '0.1.0', false],
  ['0.1.0', '0.2.0', false],
  ['1', '0.9', true],
  ['newest', '0.1.0', false],
  ['0.2.0', 'old', false],
])('%s is newer than %s: %s', (one, other, newer) => {
  expect(isNewer(one, other)).toBe(newer)
})

test.each([
  ['1.4.0', '1.4.9', 'near'],
  ['1.4.0', '1.3.0', 'near'],
  ['1.4.0', '1.5.2', 'near'],
  ['1.4.0', '1.2.9', 'too-old'],
  ['1.4.0', '1.6.0', 'too-new'],
  ['1.4.0', '0.4.0', 'too-old'],
  ['1.4.0', '2.4.0', 'too-new'],
  ['1.4.0', '', 'too-old'],
  ['1.4.0', '1.4.0.9', 'too-old'],
])('to a control plane of %s an agent of "%s" is %s', (ours, theirs, skew) => {
  expect(judgeSkew(ours, theirs)).toBe(skew)
})

const facts = { hostName: '', system: '', kernel: '', architecture: 'x64', processors: 1, memoryBytes: 1 }
const able = { ...facts, program: { platform: 'linux-x64', fixedBecause: null } }
const offered = (platform: string): string | null => (platform === 'linux-x64' ? '0.2.0' : null)
const agent = { version: '0.1.0', facts: able, revokedAt: null }

test('a newer program is offered to those that can take it, and the others are told why not', () => {
  expect(judgeUpgrade(agent, offered)).toEqual({ version: '0.2.0', whyNot: null })
  const fixed = { ...facts, program: { platform: 'linux-x64', fixedBecause: 'It runs from its sources.' } }
  expect(judgeUpgrade({ ...agent, facts: fixed }, offered)?.whyNot).toBe('It runs from its sources.')
  expect(judgeUpgrade({ ...agent, facts }, offered)?.whyNot).toContain('too old to do it by itself')
})

test.each([
  ['of the same version', { ...agent, version: '0.2.0' }],
  ['of a newer version', { ...agent, version: '0.3.0' }],
  ['of another platform', { ...agent, facts: { ...facts, architecture: 'arm64' } }],
  ['that is revoked', { ...agent, revokedAt: 1 }],
])('to an agent %s nothing is offered', (_what, given) => {
  expect(judgeUpgrade(given, offered)).toBeNull()
})
