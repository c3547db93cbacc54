// Ends of machines that we brought about, or saw: where another host cannot be asked they are the only proof of off. That a machine
// has no process where it last ran proves nothing there: somebody may have moved it, running or not.
import type { MachineRef } from '@understudy/domain/machines/machine'
import type { Host } from './host.ts'

/** Long enough to read what changed last, and to roll back a failover of the same day. Later the other host is asked, or a person. */
const HOLDS_MILLISECONDS = 24 * 3_600_000

export interface OwnEnds {
  /** It ran at this host right before, and its end here was no move. */
  note(ref: MachineRef, host: Host): void
  /** It was seen running again, wherever that was. */
  forget(ref: MachineRef): void
  holds(ref: MachineRef, host: Host): boolean
}

/** In memory only: after our own restart somebody else has to say what became of a machine. */
export function ownEnds(now: () => number = () => performance.now()): OwnEnds {
  const ends = new Map<MachineRef, { readonly host: Host; readonly at: number }>()
  return {
    note: (ref, host) => void ends.set(ref, { host, at: now() }),
    forget: (ref) => void ends.delete(ref),
    holds(ref, host) {
      const end = ends.get(ref)
      return end?.host === host && now() - end.at <= HOLDS_MILLISECONDS
    },
  }
}
