// Which disks of which machine are left out of its protection. Pure.
import type { Machine } from '@understudy/contract/machine'

/** Keys of disks by machine; machines that are not in it are replicated whole. */
export type Excluded = Readonly<Record<string, readonly string[]>>

/** The first machine of which nothing would be replicated. */
export const machineLeftEmpty = (machines: readonly Machine[], excluded: Excluded): Machine | undefined =>
  machines.find(
    ({ id, hardware }) =>
      hardware.disks.length > 0 && hardware.disks.every(({ key }) => excluded[id]?.includes(key)),
  )

/** Of the chosen machines only: choices for others are remembered, but not sent. */
export const excludedOf = (machines: readonly Machine[], excluded: Excluded): Record<string, string[]> =>
  Object.fromEntries(machines.flatMap(({ id }) => (excluded[id]?.length ? [[id, [...excluded[id]]]] : [])))
