import type { ProtectionId, ReplicaId } from '@understudy/domain/protection/protection'
import type { Seed, SeedExport, SeedId } from '@understudy/domain/seeds/seed'
import type { SeedStore } from '@understudy/engine/ports/stores'
import { type Database, fromJson, toDate, toInstant, toJson, withFailures } from './database.ts'
import { Prisma, type Seed as SeedRow } from './generated/client.ts'
import { openSecrets, sealSecrets } from './secret-box.ts'

export function seedStore({ prisma }: Database, secretKey: Buffer): SeedStore {
  const seal = (id: ProtectionId, passphrase: string | null): Uint8Array<ArrayBuffer> | null =>
    passphrase === null ? null : Uint8Array.from(sealSecrets(secretKey, id, { passphrase }))
  const columnsOf = (seed: Seed, passphrase: string | null | undefined) => ({
    ...toColumns(seed),
    ...(passphrase === undefined ? {} : { sealed: seal(seed.protectionId, passphrase) }),
  })
  return withFailures<SeedStore>({
    async find(id) {
      const row = await prisma.seed.findUnique({ where: { protectionId: id }, omit: { sealed: true } })
      return row && toSeed(row)
    },
    list: async () => (await prisma.seed.findMany({ omit: { sealed: true } })).map(toSeed),
    async save(seed, passphrase) {
      const { protectionId } = seed
      const columns = columnsOf(seed, passphrase)
      await prisma.seed.upsert({
        where: { protectionId },
        create: { protectionId, ...columns },
        update: columns,
      })
    },
    async update(seed, passphrase) {
      const { id, protectionId } = seed
      const data = columnsOf(seed, passphrase)
      return (await prisma.seed.updateMany({ where: { protectionId, id }, data })).count > 0
    },
    async passphrase(id) {
      const row = await prisma.seed.findUnique({ where: { protectionId: id } })
      return row?.sealed ? (openSecrets(secretKey, id, row.sealed).passphrase ?? null) : null
    },
    async remove(id) {
      await prisma.seed.deleteMany({ where: { protectionId: id } })
    },
  })
}

const toColumns = ({
  id,
  replicaId,
  folder,
  acceptsServerDisk,
  fingerprint,
  startedAt,
  export: exported,
}: Seed) => ({
  id,
  replicaId,
  folder,
  acceptsServerDisk,
  fingerprint,
  startedAt: toDate(startedAt),
  export: exported === null ? Prisma.DbNull : toJson(exported),
})

const toSeed = (row: Omit<SeedRow, 'sealed'>): Seed => ({
  id: row.id as SeedId,
  protectionId: row.protectionId as ProtectionId,
  replicaId: row.replicaId as ReplicaId,
  folder: row.folder,
  acceptsServerDisk: row.acceptsServerDisk,
  fingerprint: row.fingerprint,
  startedAt: toInstant(row.startedAt),
  export: row.export === null ? null : fromJson<SeedExport>(row.export),
})
