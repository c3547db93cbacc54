// A life cycle as a table: from here, only there. No status is assigned any other way.
import { InvariantError } from './errors.ts'

export type StateTable<State extends string> = { readonly [From in State]: readonly State[] }

export type StateMachine<State extends string> = {
  readonly name: string
  readonly states: readonly State[]
  allows(from: State, to: State): boolean
  /** Returns `to`. Throws InvariantError when the table has no such step. */
  move(from: State, to: State): State
  isState(value: string): value is State
}

export function stateMachine<State extends string>(
  name: string,
  table: StateTable<State>,
): StateMachine<State> {
  const states = Object.keys(table) as State[]
  const allows = (from: State, to: State): boolean => table[from].includes(to)
  return {
    name,
    states,
    allows,
    move(from, to) {
      if (!allows(from, to)) throw new InvariantError(`A ${name} cannot go from ${from} to ${to}`)
      return to
    },
    isState: (value): value is State => Object.hasOwn(table, value),
  }
}
