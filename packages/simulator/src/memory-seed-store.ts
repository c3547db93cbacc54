// What is known of first copies on disks, without a database: the model that the PostgreSQL store is judged by.
import type { ProtectionId } from '@understudy/domain/protection/protection'
import type { Seed } from '@understudy/domain/seeds/seed'
import type { SeedStore } from '@understudy/engine/ports/stores'
import { copies, copy } from './memory-rows.ts'

/** Every operation is atomic: nothing awaits between reading and writing. */
export function memorySeedStore(isThere: (id: ProtectionId) => boolean): SeedStore {
  const rows = new Map<ProtectionId, { readonly seed: Seed; readonly passphrase: string | null }>()
  const find = (id: ProtectionId) => (isThere(id) ? rows.get(id) : undefined)
  const save = (seed: Seed, passphrase?: string | null): void => {
    const kept = passphrase === undefined ? (rows.get(seed.protectionId)?.passphrase ?? null) : passphrase
    rows.set(seed.protectionId, { seed: copy(seed), passphrase: kept })
  }
  return {
    find: async (id) => copy(find(id)?.seed ?? null),
    list: async () =>
      copies([...rows.values()].map(({ seed }) => seed).filter((seed) => isThere(seed.protectionId))),
    save: async (seed, passphrase) => save(seed, passphrase),
    async update(seed, passphrase) {
      if (find(seed.protectionId)?.seed.id !== seed.id) return false
      save(seed, passphrase)
      return true
    },
    passphrase: async (id) => find(id)?.passphrase ?? null,
    async remove(id) {
      rows.delete(id)
    },
  }
}
