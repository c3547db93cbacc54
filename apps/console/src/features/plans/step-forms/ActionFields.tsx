// One form for every kind of step, with everything that the step can be told.
import { Checkbox, Select, SimpleGrid, Textarea, TextInput } from '@mantine/core'
import { useState } from 'react'
import { SpanInput } from '../../../ui/SpanInput.tsx'
import type { ActionOf, StepAction } from '../plan-draft.ts'
import {
  AzureDnsFields,
  AzureLoadBalancerFields,
  AzureRunCommandFields,
  TrafficManagerFields,
} from './AzureFields.tsx'
import {
  CommandFields,
  EndpointFields,
  type FormOf,
  TimeoutField,
  WholeNumber,
  WordTable,
} from './fields.tsx'
import { ProbeFields } from './ProbeFields.tsx'
import { RecordFields } from './RecordFields.tsx'
import { statusesIn } from './statuses.ts'

export function ActionFields({ value, ...facts }: FormOf<StepAction>) {
  switch (value.kind) {
    case 'script':
      return <ScriptFields value={value} {...facts} />
    case 'manual':
      return <ManualFields value={value} {...facts} />
    case 'approval':
      return <ApprovalFields value={value} {...facts} />
    case 'wait':
      return (
        <SpanInput
          label="Wait for"
          seconds={value.seconds}
          onChange={(seconds) => facts.onChange({ ...value, seconds }, 'seconds')}
        />
      )
    case 'probe':
      return <ProbeFields value={value} {...facts} />
    case 'http':
      return <HttpFields value={value} {...facts} />
    case 'dns':
      return <DnsFields value={value} {...facts} />
    case 'load-balancer':
      return <LoadBalancerFields value={value} {...facts} />
    case 'traffic-manager':
      return <TrafficManagerFields value={value} {...facts} />
    case 'azure-load-balancer':
      return <AzureLoadBalancerFields value={value} {...facts} />
    case 'azure-dns':
      return <AzureDnsFields value={value} {...facts} />
    case 'azure-run-command':
      return <AzureRunCommandFields value={value} {...facts} />
  }
}

const roles = [
  { value: 'operator', label: 'operator or more' },
  { value: 'contributor', label: 'contributor or owner' },
  { value: 'owner', label: 'owner' },
] as const

type RoleSelectProps = {
  readonly label: string
  readonly value: (typeof roles)[number]['value']
  readonly blocked: boolean
  readonly onChange: (role: (typeof roles)[number]['value']) => void
}

function RoleSelect({ label, value, blocked, onChange }: RoleSelectProps) {
  return (
    <Select
      label={label}
      allowDeselect={false}
      disabled={blocked}
      data={[...roles]}
      value={value}
      onChange={(chosen) => {
        const role = roles.find((each) => each.value === chosen)
        if (role) onChange(role.value)
      }}
    />
  )
}

function ScriptFields(props: FormOf<ActionOf<'script'>>) {
  const { value, onChange } = props
  return (
    <>
      <CommandFields {...props} onChange={(command, field) => onChange({ ...value, ...command }, field)} />
      <TimeoutField {...props} />
    </>
  )
}

function ManualFields(props: FormOf<ActionOf<'manual'>>) {
  const { value, blocked, onChange } = props
  return (
    <>
      <Textarea
        label="Instructions"
        description="What somebody does, as they read it at three in the morning."
        autosize
        minRows={3}
        readOnly={blocked}
        value={value.instructions}
        onChange={(event) => onChange({ ...value, instructions: event.currentTarget.value }, 'instructions')}
      />
      <RoleSelect
        label="Done by"
        value={value.assigneeRole}
        blocked={blocked}
        onChange={(assigneeRole) => onChange({ ...value, assigneeRole })}
      />
      <TimeoutField {...props} />
      <Select
        label="When nobody has answered by then"
        allowDeselect={false}
        disabled={blocked}
        data={[
          { value: 'fail', label: 'it has failed' },
          { value: 'continue', label: 'go on as if it were done' },
        ]}
        value={value.whenTimedOut}
        onChange={(chosen) =>
          onChange({ ...value, whenTimedOut: chosen === 'continue' ? 'continue' : 'fail' })
        }
      />
    </>
  )
}

