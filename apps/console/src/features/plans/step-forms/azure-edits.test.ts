import { expect, test } from 'vitest'
import { newAction } from '../new-items.ts'
import type { ActionOf, StepAction } from '../plan-draft.ts'
import { machineId } from '../plan-lab.ts'
import { withChange, withMember, withRecord } from './azure-edits.ts'

const web = machineId('web')
const fresh = <Kind extends StepAction['kind']>(kind: Kind) => newAction(kind, web) as ActionOf<Kind>

test('a change of another kind begins with a likely value, and keeps what it is about', () => {
  const traffic = { ...fresh('traffic-manager'), profile: 'shop', endpoint: 'azure' }
  const changed = (['status', 'weight', 'priority', 'target'] as const).map((kind) =>
    withChange(traffic, kind, web),
  )
  expect(changed.map(({ change }) => change)).toEqual([
    { kind: 'status', status: 'enabled' },
    { kind: 'weight', weight: 1 },
    { kind: 'priority', priority: 1 },
    { kind: 'target', to: { kind: 'machine', machine: web } },
  ])
  for (const { profile, endpoint } of changed) expect([profile, endpoint]).toEqual(['shop', 'azure'])
  expect(withChange(traffic, 'target', null).change).toEqual({
    kind: 'target',
    to: { kind: 'address', address: '' },
  })
})

test('a member of a pool is an adapter or an address', () => {
  const balancer = fresh('azure-load-balancer')
  expect(withMember(balancer, 'entry', web).member).toEqual({
    kind: 'entry',
    name: '',
    address: { kind: 'machine', machine: web },
    network: '',
  })
  expect(withMember(withMember(balancer, 'entry', web), 'adapter', null).member).toEqual({
    kind: 'adapter',
    machine: null,
  })
})

test('a record that becomes a CNAME leads to one name, and keeps one that was typed', () => {
  const records = fresh('azure-dns')
  const cname = (value: typeof records) => withRecord(value, { ...value, recordType: 'CNAME' })
  expect(cname(records).values).toEqual([{ kind: 'address', address: '' }])
  const typed = { kind: 'address', address: 'shop.example.net' } as const
  const several = { ...records, values: [...records.values, typed] }
  expect(cname(several).values).toEqual([typed])
  expect(withRecord(several, { ...several, recordType: 'AAAA' }).values).toEqual(several.values)
})

test('what a record leads to stays when it gets another name', () => {
  const renamed = withRecord(fresh('azure-dns'), { ...fresh('azure-dns'), recordName: 'www.example.com' })
  expect(renamed).toEqual({ ...fresh('azure-dns'), recordName: 'www.example.com' })
  const cname = { ...renamed, recordType: 'CNAME' } as const
  expect(withRecord(cname, { ...cname, ttlSeconds: 5 }).values).toEqual(cname.values)
})
