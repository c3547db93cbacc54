import {
  Button,
  Code,
  Fieldset,
  Group,
  NumberInput,
  SegmentedControl,
  SimpleGrid,
  TextInput,
} from '@mantine/core'
import type { Problems } from './draft-fields.ts'
import type { HostDraft } from './site-draft.ts'

type HostFieldsProps = {
  readonly host: HostDraft
  readonly path: string
  readonly withLibvirt: boolean
  readonly problems: Problems
  readonly onChange: (change: Partial<HostDraft>) => void
  readonly onRemove: (() => void) | null
}

export function HostFields({ host, path, withLibvirt, problems, onChange, onRemove }: HostFieldsProps) {
  const problem = (field: string): string | null => problems[`${path}.${field}`] ?? null
  return (
    <Fieldset legend={host.name || 'Host'}>
      <Group justify="space-between" mb="sm">
        <SegmentedControl
          size="xs"
          aria-label="Where the host is"
          value={host.where}
          onChange={(value) => onChange({ where: value === 'ssh' ? 'ssh' : 'local' })}
          data={[
            { value: 'local', label: 'This computer' },
            { value: 'ssh', label: 'Over ssh' },
          ]}
        />
        {onRemove && (
          <Button variant="subtle" color="red" size="compact-xs" onClick={onRemove}>
            Remove host
          </Button>
        )}
      </Group>
      <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
        <TextInput
          label="Name of the host"
          value={host.name}
          onChange={(event) => onChange({ name: event.currentTarget.value })}
          error={problem('name')}
          required
        />
        <TextInput
          label="Folder of machines"
          placeholder="/var/lib/machines"
          value={host.machinesFolder}
          onChange={(event) => onChange({ machinesFolder: event.currentTarget.value })}
          error={problem('machinesFolder')}
          required
        />
        {host.where === 'ssh' && (
          <>
            <TextInput
              label="Address"
              placeholder="kvm1.example.net"
              value={host.host}
              onChange={(event) => onChange({ host: event.currentTarget.value })}
              error={problem('address.host')}
              required
            />
            <Group grow gap="sm" align="flex-start">
              <TextInput
                label="User"
                value={host.user}
                onChange={(event) => onChange({ user: event.currentTarget.value })}
                error={problem('address.user')}
                required
              />
              <NumberInput
                label="Port"
                value={host.port}
                onChange={(value) => onChange({ port: Number(value) })}
                min={1}
                max={65_535}
                error={problem('address.port')}
              />
            </Group>
          </>
        )}
        {withLibvirt && (
          <TextInput
            label="libvirt address"
            placeholder="qemu:///system"
            value={host.libvirtUri}
            onChange={(event) => onChange({ libvirtUri: event.currentTarget.value })}
            error={problem('libvirtUri')}
          />
        )}
      </SimpleGrid>
      {host.where === 'ssh' && (
        <TextInput
          mt="sm"
          label="Pinned host key"
          description={
            <>
              Ask the host itself, not the network:{' '}
              <Code>ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub</Code>
            </>
          }
          placeholder="SHA256:…"
          value={host.hostKeySha256}
          onChange={(event) => onChange({ hostKeySha256: event.currentTarget.value })}
          error={problem('address.hostKeySha256')}
          required
          spellCheck={false}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12 } }}
        />
      )}
    </Fieldset>
  )
}
