import { Group, NativeSelect, NumberInput } from '@mantine/core'
import type { ReactNode } from 'react'

type SpanInputProps = {
  readonly label: string
  readonly description?: ReactNode
  readonly seconds: number
  readonly onChange: (seconds: number) => void
  readonly error?: string | null
  /** Zero has a meaning of its own: "never", "every point". */
  readonly min?: number
}

const units = [
  { value: '1', label: 'seconds' },
  { value: '60', label: 'minutes' },
  { value: '3600', label: 'hours' },
  { value: '86400', label: 'days' },
] as const

/** A span of time as people say it; seconds to the outside. */
export function SpanInput({ label, description, seconds, onChange, error = null, min = 1 }: SpanInputProps) {
  const unit =
    seconds === 0 ? 1 : Number(units.findLast(({ value }) => seconds % Number(value) === 0)?.value ?? 1)
  return (
    <Group gap={6} align="flex-end" wrap="nowrap">
      <NumberInput
        flex={1}
        label={label}
        description={description}
        value={seconds / unit}
        min={min}
        allowDecimal={false}
        allowNegative={false}
        onChange={(value) => onChange(Number(value) * unit)}
        // Putting it right silently would save what nobody has typed.
        clampBehavior="none"
        error={seconds < min ? `At least ${min} second` : error}
      />
      <NativeSelect
        w={104}
        aria-label={`Unit of ${label}`}
        data={[...units]}
        value={String(unit)}
        onChange={(event) => onChange((seconds / unit) * Number(event.currentTarget.value))}
      />
    </Group>
  )
}
