// Where an instant for a whole plan is chosen on a line. What draws it knows recovery points, and this feature does not: the frame of the
// console brings the two together.
import { type ComponentType, createContext } from 'react'

export type CommonTimeLineProps = {
  readonly planId: string
  /** Milliseconds; null: none yet. */
  readonly instant: number | null
  readonly onChoose: (instant: number) => void
}

/** Null: an instant is typed. */
export const CommonTimeLineContext = createContext<ComponentType<CommonTimeLineProps> | null>(null)
