import {
  IconAlertTriangleFilled,
  IconCircleCheckFilled,
  IconCircleDashed,
  IconCircleXFilled,
  IconProgress,
} from '@tabler/icons-react'
import type { ReactNode } from 'react'
import classes from './StatusMark.module.css'
import { inkOf, type Tone } from './tone.ts'

const shapeOf: Record<Tone, typeof IconProgress> = {
  good: IconCircleCheckFilled,
  busy: IconProgress,
  'at-risk': IconAlertTriangleFilled,
  bad: IconCircleXFilled,
  off: IconCircleDashed,
}

/** A state in colour, shape and words. */
export function StatusMark({ tone, children }: { readonly tone: Tone; readonly children: ReactNode }) {
  const Shape = shapeOf[tone]
  return (
    <span className={classes.mark} style={{ color: inkOf(tone) }}>
      <Shape size={15} aria-hidden />
      <span>{children}</span>
    </span>
  )
}
