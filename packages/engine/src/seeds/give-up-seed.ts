// The disk is lost, or not needed any more: the first copy goes over the line after all.
import { type EngineContext, loadProtection, stateChanged } from '../engine-context.ts'
import type { ProtectionRequest } from '../requests.ts'
import { tellSeed } from './export-seed.ts'

export async function giveUpSeed(
  { parts, mover }: EngineContext,
  { protectionId, by }: ProtectionRequest,
): Promise<void> {
  const protection = await loadProtection(parts, protectionId)
  if (!(await parts.stores.protections.moveState(protectionId, 'awaitingSeed', 'seeding', null, null)))
    throw stateChanged()
  await parts.stores.seeds.remove(protectionId)
  await tellSeed(parts, protection, {
    code: 'seed/given-up',
    message: `The seed of ${protection.name} was given up by ${by}: its first copy goes over the line`,
  })
  mover.look()
}
