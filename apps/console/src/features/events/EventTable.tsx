import { Code, Table, Text, Tooltip } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import type { Event } from '@understudy/contract/event'
import { useMemo } from 'react'
import { api } from '../../api/client.ts'
import { readable } from '../../lib/format.ts'
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
  const names = useNames()
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
                <Text size="sm">{readable(event.message)}</Text>
                <FactLine event={event} names={names} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  )
}

/** Of the sites and policies that events name by their ids. */
function useNames(): ReadonlyMap<string, string> {
  const { data: policies } = useQuery(api.policies.list.queryOptions())
  const { data: sites } = useQuery(api.sites.list.queryOptions())
  return useMemo(
    () => new Map([...(policies?.items ?? []), ...(sites?.items ?? [])].map(({ id, name }) => [id, name])),
    [policies, sites],
  )
}

type FactLineProps = { readonly event: Event; readonly names: ReadonlyMap<string, string> }

function FactLine({ event, names }: FactLineProps) {
  const line = wordsOfFacts(event.facts, names)
  return (
    <Tooltip label={line} disabled={line === ''}>
      <Text size="xs" c="var(--ink-quiet)" lineClamp={1} component="div">
        <Code fz={11}>{event.code}</Code> {line}
      </Text>
    </Tooltip>
  )
}
