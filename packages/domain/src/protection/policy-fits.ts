import { Refusal } from '@understudy/base/errors'
import type { Eligibility } from '../machines/machine.ts'
import type { Policy } from './policy.ts'

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
