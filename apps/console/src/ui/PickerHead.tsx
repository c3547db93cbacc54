import { Group, Text, TextInput } from '@mantine/core'
import { IconSearch } from '@tabler/icons-react'

type PickerHeadProps = {
  readonly placeholder: string
  readonly search: string
  readonly onSearch: (search: string) => void
  /** How many are chosen. */
  readonly count: number
}

/** Above a list of machines to choose from: search in it, and how many are chosen. */
export function PickerHead({ placeholder, search, onSearch, count }: PickerHeadProps) {
  return (
    <Group p={10} justify="space-between">
      <TextInput
        aria-label="Search machines"
        placeholder={placeholder}
        size="xs"
        w={240}
        leftSection={<IconSearch size={14} aria-hidden />}
        value={search}
        onChange={(event) => onSearch(event.currentTarget.value)}
      />
      <Text size="sm" c="var(--ink-quiet)" role="status">
        {count} chosen
      </Text>
    </Group>
  )
}
