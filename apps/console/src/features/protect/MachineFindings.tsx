import { Stack, Text } from '@mantine/core'
import type { Machine } from '@understudy/contract/machine'
import type { ProtectPreview } from '@understudy/contract/protection'
import type { z } from 'zod'
import { Findings } from '../../ui/Findings.tsx'

type MachineFinding = z.infer<typeof ProtectPreview>['findings'][number]
type MachineFindingsProps = {
  readonly machines: readonly Machine[]
  readonly findings: readonly MachineFinding[]
  /** `What stands in the way`; the name of the machine follows. */
  readonly label: string
}

/** What was found, under the name of the machine that it is about. Nothing where nothing was found. */
export function MachineFindings({ machines, findings, label }: MachineFindingsProps) {
  const named = machines
    .map((machine) => ({ machine, own: findings.filter(({ machineId }) => machineId === machine.id) }))
    .filter(({ own }) => own.length > 0)
  if (named.length === 0) return null
  return (
    <Stack gap="md">
      {named.map(({ machine, own }) => (
        <div key={machine.id}>
          <Text size="sm" fw={600} mb={4}>
            {machine.name}
          </Text>
          <Findings findings={own} label={`${label} of ${machine.name}`} />
        </div>
      ))}
    </Stack>
  )
}
