import { Stack, Text, ThemeIcon, Title } from '@mantine/core'
import type { Icon } from '@tabler/icons-react'
import type { ReactNode } from 'react'

type EmptyStateProps = {
  readonly icon: Icon
  readonly title: string
  readonly children: ReactNode
  readonly action?: ReactNode
  /** It is the whole page, and its title the page's. */
  readonly heading?: boolean
}

/** Nothing here yet, and what the next step is. */
export function EmptyState({ icon: Mark, title, children, action, heading = false }: EmptyStateProps) {
  return (
    <Stack align="center" gap="xs" py={40} px="md" ta="center">
      <ThemeIcon size={44} radius="xl" variant="light" aria-hidden>
        <Mark size={24} stroke={1.6} />
      </ThemeIcon>
      {heading ? <Title order={1}>{title}</Title> : <Text fw={600}>{title}</Text>}
      <Text size="sm" c="var(--ink-quiet)" maw={460} component="div">
        {children}
      </Text>
      {action}
    </Stack>
  )
}
