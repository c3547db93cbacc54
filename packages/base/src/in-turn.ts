// Works that must not overlap, one after the other.
export type InTurn = <Result>(work: () => Promise<Result>) => Promise<Result>

/** A work that fails does not keep the next ones from their turn. */
export function inTurn(): InTurn {
  let turn: Promise<unknown> = Promise.resolve()
  return (work) => {
    const mine = turn.then(work)
    turn = mine.catch(() => {})
    return mine
  }
}
