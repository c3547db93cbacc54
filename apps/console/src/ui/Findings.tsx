import { Box, Group, List, Stack, Text } from '@mantine/core'
import { readable } from '../lib/format.ts'
import { StatusMark } from './StatusMark.tsx'

type Finding = {
  readonly level: 'blocker' | 'warning'
  readonly code: string
  readonly message: string
  readonly remedy: string
}

/** What stands in the way, and what to do about each. */
export function Findings({
  findings,
  label,
}: {
  readonly findings: readonly Finding[]
  readonly label: string
}) {
  if (findings.length === 0) return null
  return (
    <List listStyleType="none" spacing={8} aria-label={label} pl={0}>
      {findings.map((finding) => (
        <List.Item
          key={`${finding.code} ${readable(finding.message)}`}
          styles={{ itemWrapper: { width: '100%' } }}
        >
          <Group gap="sm" align="flex-start" wrap="nowrap">
            <Box miw={76}>
              <StatusMark tone={finding.level === 'blocker' ? 'bad' : 'at-risk'}>
                {finding.level === 'blocker' ? 'Blocked' : 'Warning'}
              </StatusMark>
            </Box>
            <Stack gap={0} style={{ minWidth: 0, overflowWrap: 'anywhere' }}>
              <Text size="sm">{finding.message}</Text>
              <Text size="sm" c="var(--ink-quiet)">
                {readable(finding.remedy)}
              </Text>
            </Stack>
          </Group>
        </List.Item>
      ))}
    </List>
  )
}
