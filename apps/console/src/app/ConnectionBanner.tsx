import { Group, Text } from '@mantine/core'
import { IconPlugConnectedX } from '@tabler/icons-react'
import { useConnection } from '../api/live.ts'

/** Says at once that the screen is no longer live; it goes away by itself. */
export function ConnectionBanner() {
  const connection = useConnection()
  if (connection !== 'lost') return null
  return (
    <Group
      role="status"
      gap="xs"
      px="lg"
      py={7}
      wrap="nowrap"
      style={{
        background: 'color-mix(in srgb, var(--bad-fill) 75%, black)',
        color: '#ffffff',
        position: 'sticky',
        top: 52,
        zIndex: 90,
      }}
    >
      <IconPlugConnectedX size={17} aria-hidden />
      <Text size="sm" fw={500}>
        Not live: the connection to the server is lost. Reconnecting; what you see may be old.
      </Text>
    </Group>
  )
}
