import { Button, Code, Group, Table, Text } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useInfiniteQuery } from '@tanstack/react-query'
import { api } from '../../api/client.ts'
import { downloadCsv, toCsv } from '../../lib/csv.ts'
import { MoreRows } from '../../ui/MoreRows.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import type { Tone } from '../../ui/tone.ts'
import { When } from '../../ui/When.tsx'

type Entry = {
  readonly at: string
  readonly who: string
  readonly action: string
  readonly subject: string | null
  readonly outcome: 'accepted' | 'refused' | 'failed'
  readonly facts: Readonly<Record<string, unknown>>
  readonly address: string | null
}

const toneOf: Record<Entry['outcome'], Tone> = { accepted: 'good', refused: 'at-risk', failed: 'bad' }
const wordsOf: Record<Entry['outcome'], string> = {
  accepted: 'Accepted',
  refused: 'Refused',
  failed: 'Failed',
}

/** Who did what, from where, and whether it was granted. */
export function AuditLog() {
  const query = useInfiniteQuery(
    api.audit.list.infiniteOptions({
      input: (cursor: string | undefined) => ({ cursor, limit: 100 }),
      initialPageParam: undefined,
      getNextPageParam: (page) => page.next ?? undefined,
    }),
  )
  const entries = query.data?.pages.flatMap((page) => page.items)
  if (query.error) return <ProblemAlert error={query.error} />
  if (!entries) return <RowSkeletons />
  return (
    <>
      <Group justify="flex-end" p={10}>
        <Button
          variant="default"
          leftSection={<IconDownload size={16} />}
          onClick={() => downloadCsv('audit', toCsv<Entry>(columns, entries))}
          disabled={entries.length === 0}
        >
          Export
        </Button>
      </Group>
      <Table.ScrollContainer minWidth={720} tabIndex={0}>
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>When</Table.Th>
              <Table.Th>Who</Table.Th>
              <Table.Th>Did</Table.Th>
              <Table.Th>Outcome</Table.Th>
              <Table.Th>Facts</Table.Th>
              <Table.Th>From</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {entries.map((entry) => (
              <Table.Tr key={entry.id}>
                <Table.Td>
                  <When at={entry.at} />
                </Table.Td>
                <Table.Td>{entry.who}</Table.Td>
                <Table.Td>
                  <Code fz={12}>{entry.action}</Code>
                </Table.Td>
                <Table.Td>
                  <StatusMark tone={toneOf[entry.outcome]}>{wordsOf[entry.outcome]}</StatusMark>
                </Table.Td>
                <Table.Td maw={360}>
                  <Text size="xs" c="var(--ink-quiet)" lineClamp={2}>
                    {[entry.subject, factsOf(entry)].filter(Boolean).join(' · ')}
                  </Text>
                </Table.Td>
                <Table.Td>{entry.address ?? '–'}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
      <MoreRows
        shown={entries.length}
        total={query.data?.pages[0]?.total ?? null}
        hasMore={query.hasNextPage}
        loading={query.isFetchingNextPage}
        onMore={() => void query.fetchNextPage()}
      />
    </>
  )
}

const factsOf = (entry: Entry): string =>
  Object.entries(entry.facts)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' · ')

const columns = [
  { name: 'When', of: (entry: Entry) => entry.at },
  { name: 'Who', of: (entry: Entry) => entry.who },
  { name: 'Did', of: (entry: Entry) => entry.action },
  { name: 'Subject', of: (entry: Entry) => entry.subject },
  { name: 'Outcome', of: (entry: Entry) => entry.outcome },
  { name: 'Facts', of: (entry: Entry) => JSON.stringify(entry.facts) },
  { name: 'From', of: (entry: Entry) => entry.address },
]
