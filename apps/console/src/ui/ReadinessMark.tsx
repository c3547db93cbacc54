import { List, Popover, Stack, Text, UnstyledButton } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import type { Readiness, ReadinessLevel } from '@understudy/contract/plan-tests'
import { readable } from '../lib/format.ts'
import { StatusMark } from './StatusMark.tsx'
import type { Tone } from './tone.ts'

export const toneOfReadiness: Record<ReadinessLevel, Tone> = {
  'not-ready': 'bad',
  doubtful: 'bad',
  unproven: 'at-risk',
  proven: 'good',
}

export const wordsOfReadiness: Record<ReadinessLevel, string> = {
  'not-ready': 'Not ready',
  doubtful: 'Doubtful',
  unproven: 'Unproven',
  proven: 'Proven',
}

type ReadinessMarkProps = {
  readonly readiness: Readiness
  /** Whose: the mark is a button, and says so. */
  readonly of: string
}

/** How far one may rely on it; a click says why, and what to do about it. */
export function ReadinessMark({ readiness, of }: ReadinessMarkProps) {
  const [opened, { toggle, close }] = useDisclosure()
  const { level, score } = readiness
  const words = wordsOfReadiness[level]
  return (
    <Popover
      opened={opened}
      onChange={(open) => !open && close()}
      width={400}
      position="bottom-start"
      trapFocus
      returnFocus
      withinPortal
    >
      <Popover.Target>
        <UnstyledButton
          onClick={toggle}
          aria-label={`Readiness of ${of}: ${words}, ${score} of 100`}
          style={{ whiteSpace: 'nowrap' }}
        >
          <StatusMark tone={toneOfReadiness[level]}>
            {words}{' '}
            <Text span size="xs" className="number" inherit>
              {score}
            </Text>
          </StatusMark>
        </UnstyledButton>
      </Popover.Target>
      <Popover.Dropdown
        aria-label={`Readiness of ${of}`}
        tabIndex={-1}
        data-autofocus
        style={{ textWrap: 'wrap' }}
      >
        <ReadinessReasons readiness={readiness} />
      </Popover.Dropdown>
    </Popover>
  )
}

const parts = [
  ['test', 'last test', 60],
  ['lag', 'lag', 20],
  ['drift', 'unchanged since', 10],
  ['preflight', 'preflight', 10],
] as const

/** The sum, and each thing that costs points with what to do about it. */
export function ReadinessReasons({ readiness }: { readonly readiness: Readiness }) {
  const { score, parts: points, reasons } = readiness
  return (
    <Stack gap="xs">
      <Text size="sm" fw={600}>
        {score} of 100 points
      </Text>
      <Text size="xs" c="var(--ink-quiet)" className="number">
        {parts.map(([part, words, most]) => `${words} ${Math.round(points[part])} of ${most}`).join(' · ')}
      </Text>
      {reasons.length === 0 ? (
        <Text size="sm">Its last test passed, nothing has changed since, and its points are on time.</Text>
      ) : (
        <List size="sm" spacing={6} pr="xs">
          {reasons.slice(0, 8).map(({ message, remedy }) => (
            <List.Item key={readable(message)}>
              {readable(message)}
              <Text size="xs" c="var(--ink-quiet)">
                {readable(remedy)}
              </Text>
            </List.Item>
          ))}
        </List>
      )}
      {reasons.length > 8 && (
        <Text size="xs" c="var(--ink-quiet)">
          and {reasons.length - 8} more
        </Text>
      )}
    </Stack>
  )
}
