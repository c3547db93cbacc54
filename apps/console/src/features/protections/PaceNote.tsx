import { Alert, Text } from '@mantine/core'
import { IconClockPause } from '@tabler/icons-react'
import type { Pace, Protection } from '@understudy/contract/protection'
import { formatDuration } from '../../lib/format.ts'
import { When } from '../../ui/When.tsx'

/** How often points really come, and why, where that is less often than the policy wants. */
export function PaceNote({ protection: { pace, lagTargetSeconds } }: { readonly protection: Protection }) {
  if (pace === null) return null
  const isOfSource = pace.cause === 'source'
  return (
    <Alert
      color={isOfSource ? 'blue' : 'yellow'}
      variant="light"
      icon={<IconClockPause size={18} />}
      title={titleOf(pace)}
    >
      <Text size="sm">
        {sentence(pace.why)}. {pace.remedy}
      </Text>
      <Text size="xs" c="var(--ink-quiet)" mt={4}>
        It began <When at={pace.since} />. The alert about lag comes beyond {formatDuration(lagTargetSeconds)}
        .
      </Text>
    </Alert>
  )
}

export const titleOf = ({ wantedSeconds, carriedSeconds }: Pace): string =>
  `A point every ${formatDuration(wantedSeconds)} is wanted; one every ${formatDuration(carriedSeconds)} is carried`

const sentence = (why: string): string => `${why.slice(0, 1).toUpperCase()}${why.slice(1)}`
