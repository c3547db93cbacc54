// Socket.IO: hints (what changed: refetch it) and live measurements. Losing one loses nothing.
import type { Measurement, Topic } from './socket-shapes.ts'

/** Rooms a view may join: `topic:protections`, `protection:<id>`, `job:<id>`, `measurements`. */
export type Room = `topic:${Topic}` | `protection:${string}` | `job:${string}` | 'measurements'

export type ServerToClient = {
  /** Refetch what is shown of this topic; `id` narrows it down. `sequence` rises by one per server process. */
  changed: (hint: { readonly topic: Topic; readonly id: string | null; readonly sequence: number }) => void
  /** At most once a second and protection. */
  measured: (measurements: readonly Measurement[]) => void
}

export type ClientToServer = {
  /** Joins and leaves; answers with the rooms that were granted. */
  watch: (rooms: readonly Room[], answer: (granted: readonly Room[]) => void) => void
  unwatch: (rooms: readonly Room[]) => void
}
