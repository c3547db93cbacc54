import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Instant } from '@understudy/base/instant'
import type {
  DiscoveredMachine,
  Machine,
  MachineId,
  MachineRef,
  PowerState,
} from '@understudy/domain/machines/machine'
import type { SiteId } from '@understudy/domain/sites/site'
import type { MachineStore } from '@understudy/engine/ports/stores'
import type { Database, Transaction } from './database.ts'
import { fromJson, inTransaction, notFound, toDate, toInstant, toJson, withFailures } from './database.ts'
import type { Machine as MachineRow } from './generated/client.ts'

export function machineStore(database: Database): MachineStore {
  const { prisma } = database
  return withFailures<MachineStore>({
    async list(siteId) {
      const where = siteId === undefined ? {} : { siteId }
      return (await prisma.machine.findMany({ where, orderBy: [{ name: 'asc' }, { id: 'asc' }] })).map(
        toMachine,
      )
    },
    async find(id) {
      const row = await prisma.machine.findUnique({ where: { id } })
      return row && toMachine(row)
    },
    async findByRef(siteId, ref) {
      const row = await prisma.machine.findUnique({ where: { siteId_ref: { siteId, ref } } })
      return row && toMachine(row)
    },
    replaceInventory: (siteId, machines, at) =>
      inTransaction(database, (transaction) => replaceInventory(transaction, siteId, machines, at)),
  })
}

async function replaceInventory(
  transaction: Transaction,
  siteId: SiteId,
  machines: readonly DiscoveredMachine[],
  at: Instant,
): Promise<boolean> {
  // Two inventories of one site at once would each add the same new machine.
  const sites = await transaction.$queryRaw<unknown[]>`SELECT 1 FROM "Site" WHERE "id" = ${siteId} FOR UPDATE`
  if (sites.length === 0) throw notFound('site', siteId)
  const known = new Map(
    (await transaction.machine.findMany({ where: { siteId } })).map((row) => [row.ref, row]),
  )
  const found = new Map(machines.map((machine) => [machine.ref as string, machine]))

  const added = [...found.values()].filter(({ ref }) => !known.has(ref))
  const changed = [...known.values()].flatMap((row) => {
    const machine = found.get(row.ref)
    return machine && !says(row, machine) ? [{ id: row.id, machine }] : []
  })
  const gone = [...known.values()].filter((row) => row.present && !found.has(row.ref))

  const newRows = added.map((machine) => ({
    ...toColumns(machine),
    id: randomUUID(),
    siteId,
    seenAt: toDate(at),
  }))
  if (newRows.length > 0) await transaction.machine.createMany({ data: newRows })
  for (const { id, machine } of changed)
    await transaction.machine.update({ where: { id }, data: toColumns(machine) })
  await transaction.machine.updateMany({
    where: { id: { in: gone.map((row) => row.id) } },
    data: { present: false },
  })
  await transaction.machine.updateMany({ where: { siteId, present: true }, data: { seenAt: toDate(at) } })
  return added.length + changed.length + gone.length > 0
}

/** The row already says what the inventory says. */
const says = (row: MachineRow, machine: DiscoveredMachine): boolean => {
  const { id, siteId, seenAt, ...facts } = row
  return isDeepStrictEqual(facts, toColumns(machine))
}

const toColumns = (machine: DiscoveredMachine) => ({
  ref: machine.ref,
  name: machine.name,
  host: machine.host,
  power: machine.power,
  hardware: toJson(machine.hardware),
  guestAgent: machine.guestAgent,
  ownedBy: machine.ownedBy,
  present: true,
})

const toMachine = (row: MachineRow): Machine => ({
  id: row.id as MachineId,
  siteId: row.siteId as SiteId,
  ref: row.ref as MachineRef,
  name: row.name,
  host: row.host,
  power: row.power as PowerState,
  hardware: fromJson(row.hardware),
  guestAgent: row.guestAgent,
  ownedBy: row.ownedBy,
  seenAt: toInstant(row.seenAt),
  present: row.present,
})
