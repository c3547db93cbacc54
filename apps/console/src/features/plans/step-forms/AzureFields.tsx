// The forms of steps that change something in Azure.
import {
  ActionIcon,
  Button,
  Fieldset,
  Group,
  Select,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
  TextInput,
} from '@mantine/core'
import { IconPlus, IconX } from '@tabler/icons-react'
import type { ActionOf, ItemId } from '../plan-draft.ts'
import { withChange, withMember, withRecord } from './azure-edits.ts'
import {
  EndpointFields,
  type FormOf,
  legendAsLabel,
  MachineSelect,
  SiteSelect,
  TimeoutField,
  WholeNumber,
  WordTable,
} from './fields.tsx'
import { RecordFields } from './RecordFields.tsx'

type Placed = ActionOf<'traffic-manager'> | ActionOf<'azure-load-balancer'> | ActionOf<'azure-dns'>
type Typed = { readonly currentTarget: { readonly value: string } }

/** Whose sign-in is used, and in which resource group it lies. */
function PlaceFields<Value extends Placed>({
  value,
  azureSites,
  blocked,
  rights,
  onChange,
}: FormOf<Value> & { readonly rights: string }) {
  return (
    <>
      <SiteSelect
        label="Sign-in of the site"
        placeholder={azureSites.length === 0 ? 'No site in Azure yet' : 'Choose a site in Azure'}
        value={value.site}
        sites={azureSites}
        blocked={blocked}
        onChange={(site) => onChange({ ...value, site })}
      />
      <TextInput
        label="Resource group"
        placeholder="that of the site"
        readOnly={blocked}
        value={value.resourceGroup}
        onChange={(event) =>
          onChange({ ...value, resourceGroup: event.currentTarget.value }, 'resource group')
        }
      />
      <Quiet>
        The identity of the site has to be allowed to {rights}, beside what running machines takes.
      </Quiet>
    </>
  )
}

const trafficChanges = [
  { value: 'status', label: 'whether it is used' },
  { value: 'weight', label: 'its weight' },
  { value: 'priority', label: 'its priority' },
  { value: 'target', label: 'its target' },
] as const

export function TrafficManagerFields(props: FormOf<ActionOf<'traffic-manager'>>) {
  const { value, machines, blocked, onChange } = props
  const { change } = value
  const text = (name: 'profile' | 'endpoint') => ({
    readOnly: blocked,
    value: value[name],
    onChange: (event: Typed) => onChange({ ...value, [name]: event.currentTarget.value }, name),
  })
  return (
    <>
      <PlaceFields {...props} rights="read Traffic Manager profiles and write their endpoints" />
      <SimpleGrid cols={2} spacing="xs">
        <TextInput label="Profile" {...text('profile')} />
        <TextInput label="Endpoint" {...text('endpoint')} />
      </SimpleGrid>
      <Select
        label="Change"
        allowDeselect={false}
        disabled={blocked}
        data={[...trafficChanges]}
        value={change.kind}
        onChange={(chosen) => {
          const kind = trafficChanges.find((each) => each.value === chosen)?.value
          if (kind) onChange(withChange(value, kind, machines[0]?.value ?? null))
        }}
      />
      {change.kind === 'status' && (
        <Select
          label="To"
          allowDeselect={false}
          disabled={blocked}
          data={[
            { value: 'enabled', label: 'used (enabled)' },
            { value: 'disabled', label: 'not used (disabled)' },
          ]}
          value={change.status}
          onChange={(chosen) =>
            onChange({
              ...value,
              change: { kind: 'status', status: chosen === 'disabled' ? 'disabled' : 'enabled' },
            })
          }
        />
      )}
      {change.kind === 'weight' && (
        <WholeNumber
          label="Weight"
          description="Counts where the profile routes by weight."
          value={change.weight}
          min={1}
          max={1000}
          blocked={blocked}
          onChange={(weight) => onChange({ ...value, change: { kind: 'weight', weight } }, 'weight')}
        />
      )}
      {change.kind === 'priority' && (
        <WholeNumber
          label="Priority"
          description="Counts where the profile routes by priority: the lowest that is well gets everything. No two endpoints may have the same."
          value={change.priority}
          min={1}
          max={1000}
          blocked={blocked}
          onChange={(priority) => onChange({ ...value, change: { kind: 'priority', priority } }, 'priority')}
        />
      )}
      {change.kind === 'target' && (
        <>
          <EndpointFields
            {...props}
            label="To"
            value={change.to}
            onChange={(to, field) => onChange({ ...value, change: { kind: 'target', to } }, field)}
          />
          <Quiet>Of external endpoints. It has to be an address that everybody reaches, or a name.</Quiet>
        </>
      )}
      <TimeoutField {...props} />
    </>
  )
}

