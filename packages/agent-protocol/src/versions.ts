// Which protocol the two sides speak. A side speaks its own and the one before, so that neighbouring releases meet either way.
import type { ProtocolRange } from './messages.ts'

export const ourProtocols: ProtocolRange = { lowest: 1, highest: 1 }

/** The newest that both speak; null: none. */
export function chooseProtocol(ours: ProtocolRange, theirs: ProtocolRange): number | null {
  const newest = Math.min(ours.highest, theirs.highest)
  return newest >= Math.max(ours.lowest, theirs.lowest) ? newest : null
}
