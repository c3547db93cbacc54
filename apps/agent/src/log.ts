// What the agent says to whoever looks after its server. Its lines wait while the server is held still: where they go to is held, too.
import { inTurn } from '@understudy/base/in-turn'
import type { HoldGate } from '@understudy/drivers/linux/hold-gate'

export type Log = (message: string) => void

/** So many lines wait; of those beyond it is said how many there were. */
const MOST_WAITING = 1000

/** In the order in which they were said, each with the time at which it was. */
export function openLog(gate: HoldGate, write: (line: string) => void): Log {
  const turn = inTurn()
  let waiting = 0
  let dropped = 0
  return (message) => {
    if (waiting >= MOST_WAITING) {
      dropped += 1
      return
    }
    waiting += 1
    const line = `${new Date().toISOString()} ${message}`
    void turn(() =>
      gate.write(async () => {
        waiting -= 1
        write(line)
        if (waiting > 0 || dropped === 0) return
        write(`${new Date().toISOString()} ${dropped} more lines were dropped meanwhile`)
        dropped = 0
      }),
    )
  }
}
