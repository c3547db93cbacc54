// What becomes of a step in Azure when somebody chooses another kind of change. Pure.
import type { ActionOf, ItemId } from '../plan-draft.ts'

type Traffic = ActionOf<'traffic-manager'>
type Balancer = ActionOf<'azure-load-balancer'>
type Records = ActionOf<'azure-dns'>

const endpointOf = (machine: ItemId | null): Records['values'][number] =>
  machine === null ? { kind: 'address', address: '' } : { kind: 'machine', machine }

/** `machine`: a likely one, to be looked at. */
export function withChange(value: Traffic, kind: Traffic['change']['kind'], machine: ItemId | null): Traffic {
  switch (kind) {
    case 'status':
      return { ...value, change: { kind, status: 'enabled' } }
    case 'weight':
      return { ...value, change: { kind, weight: 1 } }
    case 'priority':
      return { ...value, change: { kind, priority: 1 } }
    case 'target':
      return { ...value, change: { kind, to: endpointOf(machine) } }
  }
}

export const withMember = (
  value: Balancer,
  kind: Balancer['member']['kind'],
  machine: ItemId | null,
): Balancer => ({
  ...value,
  member:
    kind === 'adapter' ? { kind, machine } : { kind, name: '', address: endpointOf(machine), network: '' },
})

type RecordPart = Pick<Records, 'zone' | 'recordName' | 'recordType' | 'ttlSeconds'>

/** A CNAME leads to one name, and a machine has none. */
export function withRecord(value: Records, record: RecordPart): Records {
  const becomesCname = record.recordType === 'CNAME' && value.recordType !== 'CNAME'
  return {
    ...value,
    ...record,
    values: becomesCname
      ? [value.values.find(({ kind }) => kind === 'address') ?? { kind: 'address', address: '' }]
      : value.values,
  }
}
