import { Button, Checkbox, Popover, Stack } from '@mantine/core'
import { useLocalStorage } from '@mantine/hooks'
import { IconColumns3 } from '@tabler/icons-react'
import { useMemo } from 'react'
import { type MachineColumn, machineColumns } from './machine-columns.tsx'

const standard = machineColumns.filter((column) => column.standard).map(({ key }) => key)

/** The columns that are shown, kept in this browser. The name is always there. */
export function useColumns() {
  const [keys, setKeys] = useLocalStorage<readonly string[]>({
    key: 'understudy-machine-columns',
    defaultValue: standard,
    getInitialValueInEffect: false,
  })
  const columns = useMemo(
    (): readonly MachineColumn[] =>
      machineColumns.filter((column) => column.key === 'name' || keys.includes(column.key)),
    [keys],
  )
  return { columns, keys, setKeys }
}

type ColumnChooserProps = {
  readonly keys: readonly string[]
  readonly onChange: (keys: readonly string[]) => void
}

export function ColumnChooser({ keys, onChange }: ColumnChooserProps) {
  return (
    <Popover position="bottom-end" trapFocus returnFocus>
      <Popover.Target>
        <Button variant="default" leftSection={<IconColumns3 size={15} aria-hidden />}>
          Columns
        </Button>
      </Popover.Target>
      <Popover.Dropdown aria-label="Columns">
        <Stack gap={8}>
          {machineColumns
            .filter(({ key }) => key !== 'name')
            .map(({ key, label }) => (
              <Checkbox
                key={key}
                size="xs"
                label={label}
                checked={keys.includes(key)}
                onChange={(event) =>
                  onChange(event.currentTarget.checked ? [...keys, key] : keys.filter((each) => each !== key))
                }
              />
            ))}
          <Button variant="subtle" size="compact-xs" onClick={() => onChange(standard)}>
            Standard columns
          </Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  )
}