export function AzureLoadBalancerFields(props: FormOf<ActionOf<'azure-load-balancer'>>) {
  const { value, machines, blocked, onChange } = props
  const { member, membership } = value
  const text = (name: 'loadBalancer' | 'pool') => ({
    readOnly: blocked,
    value: value[name],
    onChange: (event: Typed) => onChange({ ...value, [name]: event.currentTarget.value }, name),
  })
  return (
    <>
      <PlaceFields
        {...props}
        rights="read the load balancer and join its pool; for addresses, write the pool"
      />
      <SimpleGrid cols={2} spacing="xs">
        <TextInput label="Load balancer" {...text('loadBalancer')} />
        <TextInput label="Back-end pool" {...text('pool')} />
      </SimpleGrid>
      <SimpleGrid cols={2} spacing="xs">
        <Select
          label="Member"
          allowDeselect={false}
          disabled={blocked}
          data={[
            { value: 'adapter', label: "a machine's adapter" },
            { value: 'entry', label: 'an address' },
          ]}
          value={member.kind}
          onChange={(chosen) =>
            onChange(withMember(value, chosen === 'entry' ? 'entry' : 'adapter', machines[0]?.value ?? null))
          }
        />
        <Select
          label="Afterwards"
          allowDeselect={false}
          disabled={blocked}
          data={[
            { value: 'in', label: 'in the pool' },
            { value: 'out', label: 'not in the pool' },
          ]}
          value={membership}
          onChange={(chosen) => onChange({ ...value, membership: chosen === 'out' ? 'out' : 'in' })}
        />
      </SimpleGrid>
      {member.kind === 'adapter' ? (
        <>
          <MachineSelect
            label="Machine"
            value={member.machine}
            machines={machines}
            blocked={blocked}
            onChange={(machine) => onChange({ ...value, member: { kind: 'adapter', machine } })}
          />
          <Quiet>Its first network adapter. The machine has to run at the site by then.</Quiet>
        </>
      ) : (
        <EntryFields {...props} member={member} />
      )}
      <TimeoutField {...props} />
    </>
  )
}

type EntryFieldsProps = FormOf<ActionOf<'azure-load-balancer'>> & {
  readonly member: Extract<ActionOf<'azure-load-balancer'>['member'], { readonly kind: 'entry' }>
}

/** What is taken out goes by its name alone. */
function EntryFields({ member, ...props }: EntryFieldsProps) {
  const { value, blocked, onChange } = props
  return (
    <>
      <TextInput
        label="Name in the pool"
        readOnly={blocked}
        value={member.name}
        onChange={(event) =>
          onChange({ ...value, member: { ...member, name: event.currentTarget.value } }, 'entry name')
        }
      />
      {value.membership === 'in' && (
        <>
          <EndpointFields
            {...props}
            label="Leads to"
            value={member.address}
            onChange={(address, field) => onChange({ ...value, member: { ...member, address } }, field)}
          />
          <TextInput
            label="Virtual network"
            description="Its resource id, from its properties in the portal."
            placeholder="/subscriptions/…/virtualNetworks/…"
            readOnly={blocked}
            value={member.network}
            onChange={(event) =>
              onChange({ ...value, member: { ...member, network: event.currentTarget.value } }, 'network')
            }
          />
        </>
      )}
    </>
  )
}

