// Holding machines still: works on several disks of one machine may overlap, and the end of one must not let it go on under another.
import { type InTurn, inTurn } from '@understudy/base/in-turn'

export type HeldMachine = { readonly name: string; stop(): Promise<void>; goOn(): Promise<void> }

/** Of one machine one hold after the other. */
export function holds(): (machine: HeldMachine, work: () => Promise<void>) => Promise<void> {
  const turns = new Map<string, InTurn>()
  return async ({ name, stop, goOn }, work) => {
    const turn = turns.get(name) ?? inTurn()
    turns.set(name, turn)
    await turn(async () => {
      await stop()
      try {
        await work()
      } finally {
        await goOn()
      }
    })
  }
}
