import { Group, MultiSelect, SegmentedControl, Select, TextInput } from '@mantine/core'
import { useDebouncedCallback } from '@mantine/hooks'
import { IconSearch } from '@tabler/icons-react'
import { useState } from 'react'
import { keysOf } from '../../lib/keys-of.ts'
import { listOf, type MachineFilter } from './machine-rows.ts'
import { wordsOfHealth, wordsOfState } from './state-words.ts'

type MachineFiltersProps = {
  readonly filter: MachineFilter
  readonly sites: readonly { readonly id: string; readonly name: string }[]
  readonly groups: readonly { readonly id: string; readonly name: string }[]
  readonly onChange: (change: MachineFilter) => void
}

export function MachineFilters({ filter, sites, groups, onChange }: MachineFiltersProps) {
  const [typed, setTyped] = useState(filter.search ?? '')
  const search = useDebouncedCallback(
    (text: string) => onChange({ search: text === '' ? undefined : text }),
    200,
  )
  return (
    <Group gap="xs">
      <TextInput
        aria-label="Search by name, host, site, policy or group"
        placeholder="Name, host, site, policy"
        size="xs"
        w={186}
        leftSection={<IconSearch size={14} aria-hidden />}
        value={typed}
        onChange={(event) => {
          setTyped(event.currentTarget.value)
          search(event.currentTarget.value)
        }}
      />
      <SegmentedControl
        size="xs"
        aria-label="Which machines"
        value={filter.show ?? 'all'}
        onChange={(value) =>
          onChange({ show: value === 'protected' || value === 'unprotected' ? value : undefined })
        }
        data={[
          { value: 'all', label: 'All' },
          { value: 'protected', label: 'Protected' },
          { value: 'unprotected', label: 'Not protected' },
        ]}
      />
      <Select
        aria-label="Site"
        placeholder="Any site"
        size="xs"
        w={122}
        clearable
        clearButtonProps={{ 'aria-label': 'Any site' }}
        data={sites.map(({ id, name }) => ({ value: id, label: name }))}
        value={filter.siteId ?? null}
        onChange={(siteId) => onChange({ siteId: siteId ?? undefined })}
      />
      {groups.length > 0 && (
        <Select
          aria-label="Group"
          placeholder="Any group"
          size="xs"
          w={122}
          clearable
          clearButtonProps={{ 'aria-label': 'Any group' }}
          data={groups.map(({ id, name }) => ({ value: id, label: name }))}
          value={filter.groupId ?? null}
          onChange={(groupId) => onChange({ groupId: groupId ?? undefined })}
        />
      )}
      <MultiSelect
        aria-label="Health"
        placeholder={filter.health ? '' : 'Any health'}
        size="xs"
        w={122}
        clearable
        clearButtonProps={{ 'aria-label': 'Any health' }}
        data={keysOf(wordsOfHealth).map((value) => ({ value, label: wordsOfHealth[value] }))}
        value={listOf(filter.health)}
        onChange={(values) => onChange({ health: values.length === 0 ? undefined : values.join(',') })}
      />
      <MultiSelect
        aria-label="State"
        placeholder={filter.state ? '' : 'Any state'}
        size="xs"
        w={122}
        clearable
        clearButtonProps={{ 'aria-label': 'Any state' }}
        data={keysOf(wordsOfState)
          .filter((value) => value !== 'gone')
          .map((value) => ({ value, label: wordsOfState[value] }))}
        value={listOf(filter.state)}
        onChange={(values) => onChange({ state: values.length === 0 ? undefined : values.join(',') })}
      />
    </Group>
  )
}
