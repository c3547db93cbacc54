// Policies to begin with, so that protecting the first machine takes a few clicks. Offered once: what is removed stays removed.
import { defaultPolicySettings } from '@understudy/domain/protection/policy'
import type { Engine } from '@understudy/engine/engine'
import type { PolicyStore } from '@understudy/engine/ports/stores'
import type { NewPolicy } from '@understudy/engine/requests'

const hour = 3600
const day = 24 * hour

const firstPolicies: readonly NewPolicy[] = [
  { ...defaultPolicySettings, name: 'Every 5 seconds' },
  {
    ...defaultPolicySettings,
    name: 'Every 5 minutes, kept for a month',
    intervalSeconds: 300,
    lagTargetSeconds: 900,
    priority: 3,
    retention: [
      { everySeconds: 0, forSeconds: day },
      { everySeconds: hour, forSeconds: 7 * day },
      { everySeconds: day, forSeconds: 31 * day },
    ],
  },
]

/** `fresh`: nobody has signed up here before. */
export async function offerPolicies(engine: Engine, policies: PolicyStore, fresh: boolean): Promise<void> {
  if (!fresh || (await policies.list()).length > 0) return
  for (const policy of firstPolicies) await engine.savePolicy(policy, null, { by: 'system' })
}
