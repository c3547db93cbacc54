// Which protocol the two sides speak. A side speaks its own and the one before, so that neighbouring releases meet either way.
import type { ProtocolRange } from './messages.ts'

export const ourProtocols: ProtocolRange = { lowest: 1, highest: 2 }

/** From here on an agent answers asks and carries data; before, it only reports. */
export const ASKS_SINCE_PROTOCOL = 2

/** The newest that both speak; null: none. */
export function chooseProtocol(ours: ProtocolRange, theirs: ProtocolRange): number | null {
  const newest = Math.min(ours.highest, theirs.highest)
  return newest >= Math.max(ours.lowest, theirs.lowest) ? newest : null
}
