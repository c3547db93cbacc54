import { Alert, Text } from '@mantine/core'
import { IconCircleCheck } from '@tabler/icons-react'
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
  return <ProblemAlert error={error} title="The connection does not work" />
}