const recordTypes = ['A', 'AAAA', 'CNAME'] as const

export function AzureDnsFields(props: FormOf<ActionOf<'azure-dns'>>) {
  const { value, blocked, onChange } = props
  return (
    <>
      <PlaceFields {...props} rights="read the zone, and read and write its records" />
      <RecordFields
        {...props}
        types={recordTypes}
        leastTtl={1}
        besideZone={
          <Select
            label="Kind of zone"
            allowDeselect={false}
            disabled={blocked}
            data={[
              { value: 'public', label: 'public' },
              { value: 'private', label: 'private' },
            ]}
            value={value.zoneKind}
            onChange={(chosen) =>
              onChange({ ...value, zoneKind: chosen === 'private' ? 'private' : 'public' })
            }
          />
        }
        onChange={(record, field) => onChange(withRecord(value, record), field)}
      />
      <ValueFields {...props} />
      <TimeoutField {...props} />
    </>
  )
}

/** Everything that the record has afterwards. */
function ValueFields(props: FormOf<ActionOf<'azure-dns'>>) {
  const { value, machines, blocked, onChange } = props
  const { values, recordType } = value
  const [first] = machines
  return (
    <Fieldset legend="Points to" variant="unstyled" styles={legendAsLabel}>
      <Stack gap={6}>
        {values.map((each, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: an address is its place; nothing else tells two equal ones apart.
          <Group key={index} gap={4} align="flex-end" wrap="nowrap">
            <div style={{ flex: 1, minWidth: 0 }}>
              <EndpointFields
                {...props}
                label={`Value ${index + 1}`}
                value={each}
                onChange={(changed, field) =>
                  onChange({ ...value, values: values.with(index, changed) }, field)
                }
              />
            </div>
            {!blocked && values.length > 1 && (
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={`Remove value ${index + 1}`}
                onClick={() => onChange({ ...value, values: values.filter((_, at) => at !== index) })}
              >
                <IconX size={14} />
              </ActionIcon>
            )}
          </Group>
        ))}
        {!blocked && recordType !== 'CNAME' && (
          <Button
            variant="subtle"
            size="compact-xs"
            w="fit-content"
            leftSection={<IconPlus size={13} />}
            onClick={() =>
              onChange({
                ...value,
                values: [
                  ...values,
                  first ? { kind: 'machine', machine: first.value } : { kind: 'address', address: '' },
                ],
              })
            }
          >
            Add a value
          </Button>
        )}
      </Stack>
    </Fieldset>
  )
}

export function AzureRunCommandFields(props: FormOf<ActionOf<'azure-run-command'>>) {
  const { value, machines, blocked, onChange } = props
  return (
    <>
      <MachineSelect
        label="Machine"
        value={value.machine}
        machines={machines}
        blocked={blocked}
        onChange={(machine: ItemId) => onChange({ ...value, machine })}
      />
      <Textarea
        label="Script"
        description="Bash on Linux, PowerShell on Windows, as administrator. Azure keeps about the last 4 KiB of what it prints. No parameter is put into it: give it variables."
        autosize
        minRows={4}
        maxRows={20}
        readOnly={blocked}
        value={value.script}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12 } }}
        onChange={(event) => onChange({ ...value, script: event.currentTarget.value }, 'script')}
      />
      <WordTable
        label="Variables"
        add="Add a variable"
        nameLabel="Variable"
        blocked={blocked}
        words={value.variables}
        onChange={(variables, field) => onChange({ ...value, variables }, field)}
      />
      <Quiet>
        Read as $NAME on Linux, as param($NAME) on Windows. Azure shows their values to nobody, and leaves
        empty ones out.
      </Quiet>
      <TimeoutField {...props} />
    </>
  )
}

function Quiet({ children }: { readonly children: React.ReactNode }) {
  return (
    <Text size="xs" c="var(--ink-quiet)">
      {children}
    </Text>
  )
}
