// A passphrase is kept as long as its job is at work, and no longer.
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { EngineParts } from '../engine-parts.ts'
import { JobFailure, type JobScope } from '../jobs/job-scope.ts'

/** Whoever calls it is the one job that may work on the protection, or ends that one. Repeatable. */
export async function forgetPassphrase(parts: Pick<EngineParts, 'stores'>, id: ProtectionId): Promise<void> {
  const seed = await parts.stores.seeds.find(id)
  if (seed) await parts.stores.seeds.update(seed, null)
}

/** Work that ends the passphrase by itself when it succeeds. */
export async function withPassphrase(
  parts: Pick<EngineParts, 'stores'>,
  job: JobScope,
  id: ProtectionId,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof JobFailure)) throw error
    await job.afterwards('Forget the passphrase', () => forgetPassphrase(parts, id))
    throw error
  }
}
