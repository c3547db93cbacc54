// How a server is copied from inside it.
import { MiB } from '@understudy/base/bytes'
import type { ScriptsFolder } from './consistency-scripts.ts'
import { HOLD_SECONDS, type PowerSwitch } from './freeze-keeper.ts'
import type { SettleLimits } from './settle.ts'

export type LinuxSettings = {
  /** Null: every disk of the server. Else these device nodes, whatever they are. */
  readonly devices: readonly string[] | null
  readonly tracefs: string
  /** Of all processors together, for what is written in a fiftieth of a second. A megabyte is some 15,000 writes. */
  readonly buffersKiB: number
  readonly limits: SettleLimits
  readonly scripts: ScriptsFolder
  readonly power: PowerSwitch
  /**
   * Of a copy of everything. `used`: what file systems hold nothing in is not read and is zeros in the copy, so that such a point equals
   * the server in all but that.
   */
  readonly wholeCopy: 'everything' | 'used'
}

export const defaultLinuxSettings: LinuxSettings = {
  devices: null,
  tracefs: '/sys/kernel/tracing',
  buffersKiB: 65_536,
  limits: { holdBytes: 8 * MiB, rounds: 12, holdSeconds: HOLD_SECONDS },
  scripts: { folder: '/etc/understudy', seconds: 60 },
  power: { graceSeconds: 15, command: null },
  wholeCopy: 'everything',
}
