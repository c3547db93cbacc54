import { Group, Text } from '@mantine/core'
import {
  IconAlertTriangleFilled,
  IconCircleCheckFilled,
  IconCircleDashed,
  IconCircleXFilled,
  IconProgress,
} from '@tabler/icons-react'
import type { ReactNode } from 'react'
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
    <Group gap={6} wrap="nowrap" component="span" display="inline-flex" style={{ verticalAlign: 'middle' }}>
      <Shape size={15} color={inkOf(tone)} aria-hidden style={{ flexShrink: 0 }} />
      <Text span size="sm" c={inkOf(tone)} fw={500} style={{ whiteSpace: 'nowrap' }}>
        {children}
      </Text>
    </Group>
  )
}