function ApprovalFields(props: FormOf<ActionOf<'approval'>>) {
  const { value, blocked, onChange } = props
  return (
    <>
      <Textarea
        label="Question"
        description="Whoever started the run cannot answer it. No answer in time is a no."
        autosize
        minRows={2}
        readOnly={blocked}
        value={value.question}
        onChange={(event) => onChange({ ...value, question: event.currentTarget.value }, 'question')}
      />
      <RoleSelect
        label="Answered by"
        value={value.approverRole}
        blocked={blocked}
        onChange={(approverRole) => onChange({ ...value, approverRole })}
      />
      <TimeoutField {...props} />
    </>
  )
}

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const

function HttpFields(props: FormOf<ActionOf<'http'>>) {
  const { value, blocked, onChange } = props
  return (
    <>
      <Select
        label="Method"
        allowDeselect={false}
        disabled={blocked}
        data={[...methods]}
        value={value.method}
        onChange={(chosen) => {
          const method = methods.find((each) => each === chosen)
          if (method) onChange({ ...value, method })
        }}
      />
      <TextInput
        label="Address"
        placeholder="https://hooks.example.com/{{team}}"
        readOnly={blocked}
        value={value.url}
        onChange={(event) => onChange({ ...value, url: event.currentTarget.value }, 'url')}
      />
      <WordTable
        label="Headers"
        add="Add a header"
        nameLabel="Header"
        blocked={blocked}
        words={value.headers}
        onChange={(headers, field) => onChange({ ...value, headers }, field)}
      />
      <Textarea
        label="Body"
        autosize
        minRows={2}
        maxRows={12}
        readOnly={blocked}
        value={value.body}
        styles={{ input: { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: 12 } }}
        onChange={(event) => onChange({ ...value, body: event.currentTarget.value }, 'body')}
      />
      <StatusesField {...props} />
      <TimeoutField {...props} />
    </>
  )
}

/** As it is typed, and beside it what the plan has of it: a comma on its way is no number yet. */
function StatusesField({ value, blocked, onChange }: FormOf<ActionOf<'http'>>) {
  const [typed, setTyped] = useState(value.expectedStatuses.join(', '))
  const meant = statusesIn(typed)
  const isOurs = meant.join() === value.expectedStatuses.join()
  return (
    <TextInput
      label="Succeeds with status"
      description="Any other answer is a failure."
      placeholder="200, 204"
      readOnly={blocked}
      value={isOurs ? typed : value.expectedStatuses.join(', ')}
      onChange={(event) => {
        setTyped(event.currentTarget.value)
        onChange({ ...value, expectedStatuses: statusesIn(event.currentTarget.value) }, 'statuses')
      }}
    />
  )
}

const recordTypes = ['A', 'AAAA', 'CNAME', 'TXT'] as const
const algorithms = ['hmac-sha256', 'hmac-sha384', 'hmac-sha512'] as const

function DnsFields(props: FormOf<ActionOf<'dns'>>) {
  const { value, blocked, onChange } = props
  return (
    <>
      <TextInput
        label="Name server"
        placeholder="ns1.example.com, with :port if not 53"
        readOnly={blocked}
        value={value.server}
        onChange={(event) => onChange({ ...value, server: event.currentTarget.value }, 'server')}
      />
      <RecordFields
        {...props}
        types={recordTypes}
        leastTtl={0}
        onChange={(record, field) => onChange({ ...value, ...record }, field)}
      />
      <EndpointFields
        {...props}
        label="Points to"
        value={value.value}
        onChange={(target, field) => onChange({ ...value, value: target }, field)}
      />
      <TsigFields {...props} />
      <TimeoutField {...props} />
    </>
  )
}

