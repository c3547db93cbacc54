import {
  Accordion,
  Button,
  Group,
  NumberInput,
  SegmentedControl,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core'
import { useId } from '@mantine/hooks'
import { IconPlus } from '@tabler/icons-react'
import type { Problems } from './draft-fields.ts'
import { HostFields } from './HostFields.tsx'
import { NetworkFields } from './NetworkFields.tsx'
import { emptyHost, emptyNetwork, type HostDraft, type NetworkDraft, type SiteDraft } from './site-draft.ts'

type Draft = SiteDraft['kvm']
type KvmFieldsProps = {
  readonly draft: Draft
  readonly problems: Problems
  readonly saved: boolean
  readonly onChange: (draft: Draft) => void
}

export function KvmFields({ draft, problems, saved, onChange }: KvmFieldsProps) {
  const changeHost = (key: string, change: Partial<HostDraft>): void =>
    onChange({
      ...draft,
      hosts: draft.hosts.map((host) => (host.key === key ? { ...host, ...change } : host)),
    })
  const changeNetwork = (key: string, change: Partial<NetworkDraft>): void =>
    onChange({
      ...draft,
      networks: draft.networks.map((each) => (each.key === key ? { ...each, ...change } : each)),
    })
  const overSsh = draft.hosts.some((host) => host.where === 'ssh')

  return (
    <Stack gap="md">
      <Choice
        label="Managed by"
        note="libvirt where it manages the machines; otherwise QEMU's own control sockets."
        value={draft.adapter}
        options={[
          { value: 'qmp', label: 'QEMU directly' },
          { value: 'libvirt', label: 'libvirt' },
        ]}
        onChange={(value) => onChange({ ...draft, adapter: value === 'libvirt' ? 'libvirt' : 'qmp' })}
      />
      <Stack gap="sm">
        <Text fw={600}>Hosts</Text>
        {draft.hosts.map((host, index) => (
          <HostFields
            key={host.key}
            host={host}
            path={`settings.hosts.${index}`}
            withLibvirt={draft.adapter === 'libvirt'}
            problems={problems}
            onChange={(change) => changeHost(host.key, change)}
            onRemove={
              draft.hosts.length === 1
                ? null
                : () => onChange({ ...draft, hosts: draft.hosts.filter((each) => each.key !== host.key) })
            }
          />
        ))}
        <Button
          variant="default"
          w="fit-content"
          leftSection={<IconPlus size={15} />}
          onClick={() =>
            onChange({
              ...draft,
              hosts: [
                ...draft.hosts,
                { ...emptyHost(crypto.randomUUID()), name: `host-${draft.hosts.length + 1}`, where: 'ssh' },
              ],
            })
          }
        >
          Add a host
        </Button>
      </Stack>
      {overSsh && (
        <Textarea
          label="Private key for ssh"
          description={
            saved
              ? 'Kept encrypted and never shown again. Leave it empty to keep the one that is stored.'
              : 'Kept encrypted and never shown again. The user needs access to QEMU on every host.'
          }
          placeholder="-----BEGIN OPENSSH PRIVATE KEY-----"
          value={draft.privateKey}
          onChange={(event) => onChange({ ...draft, privateKey: event.currentTarget.value })}
          error={problems['secrets.privateKey'] ?? null}
          autosize
          minRows={3}
          maxRows={8}
          autoComplete="off"
          spellCheck={false}
          styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12 } }}
        />
      )}
      <Stack gap="sm">
        <div>
          <Text fw={600}>Networks</Text>
          <Text size="xs" c="var(--ink-quiet)">
            What replicas can be connected to here. At least one isolated network lets tests run without
            touching production.
            {draft.adapter === 'libvirt' &&
              " libvirt's own networks and the bridges of its hosts are found without being named here."}
          </Text>
        </div>
        {draft.networks.map((network, index) => (
          <NetworkFields
            key={network.key}
            network={network}
            path={`settings.networks.${index}`}
            problems={problems}
            onChange={(change) => changeNetwork(network.key, change)}
            onRemove={() =>
              onChange({ ...draft, networks: draft.networks.filter((each) => each.key !== network.key) })
            }
          />
        ))}
        <Button
          variant="default"
          w="fit-content"
          leftSection={<IconPlus size={15} />}
          onClick={() =>
            onChange({ ...draft, networks: [...draft.networks, emptyNetwork(crypto.randomUUID())] })
          }
        >
          Add a network
        </Button>
      </Stack>
      <Accordion variant="contained" chevronPosition="left">
        <Accordion.Item value="more">
          <Accordion.Control>How replicas are started here</Accordion.Control>
          <Accordion.Panel>
            <Stack gap="sm">
              <Choice
                label="Acceleration"
                note="Software emulation is slow; it is for machines without virtualisation."
                value={draft.accelerator}
                options={[
                  { value: 'kvm', label: 'KVM' },
                  { value: 'tcg', label: 'Software emulation' },
                ]}
                onChange={(value) => onChange({ ...draft, accelerator: value === 'tcg' ? 'tcg' : 'kvm' })}
              />
              <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
                <NumberInput
                  label="A machine must answer within, s"
                  value={draft.bootDeadlineSeconds}
                  onChange={(value) => onChange({ ...draft, bootDeadlineSeconds: Number(value) })}
                  min={5}
                  max={3600}
                  error={problems['settings.bootDeadlineSeconds'] ?? null}
                />
                <TextInput
                  label="Folder for replicas"
                  description="Empty: where Understudy keeps its data"
                  value={draft.replicaFolder}
                  onChange={(event) => onChange({ ...draft, replicaFolder: event.currentTarget.value })}
                  error={problems['settings.replicaFolder'] ?? null}
                />
              </SimpleGrid>
            </Stack>
          </Accordion.Panel>
        </Accordion.Item>
      </Accordion>
    </Stack>
  )
}

type ChoiceProps = {
  readonly label: string
  readonly note: string
  readonly value: string
  readonly options: readonly { readonly value: string; readonly label: string }[]
  readonly onChange: (value: string) => void
}

function Choice({ label, note, value, options, onChange }: ChoiceProps) {
  const id = useId()
  return (
    <Group justify="space-between" align="center" gap="xs">
      <div>
        <Text size="sm" fw={500} id={id}>
          {label}
        </Text>
        <Text size="xs" c="var(--ink-quiet)">
          {note}
        </Text>
      </div>
      <SegmentedControl
        size="xs"
        aria-labelledby={id}
        data={[...options]}
        value={value}
        onChange={onChange}
      />
    </Group>
  )
}
