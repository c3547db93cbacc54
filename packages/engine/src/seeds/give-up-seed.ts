// The disk is lost, or not needed any more: the first copy goes over the line after all.
import { type EngineContext, loadProtection, stateChanged } from '../engine-context.ts'
import type { ProtectionRequest } from '../requests.ts'
import { tellSeed } from './export-seed.ts'
import { leaveSeed } from './leave-seed.ts'

export async function giveUpSeed(
  { parts, mover }: EngineContext,
  { protectionId, by }: ProtectionRequest,
): Promise<void> {
  const protection = await loadProtection(parts, protectionId)
  if (!(await leaveSeed(parts, protection))) throw stateChanged()
  await parts.stores.seeds.remove(protectionId)
  await tellSeed(parts, protection, {
    code: 'seed/given-up',
    message: `The seed of ${protection.name} was given up by ${by}: its first copy goes over the line${protection.resumeState === 'paused' ? ' once it is resumed' : ''}`,
  })
  mover.look()
}
