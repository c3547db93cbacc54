import { Stack, Text } from '@mantine/core'
import type { ReactNode } from 'react'

type StatProps = {
  readonly label: string
  readonly value: ReactNode
  readonly note?: ReactNode
  readonly ink?: string
}

/** One number that matters, with what it is and what it is measured against. */
export function Stat({ label, value, note, ink }: StatProps) {
  return (
    <Stack gap={2} miw={0} role="group" aria-label={label}>
      <Text size="xs" c="var(--ink-quiet)" fw={500}>
        {label}
      </Text>
      <Text className="number" fz={22} lh={1.2} fw={600} c={ink ?? 'var(--ink)'} component="div">
        {value}
      </Text>
      {note !== undefined && (
        <Text size="xs" c="var(--ink-quiet)" component="div">
          {note}
        </Text>
      )}
    </Stack>
  )
}
