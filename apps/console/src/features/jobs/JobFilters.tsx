import { Group, MultiSelect } from '@mantine/core'
import { JobKind, JobState } from '@understudy/contract/job'
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
        data={JobState.options.map((value) => ({ value, label: wordsOfJob[value] }))}
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
        data={JobKind.options.map((value) => ({ value, label: wordsOfKind[value] }))}
        value={listOf(filter.kind)}
        onChange={(values) => onChange({ ...filter, kind: textOf(values) })}
      />
    </Group>
  )
}

const listOf = (text: string | undefined): string[] => (text ? text.split(',') : [])
const textOf = (values: readonly string[]): string | undefined =>
  values.length === 0 ? undefined : values.join(',')
