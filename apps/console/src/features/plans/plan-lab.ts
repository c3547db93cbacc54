// A small plan for the tests of the editor.

import { newAction, newMachine } from './new-items.ts'
import type { GroupId, ItemId, Names, Plan, ProtectionId } from './plan-draft.ts'

export const machineId = (name: string): ItemId => `machine-${name}` as ItemId
export const groupId = (name: string): GroupId => name as GroupId

const machine = (name: string) => ({ ...newMachine(`p-${name}` as ProtectionId, name), id: machineId(name) })

/** `Data`: a probe after `db`. `Web`: `a`, `b` and nothing else. */
export const planOfTwoGroups: Plan = {
  id: 'plan' as Plan['id'],
  name: 'Shop',
  priority: 5,
  targetRtoSeconds: null,
  parameters: [],
  groups: [
    {
      id: groupId('data'),
      name: 'Data',
      start: 'in-order',
      before: [],
      machines: [machine('db')],
      after: [
        {
          id: 'probe' as ItemId,
          name: 'Database answers',
          needs: [],
          whenItFails: 'stop',
          kinds: ['test'],
          directions: ['forward'],
          action: newAction('probe', machineId('db')),
        },
      ],
    },
    {
      id: groupId('web'),
      name: 'Web',
      start: 'in-order',
      before: [],
      machines: [machine('a'), machine('b')],
      after: [],
    },
  ],
}

export const names: Names = new Map(
  ['db', 'a', 'b', 'spare'].map((name) => [`p-${name}` as ProtectionId, name.toUpperCase()]),
)
