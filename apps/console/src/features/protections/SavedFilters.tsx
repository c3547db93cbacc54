import { ActionIcon, Button, Divider, Group, Popover, Stack, Text, TextInput } from '@mantine/core'
import { useLocalStorage } from '@mantine/hooks'
import { IconBookmark, IconTrash } from '@tabler/icons-react'
import { type FormEvent, useState } from 'react'
import type { MachineFilter } from './machine-rows.ts'

type Saved = {
  readonly name: string
  readonly filter: MachineFilter & { readonly sort?: string | undefined }
}

type SavedFiltersProps = {
  readonly current: Saved['filter']
  readonly onApply: (filter: Saved['filter']) => void
}

const most = 30

/** Filters by name, kept in this browser. */
export function SavedFilters({ current, onApply }: SavedFiltersProps) {
  const [saved, setSaved] = useLocalStorage<readonly Saved[]>({
    key: 'understudy-saved-filters',
    defaultValue: [],
  })
  const [name, setName] = useState('')
  const [opened, setOpened] = useState(false)
  const save = (event: FormEvent): void => {
    event.preventDefault()
    const title = name.trim()
    if (title === '') return
    setSaved([...saved.filter((each) => each.name !== title), { name: title, filter: current }].slice(-most))
    setName('')
  }
  return (
    <Popover width={290} position="bottom-start" trapFocus returnFocus opened={opened} onChange={setOpened}>
      <Popover.Target>
        <Button
          variant="default"
          leftSection={<IconBookmark size={15} aria-hidden />}
          onClick={() => setOpened(!opened)}
        >
          Saved filters
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Saved filters" p={8}>
        <Stack gap={6}>
          {saved.length === 0 && (
            <Text size="sm" c="var(--ink-quiet)">
              Set the filters, then keep them here under a name.
            </Text>
          )}
          {saved.map((each) => (
            <Group key={each.name} gap={4} wrap="nowrap">
              <Button
                variant="subtle"
                color="gray"
                justify="flex-start"
                flex={1}
                onClick={() => {
                  onApply(each.filter)
                  setOpened(false)
                }}
              >
                {each.name}
              </Button>
              <ActionIcon
                variant="subtle"
                color="gray"
                onClick={() => setSaved(saved.filter(({ name: other }) => other !== each.name))}
                aria-label={`Forget the filter ${each.name}`}
              >
                <IconTrash size={14} />
              </ActionIcon>
            </Group>
          ))}
          <Divider />
          <form onSubmit={save}>
            <Group gap={6} wrap="nowrap">
              <TextInput
                flex={1}
                size="xs"
                aria-label="Name of this filter"
                placeholder="Name of this filter"
                value={name}
                onChange={(event) => setName(event.currentTarget.value)}
                maxLength={60}
              />
              <Button type="submit" disabled={name.trim() === ''}>
                Save
              </Button>
            </Group>
          </form>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  )
}
