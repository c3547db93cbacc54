import { Button, Fieldset, Group, Select, SimpleGrid, Switch, TextInput } from '@mantine/core'
import type { Problems } from './draft-fields.ts'
import type { NetworkDraft } from './site-draft.ts'

type NetworkFieldsProps = {
  readonly network: NetworkDraft
  readonly path: string
  readonly problems: Problems
  readonly onChange: (change: Partial<NetworkDraft>) => void
  readonly onRemove: () => void
}

export function NetworkFields({ network, path, problems, onChange, onRemove }: NetworkFieldsProps) {
  const problem = (field: string): string | null => problems[`${path}.${field}`] ?? null
  const portProblem =
    Object.entries(problems).find(([key]) => key.startsWith(`${path}.probePorts`))?.[1] ?? null
  return (
    <Fieldset legend={network.name || 'Network'}>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
        <TextInput
          label="Name of the network"
          placeholder="Production"
          value={network.name}
          onChange={(event) => onChange({ name: event.currentTarget.value })}
          error={problem('name')}
          required
        />
        <TextInput
          label="Short id"
          placeholder="production"
          value={network.id}
          onChange={(event) => onChange({ id: event.currentTarget.value })}
          error={problem('id')}
          required
        />
        <Select
          label="Kind"
          value={network.kind}
          allowDeselect={false}
          onChange={(value) => onChange({ kind: value === 'user' ? 'user' : 'bridge' })}
          data={[
            { value: 'bridge', label: 'Bridge of the host' },
            { value: 'user', label: "QEMU's own (no set-up needed)" },
          ]}
        />
        {network.kind === 'bridge' && (
          <TextInput
            label="Bridge"
            placeholder="br0"
            value={network.bridge}
            onChange={(event) => onChange({ bridge: event.currentTarget.value })}
            error={problem('bridge')}
          />
        )}
        <TextInput
          label="Ports that prove that a machine answers"
          placeholder="22, 80"
          value={network.probePorts}
          onChange={(event) => onChange({ probePorts: event.currentTarget.value })}
          error={portProblem && 'Port numbers from 1 to 65535, with commas'}
        />
      </SimpleGrid>
      <Group justify="space-between" mt="sm">
        <Switch
          label="Isolated: for test failovers"
          checked={network.isolated}
          onChange={(event) => onChange({ isolated: event.currentTarget.checked })}
        />
        <Button variant="subtle" color="red" size="compact-xs" onClick={onRemove}>
          Remove network
        </Button>
      </Group>
    </Fieldset>
  )
}
