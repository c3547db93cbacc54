import { Code, Table, Text, Tooltip } from '@mantine/core'
import type { Event } from '@understudy/contract/event'
import { withLocalTimes } from '../../lib/format.ts'
import { StatusMark } from '../../ui/StatusMark.tsx'
import type { Tone } from '../../ui/tone.ts'
import { When } from '../../ui/When.tsx'
import { wordsOfFacts } from './fact-words.ts'

const toneOf: Record<Event['severity'], Tone> = { info: 'off', warning: 'at-risk', critical: 'bad' }
const wordsOf: Record<Event['severity'], string> = { info: 'Info', warning: 'Warning', critical: 'Critical' }

/** What happened, newest first. */
export function EventTable({
  events,
  withSubject = true,
}: {
  readonly events: readonly Event[]
  readonly withSubject?: boolean
}) {
  return (
    <Table.ScrollContainer minWidth={560} tabIndex={0}>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th w={130}>When</Table.Th>
            <Table.Th w={110}>Severity</Table.Th>
            {withSubject && <Table.Th w={170}>About</Table.Th>}
            <Table.Th>What happened</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {events.map((event) => (
            <Table.Tr key={event.id}>
              <Table.Td>
                <When at={event.at} />
              </Table.Td>
              <Table.Td>
                <StatusMark tone={toneOf[event.severity]}>{wordsOf[event.severity]}</StatusMark>
              </Table.Td>
              {withSubject && (
                <Table.Td>
                  <Text size="sm" truncate maw={170}>
                    {event.subjectName ?? '–'}
                  </Text>
                </Table.Td>
              )}
              <Table.Td>
                <Text size="sm">{withLocalTimes(event.message)}</Text>
                <FactLine event={event} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

function FactLine({ event }: { readonly event: Event }) {
  const line = wordsOfFacts(event.facts)
  return (
    <Tooltip label={line} disabled={line === ''}>
      <Text size="xs" c="var(--ink-quiet)" lineClamp={1} component="div">
        <Code fz={11}>{event.code}</Code> {line}
      </Text>
    </Tooltip>
  )
}
