// Policies: checked for sense before they are kept, and never removed under a protection.
import { Refusal } from '@understudy/base/errors'
import { type Change, policyChanges, wordsOfChanges } from '@understudy/domain/protection/changes'
import { checkPolicy, type Policy, type PolicyId } from '@understudy/domain/protection/policy'
import type { EngineParts } from '../engine-parts.ts'
import { recordEvent } from '../events/report.ts'
import type { Asker, NewPolicy } from '../requests.ts'
import { loadPolicy } from './protect.ts'

/** `id` null: a new one. A change takes effect with the next look of the movers. */
export async function savePolicy(
  parts: EngineParts,
  wanted: NewPolicy,
  id: PolicyId | null,
  asker: Asker,
): Promise<Policy> {
  checkPolicy(wanted)
  const former = id === null ? null : await loadPolicy(parts, id)
  if (former) await refuseOtherEncryption(parts, former, wanted)
  const taken = (await parts.stores.policies.list()).find(
    (other) => other.name === wanted.name && other.id !== id,
  )
  if (taken)
    throw new Refusal({
      code: 'policy/name-taken',
      message: `There is a policy called "${wanted.name}" already`,
      remedy: 'Choose another name.',
    })
  const policy: Policy = { ...wanted, id: id ?? (parts.newId() as PolicyId) }
  await parts.stores.policies.save(policy)
  parts.live.changed('policies', policy.id)
  const changes = former === null ? [] : policyChanges(former, policy)
  const what = former === null ? 'made' : 'changed'
  await tell(parts, policy, {
    code: 'policy/saved',
    message: `The policy "${(former ?? policy).name}" was ${what} by ${asker.by}${former ? `: ${wordsOfChanges(changes)}` : ''}`,
    changes,
  })
  return policy
}

/** Whether a replica is encrypted is decided when it is made. To say otherwise in a policy would promise what is not so. */
async function refuseOtherEncryption(parts: EngineParts, before: Policy, wanted: NewPolicy): Promise<void> {
  if (wanted.encrypt === before.encrypt) return
  const user = (await parts.stores.protections.list()).find(
    (protection) => protection.policyId === before.id && protection.state !== 'gone',
  )
  if (user) throw encryptionIsFixed(user.name, before.encrypt)
}

export const encryptionIsFixed = (name: string, encrypted: boolean): Refusal =>
  new Refusal({
    code: 'policy/encryption-fixed',
    message: `The replica of "${name}" is ${encrypted ? '' : 'not '}encrypted, and stays so as long as it lives`,
    remedy: `Make another policy with encryption ${encrypted ? 'off' : 'on'}, end the protection and protect the machine anew with it.`,
  })

export async function removePolicy(parts: EngineParts, id: PolicyId, asker: Asker): Promise<void> {
  const policy = await loadPolicy(parts, id)
  const user = (await parts.stores.protections.list()).find((protection) => protection.policyId === id)
  if (user)
    throw new Refusal({
      code: 'policy/in-use',
      message: `The policy "${policy.name}" is used by the protection "${user.name}"`,
      remedy: 'Give its protections another policy first.',
    })
  await parts.stores.policies.remove(id)
  parts.live.changed('policies', id)
  await tell(parts, policy, {
    code: 'policy/removed',
    message: `The policy "${policy.name}" was removed by ${asker.by}`,
    changes: [],
  })
}

const tell = (
  parts: EngineParts,
  { id, name }: Policy,
  { code, message, changes }: { code: string; message: string; changes: readonly Change[] },
): Promise<void> =>
  recordEvent(parts, {
    severity: 'info',
    code,
    message,
    subject: { id, name },
    facts: changes.length === 0 ? {} : { changes },
  })
