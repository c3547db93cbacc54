// Nobody waits for the disk any more: the protection goes back to what it was.
import type { Protection } from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'

/** Back to what it was: one that somebody had paused stays paused. False: its state is another one by now. */
export const leaveSeed = (
  { stores }: Pick<EngineParts, 'stores'>,
  { id, resumeState }: Pick<Protection, 'id' | 'resumeState'>,
): Promise<boolean> =>
  resumeState === 'paused'
    ? stores.protections.moveState(id, 'awaitingSeed', 'paused', null, 'seeding')
    : stores.protections.moveState(id, 'awaitingSeed', 'seeding', null, null)
