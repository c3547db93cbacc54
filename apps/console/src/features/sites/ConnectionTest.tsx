import { Alert, Button, CopyButton, List, Stack, Text } from '@mantine/core'
import { IconCheck, IconCircleCheck, IconCopy } from '@tabler/icons-react'
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

/** A failure to reach a site; rights that are missing stand by the place where they are missing and by what they are for, to be given to whoever gives rights. */
export function ConnectionProblem({ error, title }: { readonly error: unknown; readonly title: string }) {
  const missing = (error ? problemOf(error).missingRights : null) ?? []
  return (
    <ProblemAlert
      error={error}
      title={title}
      detail={missing.length > 0 ? <RightsMissing missing={missing} /> : null}
    />
  )
}

const RightsMissing = ({ missing }: { readonly missing: NonNullable<Problem['missingRights']> }) => (
  <Stack gap="xs">
    <Text size="sm">
      {missing.length === 1
        ? 'The identity of the site lacks one right.'
        : `The identity of the site lacks ${missing.length} rights.`}
    </Text>
    {[...Map.groupBy(missing, ({ scope }) => scope)].map(([scope, there]) => (
      <div key={scope}>
        <Text size="sm" fw={600}>
          In {scope}
        </Text>
        <List size="sm" spacing={4} aria-label={`Missing in ${scope}`}>
          {[...Map.groupBy(there, ({ purpose }) => purpose)].map(([purpose, rights]) => (
            <List.Item key={purpose}>
              {purpose}
              {rights.map(({ right }) => (
                <Text key={right} size="xs" ff="monospace" style={{ overflowWrap: 'anywhere' }}>
                  {right}
                </Text>
              ))}
            </List.Item>
          ))}
        </List>
      </div>
    ))}
    <CopyButton value={[...new Set(missing.map(({ right }) => right))].join('\n')} timeout={1500}>
      {({ copied, copy }) => (
        <Button
          variant="default"
          w="fit-content"
          leftSection={copied ? <IconCheck size={15} /> : <IconCopy size={15} />}
          onClick={copy}
        >
          {copied ? 'Copied' : 'Copy the rights'}
        </Button>
      )}
    </CopyButton>
  </Stack>
)
