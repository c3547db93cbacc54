import { Button, Radio, Skeleton, Stack, Table, Text, VisuallyHidden } from '@mantine/core'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { roleOf } from '@understudy/contract/roles'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { RowSkeletons } from '../../ui/RowSkeletons.tsx'
import { SideBySide } from '../../ui/SideBySide.tsx'
import { toastDone } from '../../ui/toast-job.tsx'
import { When } from '../../ui/When.tsx'
import { Differences } from './SaveDialog.tsx'

type VersionListProps = {
  readonly planId: string
  readonly newest: number
  /** There are edits that nobody has saved: restoring would cross them. */
  readonly changed: boolean
  /** Which two are compared; part of the address. */
  readonly from: number | null
  readonly to: number | null
  readonly onCompare: (from: number, to: number) => void
}

/** Every save is a version: who, when, why; what differs; and the way back. */
export function VersionList({ planId, newest, changed, from, to, onCompare }: VersionListProps) {
  const { data, error } = useQuery(api.plans.versions.queryOptions({ input: { id: planId } }))
  const right = to ?? newest
  const left = from ?? Math.max(1, right - 1)
  return (
    <SideBySide
      main={
        <Panel title="Versions" flush>
          <ProblemAlert error={error} />
          {!data && !error && <RowSkeletons rows={4} />}
          {data && (
            <Table.ScrollContainer minWidth={560}>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th w={70}>From</Table.Th>
                    <Table.Th w={70}>To</Table.Th>
                    <Table.Th>Version</Table.Th>
                    <Table.Th>What for</Table.Th>
                    <Table.Th>Saved</Table.Th>
                    <Table.Th>By</Table.Th>
                    <Table.Th>
                      <VisuallyHidden>Restore</VisuallyHidden>
                    </Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {data.items.map(({ version, savedAt, savedBy, comment }) => (
                    <Table.Tr key={version}>
                      <Table.Td>
                        <Radio
                          size="xs"
                          name="from"
                          aria-label={`Compare from version ${version}`}
                          checked={version === left}
                          onChange={() => onCompare(version, right)}
                        />
                      </Table.Td>
                      <Table.Td>
                        <Radio
                          size="xs"
                          name="to"
                          aria-label={`Compare to version ${version}`}
                          checked={version === right}
                          onChange={() => onCompare(left, version)}
                        />
                      </Table.Td>
                      <Table.Td className="number">{version}</Table.Td>
                      <Table.Td style={{ overflowWrap: 'anywhere' }}>
                        {comment === '' ? (
                          <Text span c="var(--ink-quiet)" inherit>
                            –
                          </Text>
                        ) : (
                          comment
                        )}
                      </Table.Td>
                      <Table.Td>
                        <When at={savedAt} />
                      </Table.Td>
                      <Table.Td>{savedBy}</Table.Td>
                      <Table.Td ta="right">
                        {version !== newest && (
                          <Restore planId={planId} version={version} newest={newest} changed={changed} />
                        )}
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            </Table.ScrollContainer>
          )}
        </Panel>
      }
      side={<Comparison planId={planId} from={left} to={right} onSwap={() => onCompare(right, left)} />}
    />
  )
}

type ComparisonProps = {
  readonly planId: string
  readonly from: number
  readonly to: number
  readonly onSwap: () => void
}

function Comparison({ planId, from, to, onSwap }: ComparisonProps) {
  const { data, error } = useQuery({
    ...api.plans.diff.queryOptions({ input: { id: planId, from, to } }),
    enabled: from !== to,
  })
  return (
    <Panel
      title={`From version ${from} to ${to}`}
      actions={
        <Button variant="subtle" size="compact-xs" onClick={onSwap}>
          Other way round
        </Button>
      }
    >
      <ProblemAlert error={error} />
      {from === to ? (
        <Text size="sm" c="var(--ink-quiet)">
          Choose two versions to see what differs.
        </Text>
      ) : data ? (
        <Differences lines={data.items.map(({ words }) => words)} empty="Nothing differs." />
      ) : (
        !error && <Skeleton h={60} />
      )}
    </Panel>
  )
}

type RestoreProps = {
  readonly planId: string
  readonly version: number
  readonly newest: number
  readonly changed: boolean
}

/** Nothing is lost by it: the older one becomes the newest, and what was newest stays a version. */
function Restore({ planId, version, newest, changed }: RestoreProps) {
  const queries = useQueryClient()
  const refused = useWhyRefused()(roleOf.plans.restore)
  const restore = useMutation({
    mutationFn: () => client.plans.restore({ id: planId, version }),
    onSuccess: (detail) => {
      queries.setQueryData(api.plans.get.queryKey({ input: { id: planId } }), detail)
      toastDone(
        detail.version === newest
          ? `Nothing has changed: version ${newest} is the same as version ${version}`
          : `Version ${version} is the newest again, as version ${detail.version}`,
      )
    },
    onSettled: () => queries.invalidateQueries({ queryKey: api.plans.key() }),
  })
  return (
    <Stack gap={4} align="flex-end">
      <ActionButton
        size="compact-xs"
        variant="default"
        reason={refused ?? (changed ? 'Save or undo your own changes first' : null)}
        loading={restore.isPending}
        onClick={() => restore.mutate()}
        aria-label={`Restore version ${version}`}
      >
        Restore
      </ActionButton>
      {restore.error && <ProblemAlert error={restore.error} />}
    </Stack>
  )
}
