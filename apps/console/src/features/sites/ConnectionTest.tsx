import { Alert, List, Stack, Text } from '@mantine/core'
import { IconCircleCheck } from '@tabler/icons-react'
import { problemOf } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { type MissingRights, missingRightsIn } from './missing-rights.ts'

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

/** A failure to reach a site; rights that are missing stand one below the other. */
export function ConnectionProblem({ error, title }: { readonly error: unknown; readonly title: string }) {
  const missing = error ? missingRightsIn(problemOf(error).detail) : null
  return (
    <ProblemAlert error={error} title={title} detail={missing ? <RightsMissing missing={missing} /> : null} />
  )
}

const RightsMissing = ({ missing }: { readonly missing: MissingRights }) => (
  <Stack gap={6}>
    <Text size="sm">{missing.rest}:</Text>
    {missing.places.map(({ where, rights }) => (
      <div key={where}>
        <Text size="sm" fw={600}>
          {where}
        </Text>
        <List size="xs" ff="monospace" aria-label={`Missing ${where}`}>
          {rights.map((right) => (
            <List.Item key={right}>{right}</List.Item>
          ))}
        </List>
      </div>
    ))}
  </Stack>
)
