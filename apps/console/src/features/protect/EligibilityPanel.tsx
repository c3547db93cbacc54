import { Skeleton, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { api } from '../../api/client.ts'
import { formatDuration } from '../../lib/format.ts'
import { Findings } from '../../ui/Findings.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'

/** Whether a machine can be protected, how well, and what stands in the way. */
export function EligibilityPanel({ machineId }: { readonly machineId: string }) {
  const { data, error } = useQuery({
    ...api.machines.eligibility.queryOptions({ input: { id: machineId } }),
    staleTime: 60_000,
  })
  return (
    <Panel title="Can it be protected?">
      <ProblemAlert error={error} title="That is not known now" />
      {!data && !error && <Skeleton h={60} />}
      {data && (
        <Stack gap="sm">
          <StatusMark tone={data.eligible ? 'good' : 'bad'}>
            {data.eligible ? 'Yes, it can be protected' : 'Not as it is now'}
          </StatusMark>
          {data.eligible && (
            <Text size="sm">
              A recovery point every {formatDuration(data.shortestIntervalSeconds)} is possible.{' '}
              {data.applicationConsistent
                ? 'Points can be application-consistent.'
                : 'Points are crash-consistent only: there is no agent in the guest to ask.'}
            </Text>
          )}
          <Findings findings={data.findings} label="What stands in the way" />
        </Stack>
      )}
    </Panel>
  )
}
