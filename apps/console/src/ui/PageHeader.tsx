import { Group, Stack, Text, Title } from '@mantine/core'
import { type ReactNode, useEffect } from 'react'

type PageHeaderProps = {
  readonly title: string
  readonly note?: ReactNode
  readonly badges?: ReactNode
  readonly actions?: ReactNode
}

/** Title of a page, what it is about in one line, and what can be done on it. */
export function PageHeader({ title, note, badges, actions }: PageHeaderProps) {
  useEffect(() => {
    document.title = `${title} · Understudy`
  }, [title])
  return (
    <Group justify="space-between" align="flex-start" mb="md" gap="sm">
      <Stack gap={2}>
        <Group gap="sm">
          <Title order={1}>{title}</Title>
          {badges}
        </Group>
        {note !== undefined && (
          <Text size="sm" c="var(--ink-quiet)" component="div">
            {note}
          </Text>
        )}
      </Stack>
      {actions !== undefined && <Group gap="xs">{actions}</Group>}
    </Group>
  )
}
