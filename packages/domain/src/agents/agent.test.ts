import { expect, test } from 'vitest'
import { agentOrderKinds, agentRoles, mayAgent, stateOfAgent } from './agent.ts'

const enrolled = { revokedAt: null, seenAt: null, enrolledAt: 1000 }

test('an agent is expected after its enrolment, connected while it is heard, and silent afterwards', () => {
  expect(stateOfAgent(enrolled, 2000, 60)).toBe('expected')
  expect(stateOfAgent(enrolled, 62_000, 60)).toBe('silent')
  expect(stateOfAgent({ ...enrolled, seenAt: 50_000 }, 62_000, 60)).toBe('connected')
  expect(stateOfAgent({ ...enrolled, seenAt: 50_000 }, 110_001, 60)).toBe('silent')
})

test('a revoked agent is revoked, however lately it was heard', () => {
  expect(stateOfAgent({ ...enrolled, seenAt: 2000, revokedAt: 1500 }, 2000, 60)).toBe('revoked')
})

test('an agent without a role may do nothing', () => {
  for (const kind of agentOrderKinds) {
    expect(mayAgent([], kind)).toBe(false)
    expect(mayAgent(agentRoles, kind)).toBe(true)
  }
})
