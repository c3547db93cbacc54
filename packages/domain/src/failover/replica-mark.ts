// What a target writes into the firmware of whatever it boots from our points (an SMBIOS OEM string), so that an agent inside, which has the
// key and the machine id of the server that it was copied from, knows that it is not that server.
import type { RunId } from './failover.ts'

const BEGIN = 'understudy-replica:'

export const replicaMark = (runId: RunId | string): string => `${BEGIN}${runId}`

/** The run whose machine bears one of these texts. Null: none of them is ours. */
export function runOfMark(texts: readonly string[]): string | null {
  const mark = texts.find((text) => text.startsWith(BEGIN))
  return mark === undefined ? null : mark.slice(BEGIN.length)
}
