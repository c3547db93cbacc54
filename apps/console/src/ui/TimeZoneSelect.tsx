import { Select } from '@mantine/core'
import { useMemo } from 'react'

type TimeZoneSelectProps = {
  readonly value: string
  readonly onChange: (timeZone: string) => void
}

export function TimeZoneSelect({ value, onChange }: TimeZoneSelectProps) {
  const zones = useMemo(() => [...new Set(['UTC', value, ...Intl.supportedValuesOf('timeZone')])], [value])
  return (
    <Select
      label="Time zone"
      description="Its summer and winter times are kept."
      searchable
      allowDeselect={false}
      data={zones}
      limit={60}
      value={value}
      onChange={(timeZone) => timeZone !== null && onChange(timeZone)}
    />
  )
}
