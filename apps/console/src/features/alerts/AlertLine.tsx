import { Group, Stack, Text } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { Alert } from '@understudy/contract/event'
import { roleOf } from '@understudy/contract/roles'
import type { ReactNode } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { readable } from '../../lib/format.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import type { Tone } from '../../ui/tone.ts'
import { When } from '../../ui/When.tsx'

export const toneOfSeverity: Record<Alert['severity'], Tone> = {
  info: 'busy',
  warning: 'at-risk',
  critical: 'bad',
}
export const wordsOfSeverity: Record<Alert['severity'], string> = {
  info: 'Info',
  warning: 'Warning',
  critical: 'Critical',
}

type AlertLineProps = {
  readonly alert: Alert
  /** What the alert is about, named and linked by whoever knows sites and machines. */
  readonly about: ReactNode
}

/** One alert: what, since when, what to do, and "I am on it". */
export function AlertLine({ alert, about }: AlertLineProps) {
  const queries = useQueryClient()
  const refused = useWhyRefused()(roleOf.alerts.acknowledge)
  const acknowledge = useMutation({
    mutationFn: () => client.alerts.acknowledge({ id: alert.id }),
    onSettled: () => queries.invalidateQueries({ queryKey: api.alerts.key() }),
  })
  return (
    <Group
      justify="space-between"
      align="flex-start"
      wrap="nowrap"
      px={14}
      py={10}
      style={{ borderTop: '1px solid var(--line)' }}
    >
      <Stack gap={3} miw={0}>
        <Group gap="sm">
          <StatusMark tone={alert.resolvedAt === null ? toneOfSeverity[alert.severity] : 'off'}>
            {alert.resolvedAt === null ? wordsOfSeverity[alert.severity] : 'Resolved'}
          </StatusMark>
          <Text size="sm" fw={600}>
            {about}
          </Text>
          <Text size="xs" c="var(--ink-quiet)">
            <When at={alert.raisedAt} />
          </Text>
        </Group>
        <Text size="sm">{readable(alert.message)}</Text>
        <Text size="sm" c="var(--ink-quiet)">
          {readable(alert.remedy)}
        </Text>
      </Stack>
      {alert.resolvedAt === null &&
        (alert.acknowledgedBy === null ? (
          <ActionButton
            reason={refused}
            variant="default"
            onClick={() => acknowledge.mutate()}
            loading={acknowledge.isPending}
            style={{ flexShrink: 0 }}
          >
            Acknowledge
          </ActionButton>
        ) : (
          <Text size="xs" c="var(--ink-quiet)" style={{ flexShrink: 0 }}>
            {alert.acknowledgedBy} is on it
          </Text>
        ))}
    </Group>
  )
}
