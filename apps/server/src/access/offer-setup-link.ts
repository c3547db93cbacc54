import type { Clock } from '@understudy/base/instant'
import type { SetupStore } from '@understudy/engine/ports/access-stores'
import { hashSecret, newSecret } from './secrets.ts'

const linkMilliseconds = 24 * 3_600_000

/** The one-time link for the first owner, or null when somebody has signed up already. Older links stop working. */
export async function offerSetupLink(
  setup: SetupStore,
  clock: Clock,
  address: string,
): Promise<string | null> {
  if (!(await setup.needed())) return null
  const secret = newSecret()
  await setup.offer(hashSecret(secret), clock.now() + linkMilliseconds)
  return `${address}/setup?token=${secret}`
}
