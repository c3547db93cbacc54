// Whether a seed may become the first recovery point of a replica.
import type { FailureDescription } from '@understudy/base/errors'
import type { Protection } from '../protection/protection.ts'
import type { PointFacts, RecoveryPoint } from '../recovery-points/recovery-point.ts'
import type { Seed, SeedIdentity } from './seed.ts'

export type SeedFacts = {
  readonly found: SeedIdentity & { readonly point: PointFacts }
  /** The one that the protection waits for; null: none. */
  readonly expected: Pick<Seed, 'id'> | null
  readonly protection: Pick<Protection, 'id' | 'name' | 'replicaId'>
  /** The newest point of the replica, else null. */
  readonly newest: Pick<RecoveryPoint, 'instant' | 'checkpoint' | 'cycle'> | null
}

export type SeedVerdict =
  | { readonly kind: 'import' }
  /** It lies in the replica already: an import was cut short between its seal and its last note. */
  | { readonly kind: 'imported' }
  | { readonly kind: 'refuse'; readonly why: FailureDescription }

/** Decides what becomes of a seed that was found. Pure. */
export function checkSeed({ found, expected, protection, newest }: SeedFacts): SeedVerdict {
  if (found.protectionId !== protection.id)
    return refuse(
      'seed/of-another',
      `The seed is of ${found.machineName}, not of ${protection.name}`,
      'Give the folder with the seed of this machine.',
    )
  if (found.id !== expected?.id || found.replicaId !== protection.replicaId)
    return refuse(
      'seed/superseded',
      `The seed is not the one that ${protection.name} waits for: it was given up, or exported anew`,
      'Import the newest seed, or give it up and copy over the line.',
    )
  if (newest === null) return { kind: 'import' }
  if (isPointOf(found.point, newest)) return { kind: 'imported' }
  return refuse(
    'seed/replica-not-empty',
    `The replica of ${protection.name} has recovery points already`,
    'The seed is not needed any more: give it up.',
  )
}

const isPointOf = (seed: PointFacts, newest: NonNullable<SeedFacts['newest']>): boolean =>
  newest.cycle === 'seed' && newest.instant === seed.instant && newest.checkpoint === seed.checkpoint

const refuse = (code: string, message: string, remedy: string): SeedVerdict => ({
  kind: 'refuse',
  why: { code, message, remedy },
})
