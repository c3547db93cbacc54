import { Alert, Code, Stack, Text } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import { readable } from '../lib/format.ts'

const wordsOfFailure: Readonly<Record<string, string>> = {
  refusal: 'Refused as things stand',
  outage: 'Something did not answer',
  invariant: 'A fault of Understudy itself',
}

type Failure = {
  readonly kind: string
  readonly code: string
  readonly message: string
  readonly remedy: string
}

/** Why a job, or a step of a plan, ended badly, and what to do. Nothing where none did. */
export function FailureAlert({ failure }: { readonly failure: Failure | null }) {
  if (!failure) return null
  return (
    <Alert
      color="red"
      variant="light"
      icon={<IconAlertTriangle size={18} />}
      title={wordsOfFailure[failure.kind] ?? 'Failed'}
    >
      <Stack gap={6}>
        <Text size="sm">
          <b>Cause:</b> {readable(failure.message)}
        </Text>
        <Text size="sm">
          <b>Remedy:</b> {readable(failure.remedy)}
        </Text>
        <Code w="fit-content">{failure.code}</Code>
      </Stack>
    </Alert>
  )
}
