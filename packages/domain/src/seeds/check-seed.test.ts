import { describe, expect, test } from 'vitest'
import type { ProtectionId, ReplicaId } from '../protection/protection.ts'
import { checkSeed } from './check-seed.ts'
import type { SeedId } from './seed.ts'

const point = {
  instant: 5,
  consistency: 'crash',
  consistencyNote: null,
  checkpoint: 'mark-5',
  cycle: 'seed',
} as const
const found = {
  id: 'seed-1' as SeedId,
  protectionId: 'web' as ProtectionId,
  replicaId: 'replica-1' as ReplicaId,
  machineName: 'web',
  point,
}
const facts = {
  found,
  expected: { id: found.id },
  protection: { id: found.protectionId, name: 'web', replicaId: found.replicaId },
  newest: null,
}

describe('checkSeed', () => {
  test('the seed that is waited for becomes the first point of an empty replica', () => {
    expect(checkSeed(facts)).toEqual({ kind: 'import' })
  })

  test('one whose point is in the replica already is not imported twice', () => {
    expect(checkSeed({ ...facts, newest: point })).toEqual({ kind: 'imported' })
  })

  test.each([
    ['of another machine', { found: { ...found, protectionId: 'db' as ProtectionId } }, 'seed/of-another'],
    ['that was given up', { expected: null }, 'seed/superseded'],
    ['that was exported anew', { expected: { id: 'seed-2' as SeedId } }, 'seed/superseded'],
    ['of another replica', { found: { ...found, replicaId: 'r' as ReplicaId } }, 'seed/superseded'],
    ['beside a copy over the line', { newest: { ...point, instant: 9 } }, 'seed/replica-not-empty'],
    ['after a delta', { newest: { ...point, cycle: 'delta' as const } }, 'seed/replica-not-empty'],
  ])('a seed %s is refused with a remedy', (_, change, code) => {
    expect(checkSeed({ ...facts, ...change })).toMatchObject({
      kind: 'refuse',
      why: { code, remedy: expect.any(String) },
    })
  })
})
