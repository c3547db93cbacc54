import { Refusal } from '@understudy/base/errors'
import type { Policy, PolicyId } from '@understudy/domain/protection/policy'
import type { PolicyStore } from '@understudy/engine/ports/stores'
import type { Database } from './database.ts'
import { fromJson, refuseReferenced, refuseTaken, toJson, toKey, withFailures } from './database.ts'
import type { Policy as PolicyRow } from './generated/client.ts'

export function policyStore({ prisma }: Database): PolicyStore {
  return withFailures<PolicyStore>({
    list: async () => (await prisma.policy.findMany({ orderBy: [{ nameKey: 'asc' }] })).map(toPolicy),
    async find(id) {
      const row = await prisma.policy.findUnique({ where: { id } })
      return row && toPolicy(row)
    },
    async save({ id, name, ...settings }) {
      // The priority has its own column as well: the order in which movers claim goes by it.
      const columns = { name, nameKey: toKey(name), priority: settings.priority, settings: toJson(settings) }
      const write = prisma.policy.upsert({ where: { id }, create: { id, ...columns }, update: columns })
      await refuseTaken(write, () => nameTaken(name))
    },
    async remove(id) {
      await refuseReferenced(prisma.policy.deleteMany({ where: { id } }), inUse)
    },
  })
}

const toPolicy = (row: PolicyRow): Policy => ({
  ...fromJson<Omit<Policy, 'id' | 'name'>>(row.settings),
  id: row.id as PolicyId,
  name: row.name,
})

const nameTaken = (name: string): Refusal =>
  new Refusal({
    code: 'policy/name-taken',
    message: `There is a policy called "${name}" already`,
    remedy: 'Choose another name.',
  })

const inUse = (): Refusal =>
  new Refusal({
    code: 'policy/in-use',
    message: 'Machines are replicated by this policy',
    remedy: 'Give them another policy first.',
  })
