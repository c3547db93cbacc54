import { Badge, Button, Checkbox, Group, Select, Stack, Table, Text, TextInput } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { formatBytes } from '@understudy/base/bytes'
import type { Machine } from '@understudy/contract/machine'
import type { AllowedAction, Protection } from '@understudy/contract/protection'
import { roleOfAction } from '@understudy/contract/roles'
import { useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { withMember } from '../../lib/with-member.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { toastDone } from '../../ui/toast-job.tsx'
import { type AdapterAddress, addressHint, readAddress, showAddress } from './address-text.ts'

/** Why the protection cannot be edited now; null when it can. */
function useEditReason(protection: Protection): string | null {
  const refused = useWhyRefused()(roleOfAction.edit)
  const verdict: AllowedAction | undefined = protection.actions.find(({ action }) => action === 'edit')
  return refused ?? (verdict?.allowed ? null : (verdict?.reason ?? 'Not possible now'))
}

function useUpdate(protection: Protection, done: string) {
  const queries = useQueryClient()
  return useMutation({
    mutationFn: (change: Omit<Parameters<typeof client.protections.update>[0], 'id'>) =>
      client.protections.update({ id: protection.id, ...change }),
    onSuccess: () => toastDone(done),
    onSettled: () => queries.invalidateQueries({ queryKey: api.protections.key() }),
  })
}

/** Disks of the machine; which of them are replicated. */
export function DiskEditor({ protection }: { readonly protection: Protection }) {
  const reason = useEditReason(protection)
  const [excluded, setExcluded] = useState<readonly string[] | null>(null)
  const update = useUpdate(protection, 'The disks are saved')
  const shown = excluded ?? protection.excludedDisks
  const { disks } = protection.hardware
  const changed =
    excluded !== null && [...excluded].sort().join() !== [...protection.excludedDisks].sort().join()
  const nothingLeft = disks.every(({ key }) => shown.includes(key))
  const newlyOut = disks
    .filter(({ key }) => shown.includes(key) && !protection.excludedDisks.includes(key))
    .map(({ label }) => label)
  return (
    <Stack gap="sm" p={14}>
      <Table.ScrollContainer minWidth={480}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Replicated</Table.Th>
              <Table.Th>Disk</Table.Th>
              <Table.Th ta="right">Size</Table.Th>
              <Table.Th>Format</Table.Th>
              <Table.Th>Bus</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {disks.map((disk) => (
              <Table.Tr key={disk.key}>
                <Table.Td>
                  <Checkbox
                    aria-label={`Replicate ${disk.label}`}
                    checked={!shown.includes(disk.key)}
                    disabled={reason !== null}
                    onChange={(event) =>
                      setExcluded(withMember(shown, disk.key, !event.currentTarget.checked))
                    }
                  />
                </Table.Td>
                <Table.Td>
                  {disk.label} {disk.boot && <Badge color="gray">boots</Badge>}
                </Table.Td>
                <Table.Td ta="right" className="number">
                  {formatBytes(disk.bytes)}
                </Table.Td>
                <Table.Td>{disk.format}</Table.Td>
                <Table.Td>{disk.bus}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <Text size="xs" c="var(--ink-quiet)">
        A disk that is left out is missing from newer recovery points. One that comes back is copied in full.
      </Text>
      {nothingLeft && (
        <Text size="sm" c="var(--at-risk)" role="status">
          At least one disk has to be replicated.
        </Text>
      )}
      {!nothingLeft && newlyOut.length > 0 && (
        <Text size="sm" c="var(--at-risk)" role="status">
          The replica will come up without {newlyOut.join(' and ')}: after a failover the machine lacks what
          is on {newlyOut.length === 1 ? 'it' : 'them'}.
        </Text>
      )}
      <ProblemAlert error={update.error} />
      <Group gap="xs">
        <ActionButton
          reason={
            reason ??
            (nothingLeft ? 'At least one disk has to be replicated' : changed ? null : 'Nothing is changed')
          }
          loading={update.isPending}
          onClick={() => update.mutate({ excludedDisks: [...shown] }, { onSuccess: () => setExcluded(null) })}
        >
          Save the disks
        </ActionButton>
        {changed && (
          <Button variant="subtle" color="gray" onClick={() => setExcluded(null)}>
            Undo
          </Button>
        )}
      </Group>
    </Stack>
  )
}

type Mapping = Protection['adapters'][number]

/** Network adapters with what they are connected to in a test and in a failover, side by side. */
export function NetworkEditor({ protection }: { readonly protection: Protection }) {
  const reason = useEditReason(protection)
  const { data, error } = useQuery(api.sites.networks.queryOptions({ input: { id: protection.target.id } }))
  const [edited, setEdited] = useState<readonly Mapping[] | null>(null)
  const [wrong, setWrong] = useState<readonly string[]>([])
  const [turn, setTurn] = useState(0)
  const update = useUpdate(protection, 'The networks are saved')
  const { adapters } = protection.hardware
  const mappingOf = (key: string): Mapping =>
    (edited ?? protection.adapters).find((each) => each.adapterKey === key) ?? {
      adapterKey: key,
      failoverNetworkId: null,
      testNetworkId: null,
    }
  const change = (key: string, part: Partial<Mapping>): void =>
    setEdited(
      adapters.map((adapter) =>
        adapter.key === key ? { ...mappingOf(key), ...part } : mappingOf(adapter.key),
      ),
    )
  // Only an agent prepares a machine to take them, and only KVM can tell it.
  const takesAddresses = protection.source.platform === 'physical' && protection.target.platform === 'kvm'
  const markWrong = (which: string, isWrong: boolean): void => setWrong(withMember(wrong, which, isWrong))
  /** Fields with what was typed in them go as well. */
  const beginAnew = (): void => {
    setEdited(null)
    setWrong([])
    setTurn(turn + 1)
  }
  const networks = data?.items ?? []
  const options = (isolated: boolean) => [
    ...networks
      .toSorted((left, right) => Number(right.isolated === isolated) - Number(left.isolated === isolated))
      .map((network) => ({
        value: network.id,
        label: `${network.name}${network.isolated ? ' (isolated)' : ''}`,
      })),
  ]
  return (
    <Stack gap="sm" p={14}>
      <ProblemAlert error={error} title={`The networks of ${protection.target.name} are not known`} />
      {adapters.length === 0 ? (
        <Text size="sm" c="var(--ink-quiet)">
          This machine has no network adapter.
        </Text>
      ) : (
        <Table.ScrollContainer minWidth={620}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Adapter</Table.Th>
                <Table.Th>Now connected to</Table.Th>
                <Table.Th>In a test at {protection.target.name}</Table.Th>
                <Table.Th>In a failover at {protection.target.name}</Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {adapters.map((adapter) => (
                <Table.Tr key={adapter.key}>
                  <Table.Td>
                    <Text size="sm">{adapter.key}</Text>
                    <Text size="xs" c="var(--ink-quiet)" ff="monospace">
                      {adapter.macAddress}
                    </Text>
                  </Table.Td>
                  <Table.Td>{adapter.networkId ?? 'nothing'}</Table.Td>
                  <Table.Td>
                    <Select
                      aria-label={`Network of ${adapter.key} in a test`}
                      placeholder="Not connected"
                      clearable
                      clearButtonProps={{ 'aria-label': 'Not connected' }}
                      disabled={reason !== null}
                      data={options(true)}
                      value={mappingOf(adapter.key).testNetworkId}
                      onChange={(value) => change(adapter.key, { testNetworkId: value })}
                    />
                    {takesAddresses && (
                      <AddressInput
                        key={turn}
                        label={`Address of ${adapter.key} in a test`}
                        disabled={reason !== null}
                        address={mappingOf(adapter.key).testAddress}
                        onChange={(testAddress) => change(adapter.key, { testAddress })}
                        onWrong={(wrong) => markWrong(`test ${adapter.key}`, wrong)}
                      />
                    )}
                  </Table.Td>
                  <Table.Td>
                    <Select
                      aria-label={`Network of ${adapter.key} in a failover`}
                      placeholder="Not connected"
                      clearable
                      clearButtonProps={{ 'aria-label': 'Not connected' }}
                      disabled={reason !== null}
                      data={options(false)}
                      value={mappingOf(adapter.key).failoverNetworkId}
                      onChange={(value) => change(adapter.key, { failoverNetworkId: value })}
                    />
                    {takesAddresses && (
                      <AddressInput
                        key={turn}
                        label={`Address of ${adapter.key} in a failover`}
                        disabled={reason !== null}
                        address={mappingOf(adapter.key).failoverAddress}
                        onChange={(failoverAddress) => change(adapter.key, { failoverAddress })}
                        onWrong={(wrong) => markWrong(`failover ${adapter.key}`, wrong)}
                      />
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
      <ProblemAlert error={update.error} />
      <Group gap="xs">
        <ActionButton
          reason={
            reason ??
            (wrong.length > 0
              ? 'An address is not understood'
              : edited === null
                ? 'Nothing is changed'
                : null)
          }
          loading={update.isPending}
          onClick={() => update.mutate({ adapters: [...(edited ?? [])] }, { onSuccess: beginAnew })}
        >
          Save the networks
        </ActionButton>
        {(edited !== null || wrong.length > 0) && (
          <Button variant="subtle" color="gray" onClick={beginAnew}>
            Undo
          </Button>
        )}
      </Group>
    </Stack>
  )
}

type AddressInputProps = {
  readonly label: string
  readonly disabled: boolean
  readonly address: AdapterAddress | undefined
  readonly onChange: (address: AdapterAddress | undefined) => void
  readonly onWrong: (wrong: boolean) => void
}

/** What is being typed and cannot be understood yet stays here. */
function AddressInput({ label, disabled, address, onChange, onWrong }: AddressInputProps) {
  const [typed, setTyped] = useState<string | null>(null)
  const read = typed === null ? address : readAddress(typed)
  return (
    <TextInput
      mt={6}
      aria-label={label}
      placeholder="Asked for (DHCP)"
      description={`Fixed: ${addressHint}`}
      inputWrapperOrder={['input', 'description', 'error']}
      disabled={disabled}
      value={typed ?? showAddress(address)}
      error={read === null ? 'For example: 10.1.2.3/24 10.1.2.1 10.1.2.2' : null}
      onChange={({ currentTarget: { value } }) => {
        const now = readAddress(value)
        setTyped(value)
        onWrong(now === null)
        if (now !== null) onChange(now)
      }}
    />
  )
}

/** Adapters and disks of a machine that nobody replicates. */
export function HardwareFacts({ machine }: { readonly machine: Machine }) {
  const { hardware } = machine
  return (
    <Text size="sm" component="div">
      {hardware.cpus} {hardware.cpus === 1 ? 'core' : 'cores'}, {formatBytes(hardware.memoryBytes)} memory,{' '}
      {hardware.firmware === 'uefi' ? 'UEFI' : 'BIOS'}
      {hardware.disks.map((disk) => (
        <div key={disk.key}>
          {disk.label}: {formatBytes(disk.bytes)} {disk.format} on {disk.bus}
        </div>
      ))}
      {hardware.adapters.map((adapter) => (
        <div key={adapter.key}>
          {adapter.key}: {adapter.macAddress}, connected to {adapter.networkId ?? 'nothing'}
        </div>
      ))}
    </Text>
  )
}

/** Another policy for the same protection. */
export function PolicyEditor({
  protection,
  onDone,
}: {
  readonly protection: Protection
  readonly onDone: () => void
}) {
  const reason = useEditReason(protection)
  const { data } = useQuery(api.policies.list.queryOptions())
  const [policyId, setPolicyId] = useState(protection.policyId)
  const update = useUpdate(protection, 'The policy is changed')
  return (
    <Stack gap="md">
      <Select
        label="Policy"
        description="Recovery points that exist are kept or dropped by the new policy."
        allowDeselect={false}
        data={(data?.items ?? []).map(({ id, name }) => ({ value: id, label: name }))}
        value={policyId}
        onChange={(value) => setPolicyId(value ?? policyId)}
        data-autofocus
      />
      <ProblemAlert error={update.error} />
      <Group justify="flex-end" gap="xs">
        <Button variant="default" onClick={onDone}>
          Cancel
        </Button>
        <ActionButton
          reason={reason ?? (policyId === protection.policyId ? 'Nothing is changed' : null)}
          loading={update.isPending}
          onClick={() => update.mutate({ policyId }, { onSuccess: onDone })}
        >
          Save
        </ActionButton>
      </Group>
    </Stack>
  )
}
