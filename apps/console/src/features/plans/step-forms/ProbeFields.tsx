import { Select, SimpleGrid, TextInput } from '@mantine/core'
import { SpanInput } from '../../../ui/SpanInput.tsx'
import { newCommand } from '../new-items.ts'
import type { ActionOf } from '../plan-draft.ts'
import { CommandFields, type Endpoint, EndpointFields, type FormOf, WholeNumber } from './fields.tsx'

type Check = ActionOf<'probe'>['check']

/** Asked again and again until it answers, or no longer does. */
export function ProbeFields(props: FormOf<ActionOf<'probe'>>) {
  const { value, blocked, onChange } = props
  return (
    <>
      <SimpleGrid cols={2} spacing="xs">
        <Select
          label="Check"
          allowDeselect={false}
          disabled={blocked}
          data={[
            { value: 'tcp', label: 'a TCP port' },
            { value: 'http', label: 'an HTTP answer' },
            { value: 'script', label: 'a script' },
          ]}
          value={value.check.kind}
          onChange={(kind) => onChange({ ...value, check: checkOf(kind, value.check) })}
        />
        <Select
          label="Until"
          allowDeselect={false}
          disabled={blocked}
          data={[
            { value: 'green', label: 'it answers' },
            { value: 'red', label: 'it no longer answers' },
          ]}
          value={value.until}
          onChange={(until) => onChange({ ...value, until: until === 'red' ? 'red' : 'green' })}
        />
      </SimpleGrid>
      <CheckFields
        {...props}
        value={value.check}
        onChange={(check, field) => onChange({ ...value, check }, field)}
      />
      <SpanInput
        label="Ask every"
        min={0}
        seconds={value.intervalSeconds}
        onChange={(intervalSeconds) =>
          onChange({ ...value, intervalSeconds: Math.min(3600, intervalSeconds) }, 'interval')
        }
      />
      <SpanInput
        label="Give up after"
        seconds={value.timeoutSeconds}
        onChange={(timeoutSeconds) => onChange({ ...value, timeoutSeconds }, 'timeout')}
      />
    </>
  )
}

function CheckFields(props: FormOf<Check>) {
  const { value, blocked, onChange } = props
  if (value.kind === 'script')
    return (
      <CommandFields
        {...props}
        value={value}
        onChange={(command, field) => onChange({ ...command, kind: 'script' }, field)}
      />
    )
  return (
    <>
      <EndpointFields
        {...props}
        label="Of"
        value={value.target}
        onChange={(target, field) => onChange({ ...value, target }, field)}
      />
      <SimpleGrid cols={2} spacing="xs">
        {value.kind === 'http' && (
          <Select
            label="Scheme"
            allowDeselect={false}
            disabled={blocked}
            data={['http', 'https']}
            value={value.scheme}
            onChange={(scheme) => onChange({ ...value, scheme: scheme === 'http' ? 'http' : 'https' })}
          />
        )}
        <WholeNumber
          label="Port"
          value={value.port}
          min={1}
          max={65_535}
          blocked={blocked}
          onChange={(port) => onChange({ ...value, port }, 'port')}
        />
      </SimpleGrid>
      {value.kind === 'http' && (
        <>
          <TextInput
            label="Path"
            readOnly={blocked}
            value={value.path}
            onChange={(event) => onChange({ ...value, path: event.currentTarget.value }, 'path')}
          />
          <SimpleGrid cols={2} spacing="xs">
            <WholeNumber
              label="Expected status"
              value={value.expectedStatus}
              min={100}
              max={599}
              blocked={blocked}
              onChange={(expectedStatus) => onChange({ ...value, expectedStatus }, 'status')}
            />
            <TextInput
              label="Text in the answer"
              placeholder="any"
              readOnly={blocked}
              value={value.expectedText}
              onChange={(event) => onChange({ ...value, expectedText: event.currentTarget.value }, 'text')}
            />
          </SimpleGrid>
        </>
      )}
    </>
  )
}

/** As much as possible stays: whoever chooses HTTP means the same machine. */
function checkOf(kind: string | null, former: Check): Check {
  const target: Endpoint = former.kind === 'script' ? { kind: 'address', address: '' } : former.target
  if (kind === 'script') return former.kind === 'script' ? former : { kind, ...newCommand }
  if (kind === 'http')
    return {
      kind,
      target,
      scheme: 'https',
      port: former.kind === 'script' ? 443 : former.port,
      path: '/',
      expectedStatus: 200,
      expectedText: '',
    }
  return { kind: 'tcp', target, port: former.kind === 'script' ? 443 : former.port }
}
