// What is known of first copies on disks, without a database: the model that the PostgreSQL store is judged by.
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { Seed } from '@understudy/domain/seeds/seed'
import type { SeedStore } from '@understudy/engine/ports/stores'
import { copies, copy } from './memory-rows.ts'

/** Every operation is atomic: nothing awaits between reading and writing. */
export function memorySeedStore(isThere: (id: ProtectionId) => boolean): SeedStore {
  const rows = new Map<ProtectionId, { readonly seed: Seed; readonly passphrase: string | null }>()
  const find = (id: ProtectionId) => (isThere(id) ? rows.get(id) : undefined)
  return {
    find: async (id) => copy(find(id)?.seed ?? null),
    list: async () =>
      copies([...rows.values()].map(({ seed }) => seed).filter((seed) => isThere(seed.protectionId))),
    async save(seed, passphrase) {
      const kept = passphrase === undefined ? (rows.get(seed.protectionId)?.passphrase ?? null) : passphrase
      rows.set(seed.protectionId, { seed: copy(seed), passphrase: kept })
    },
    passphrase: async (id) => find(id)?.passphrase ?? null,
    async remove(id) {
      rows.delete(id)
    },
  }
}
