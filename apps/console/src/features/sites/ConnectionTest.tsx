import { Alert, List, Stack, Text } from '@mantine/core'
import { IconCircleCheck } from '@tabler/icons-react'
import type { Problem } from '@understudy/contract/problem'
import { problemOf } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'

type ConnectionTestProps = {
  readonly summary: string | null
  readonly error: unknown
  readonly incomplete: boolean
}

/** What the last test of the connection found. */
export function ConnectionTest({ summary, error, incomplete }: ConnectionTestProps) {
  if (incomplete)
    return (
      <Text size="sm" c="var(--bad)" role="alert">
        Some fields are not filled in yet; see above.
      </Text>
    )
  if (summary !== null)
    return (
      <Alert
        color="green"
        variant="light"
        icon={<IconCircleCheck size={18} />}
        title="It works"
        role="status"
      >
        {summary}
      </Alert>
    )
  return <ConnectionProblem error={error} title="The connection does not work" />
}

/** A failure to reach a site; rights that are missing stand one below the other, by the place where they are missing. */
export function ConnectionProblem({ error, title }: { readonly error: unknown; readonly title: string }) {
  const problem = error ? problemOf(error) : null
  const missing = problem?.missingRights ?? []
  return (
    <ProblemAlert
      error={error}
      title={title}
      detail={
        problem && missing.length > 0 ? <RightsMissing detail={problem.detail} missing={missing} /> : null
      }
    />
  )
}

type RightsMissingProps = {
  readonly detail: string
  readonly missing: NonNullable<Problem['missingRights']>
}

const RightsMissing = ({ detail, missing }: RightsMissingProps) => (
  <Stack gap={6}>
    <Text size="sm">{detail}.</Text>
    {[...Map.groupBy(missing, ({ scope }) => scope)].map(([scope, rights]) => (
      <div key={scope}>
        <Text size="sm" fw={600}>
          in {scope}
        </Text>
        <List size="xs" aria-label={`Missing in ${scope}`}>
          {rights.map(({ right, purpose }) => (
            <List.Item key={right}>
              <Text span inherit ff="monospace">
                {right}
              </Text>{' '}
              {purpose}
            </List.Item>
          ))}
        </List>
      </div>
    ))}
  </Stack>
)