function TsigFields({ value, secrets, blocked, onChange }: FormOf<ActionOf<'dns'>>) {
  const { tsig } = value
  return (
    <>
      <Checkbox
        label="Signed with a key (TSIG)"
        checked={tsig !== null}
        disabled={blocked}
        onChange={(event) =>
          onChange({
            ...value,
            tsig: event.currentTarget.checked
              ? { name: '', algorithm: 'hmac-sha256', secretParameter: secrets[0] ?? '' }
              : null,
          })
        }
      />
      {tsig && (
        <>
          <TextInput
            label="Name of the key"
            readOnly={blocked}
            value={tsig.name}
            onChange={(event) =>
              onChange({ ...value, tsig: { ...tsig, name: event.currentTarget.value } }, 'tsig name')
            }
          />
          <SimpleGrid cols={2} spacing="xs">
            <Select
              label="Algorithm"
              allowDeselect={false}
              disabled={blocked}
              data={[...algorithms]}
              value={tsig.algorithm}
              onChange={(chosen) => {
                const algorithm = algorithms.find((each) => each === chosen)
                if (algorithm) onChange({ ...value, tsig: { ...tsig, algorithm } })
              }}
            />
            <Select
              label="Key, base64"
              placeholder={secrets.length === 0 ? 'no secret parameter yet' : 'Choose'}
              allowDeselect={false}
              disabled={blocked || secrets.length === 0}
              data={[...secrets]}
              value={tsig.secretParameter === '' ? null : tsig.secretParameter}
              onChange={(secretParameter) =>
                secretParameter !== null && onChange({ ...value, tsig: { ...tsig, secretParameter } })
              }
            />
          </SimpleGrid>
        </>
      )}
    </>
  )
}

const states = [
  { value: 'ready', label: 'takes traffic (ready)' },
  { value: 'drain', label: 'no new sessions (drain)' },
  { value: 'maint', label: 'out of service (maint)' },
] as const

function LoadBalancerFields(props: FormOf<ActionOf<'load-balancer'>>) {
  const { value, machines, blocked, onChange } = props
  const { change } = value
  const text = (name: 'socket' | 'backend' | 'server') => ({
    readOnly: blocked,
    value: value[name],
    onChange: (event: { readonly currentTarget: { readonly value: string } }) =>
      onChange({ ...value, [name]: event.currentTarget.value }, name),
  })
  return (
    <>
      <TextInput
        label="Runtime API of HAProxy"
        placeholder="host:port, or the path of its socket"
        {...text('socket')}
      />
      <SimpleGrid cols={2} spacing="xs">
        <TextInput label="Backend" {...text('backend')} />
        <TextInput label="Server" {...text('server')} />
      </SimpleGrid>
      <Select
        label="Change"
        allowDeselect={false}
        disabled={blocked}
        data={[
          { value: 'state', label: 'its state' },
          { value: 'address', label: 'its address' },
        ]}
        value={change.kind}
        onChange={(kind) => {
          const [first] = machines
          if (kind === 'state') onChange({ ...value, change: { kind, state: 'ready' } })
          else if (kind === 'address')
            onChange({
              ...value,
              change: {
                kind,
                to: first ? { kind: 'machine', machine: first.value } : { kind: 'address', address: '' },
                port: 443,
              },
            })
        }}
      />
      {change.kind === 'state' ? (
        <Select
          label="To"
          allowDeselect={false}
          disabled={blocked}
          data={[...states]}
          value={change.state}
          onChange={(chosen) => {
            const state = states.find((each) => each.value === chosen)?.value
            if (state) onChange({ ...value, change: { kind: 'state', state } })
          }}
        />
      ) : (
        <>
          <EndpointFields
            {...props}
            label="To"
            value={change.to}
            onChange={(to, field) => onChange({ ...value, change: { ...change, to } }, field)}
          />
          <WholeNumber
            label="Port"
            value={change.port}
            min={1}
            max={65_535}
            blocked={blocked}
            onChange={(port) => onChange({ ...value, change: { ...change, port } }, 'port')}
          />
        </>
      )}
      <TimeoutField {...props} />
    </>
  )
}
