// What of a machine was proven by a test: so much is kept with the test that one can say later what is other than it was.
import { formatBytes } from '@understudy/base/bytes'
import type { DiskKey, MachineHardware } from '../machines/machine.ts'
import type { AdapterMapping, Protection } from '../protection/protection.ts'
import type { SiteId } from '../sites/site.ts'

export type TestedMachine = {
  readonly hardware: MachineHardware
  readonly excludedDisks: readonly DiskKey[]
  readonly adapters: readonly AdapterMapping[]
  readonly targetSiteId: SiteId
}

/** As it stands now. Pure. */
export const testedMachine = ({
  hardware,
  excludedDisks,
  adapters,
  targetSiteId,
}: Pick<Protection, keyof TestedMachine>): TestedMachine => ({
  hardware,
  excludedDisks,
  adapters,
  targetSiteId,
})

/** In words, what is other than it was then; none when nothing is. Pure. */
export function changesSinceTest(then: TestedMachine, now: TestedMachine): readonly string[] {
  const [old, fresh] = [then.hardware, now.hardware]
  return [
    ...(then.targetSiteId === now.targetSiteId ? [] : ['it is replicated to another site']),
    ...(old.cpus === fresh.cpus ? [] : [`${fresh.cpus} CPUs instead of ${old.cpus}`]),
    ...(old.memoryBytes === fresh.memoryBytes
      ? []
      : [`${formatBytes(fresh.memoryBytes)} memory instead of ${formatBytes(old.memoryBytes)}`]),
    ...(old.firmware === fresh.firmware ? [] : [`firmware ${fresh.firmware} instead of ${old.firmware}`]),
    ...changesOfDisks(then, now),
    ...changesOfAdapters(then, now),
  ]
}

function changesOfDisks(then: TestedMachine, now: TestedMachine): readonly string[] {
  const kept = ({ hardware, excludedDisks }: TestedMachine) =>
    new Map(hardware.disks.filter(({ key }) => !excludedDisks.includes(key)).map((disk) => [disk.key, disk]))
  const [old, fresh] = [kept(then), kept(now)]
  return [
    ...[...fresh.values()].flatMap(({ key, label, bytes }) => {
      const before = old.get(key)
      if (!before) return [`disk ${label} added`]
      if (before.bytes === bytes) return []
      return [`disk ${label} has ${formatBytes(bytes)} instead of ${formatBytes(before.bytes)}`]
    }),
    ...[...old.values()].filter(({ key }) => !fresh.has(key)).map(({ label }) => `disk ${label} left out`),
  ]
}

function changesOfAdapters(then: TestedMachine, now: TestedMachine): readonly string[] {
  const keysOf = ({ hardware }: TestedMachine) => new Set(hardware.adapters.map(({ key }) => key))
  const mappingOf = ({ adapters }: TestedMachine, key: string) => {
    const mapping = adapters.find(({ adapterKey }) => adapterKey === key)
    const addresses = [mapping?.failoverAddress, mapping?.testAddress].map((one) =>
      JSON.stringify(one ?? null),
    )
    return [mapping?.failoverNetworkId ?? null, mapping?.testNetworkId ?? null, ...addresses].join('\n')
  }
  const [old, fresh] = [keysOf(then), keysOf(now)]
  return [
    ...[...fresh].filter((key) => !old.has(key)).map((key) => `network adapter ${key} added`),
    ...[...old].filter((key) => !fresh.has(key)).map((key) => `network adapter ${key} removed`),
    ...[...fresh]
      .filter((key) => old.has(key) && mappingOf(then, key) !== mappingOf(now, key))
      .map((key) => `network adapter ${key} has other networks`),
  ]
}
