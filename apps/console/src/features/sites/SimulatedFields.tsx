import { Alert, NumberInput, SimpleGrid } from '@mantine/core'
import { IconFlask } from '@tabler/icons-react'
import type { Problems } from './draft-fields.ts'
import type { SiteDraft } from './site-draft.ts'

type Draft = SiteDraft['simulated']
type SimulatedFieldsProps = {
  readonly draft: Draft
  readonly problems: Problems
  readonly onChange: (draft: Draft) => void
}

const fields = [
  { key: 'machines', path: 'machines', label: 'Machines', min: 0, max: 10_000 },
  { key: 'disksPerMachine', path: 'disksPerMachine', label: 'Disks of each', min: 1, max: 8 },
  { key: 'diskMegabytes', path: 'diskBytes', label: 'Disk size, MiB', min: 1, max: 1_048_576 },
  {
    key: 'churnKilobytesPerSecond',
    path: 'churnBytesPerSecond',
    label: 'Writes, KiB/s each',
    min: 0,
    max: 1_048_576,
  },
  { key: 'seed', path: 'seed', label: 'Seed', min: 0, max: 2_147_483_647 },
] as const

export function SimulatedFields({ draft, problems, onChange }: SimulatedFieldsProps) {
  return (
    <>
      <Alert color="grape" variant="light" icon={<IconFlask size={18} />}>
        Machines that do not exist, for a look around and for load tests. They are labelled as simulated
        wherever they are shown.
      </Alert>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
        {fields.map(({ key, path, label, min, max }) => (
          <NumberInput
            key={key}
            label={label}
            value={draft[key]}
            onChange={(value) => onChange({ ...draft, [key]: Number(value) })}
            min={min}
            max={max}
            allowDecimal={false}
            error={problems[`settings.${path}`] ?? null}
          />
        ))}
      </SimpleGrid>
    </>
  )
}
