import { Group, MultiSelect } from '@mantine/core'
import { keysOf } from '../../lib/keys-of.ts'
import { wordsOfJob, wordsOfKind } from './job-words.ts'

/** Comma lists, as the API and the address hold them. */
export type JobFilter = { readonly state?: string | undefined; readonly kind?: string | undefined }

type JobFiltersProps = { readonly filter: JobFilter; readonly onChange: (filter: JobFilter) => void }

export function JobFilters({ filter, onChange }: JobFiltersProps) {
  return (
    <Group gap="xs">
      <MultiSelect
        aria-label="State"
        placeholder={filter.state ? '' : 'Any state'}
        size="xs"
        miw={190}
        clearable
        clearButtonProps={{ 'aria-label': 'Any state' }}
        data={keysOf(wordsOfJob).map((value) => ({ value, label: wordsOfJob[value] }))}
        value={listOf(filter.state)}
        onChange={(values) => onChange({ ...filter, state: textOf(values) })}
      />
      <MultiSelect
        aria-label="Kind"
        placeholder={filter.kind ? '' : 'Any kind'}
        size="xs"
        miw={190}
        clearable
        clearButtonProps={{ 'aria-label': 'Any kind' }}
        data={keysOf(wordsOfKind).map((value) => ({ value, label: wordsOfKind[value] }))}
        value={listOf(filter.kind)}
        onChange={(values) => onChange({ ...filter, kind: textOf(values) })}
      />
    </Group>
  )
}

const listOf = (text: string | undefined): string[] => (text ? text.split(',') : [])
const textOf = (values: readonly string[]): string | undefined =>
  values.length === 0 ? undefined : values.join(',')
