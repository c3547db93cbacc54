import type { Policy } from '@understudy/contract/policy'

/** The policy that is offered first: that which loses least. Of equal ones the first by name. Pure. */
export const choosePolicy = (policies: readonly Policy[]): Policy | undefined =>
  policies.toSorted(
    (left, right) => left.intervalSeconds - right.intervalSeconds || left.name.localeCompare(right.name),
  )[0]
