// Which points this process has open. Expiry leaves them alone.
import type { ReplicaId } from '@understudy/domain/protection/protection'

export type OpenPoints = {
  keep(id: ReplicaId, sequence: number): { release(): void }
  has(id: ReplicaId, sequence: number): boolean
}

export function openPointsRegistry(): OpenPoints {
  const users = new Map<string, number>()
  const keyOf = (id: ReplicaId, sequence: number): string => `${id} ${sequence}`
  return {
    keep(id, sequence) {
      const key = keyOf(id, sequence)
      users.set(key, (users.get(key) ?? 0) + 1)
      let isHeld = true
      return {
        release() {
          if (!isHeld) return
          isHeld = false
          const left = (users.get(key) ?? 1) - 1
          if (left === 0) users.delete(key)
          else users.set(key, left)
        },
      }
    },
    has: (id, sequence) => users.has(keyOf(id, sequence)),
  }
}
