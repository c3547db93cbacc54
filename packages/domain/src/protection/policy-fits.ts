import { Refusal } from '@understudy/base/errors'
import type { Eligibility } from '../machines/machine.ts'
import type { Policy } from './policy.ts'

/** Why replicas of this policy cannot be kept at the site; null: they can. Pure. */
export function whyNotEncrypted(
  { name, encrypt }: Pick<Policy, 'name' | 'encrypt'>,
  site: { readonly name: string; readonly encrypts: boolean },
): { readonly code: string; readonly message: string; readonly remedy: string } | null {
  if (!encrypt || site.encrypts) return null
  return {
    code: 'policy/cannot-encrypt',
    message: `The policy "${name}" encrypts, and ${site.name} keeps disks as its platform boots them: under our key nothing would boot`,
    remedy: 'Choose a policy without "Encrypt at rest". A cloud encrypts what it keeps by itself.',
  }
}

/** Refuses a policy that the machine's platform cannot keep. Pure. */
export function checkPolicyFits(policy: Policy, eligibility: Eligibility): void {
  const { shortestIntervalSeconds } = eligibility
  if (policy.intervalSeconds >= shortestIntervalSeconds) return
  throw new Refusal({
    code: 'policy/interval-too-short',
    message: `The policy "${policy.name}" wants a point every ${policy.intervalSeconds} s; this machine can give one every ${shortestIntervalSeconds} s`,
    remedy: `Choose a policy with an interval of ${shortestIntervalSeconds} s or more.`,
  })
}
