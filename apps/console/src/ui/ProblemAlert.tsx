import { Alert, Code, Stack, Text } from '@mantine/core'
import { IconAlertTriangle } from '@tabler/icons-react'
import type { ReactNode } from 'react'
import { problemOf } from '../api/client.ts'
import { readable } from '../lib/format.ts'

type ProblemAlertProps = {
  readonly error: unknown
  readonly title?: string
  /** What happened, where it is better shown than as the sentence of the server. */
  readonly detail?: ReactNode
}

/** An error as the operator needs it: what happened, why, and what to do. */
export function ProblemAlert({ error, title, detail = null }: ProblemAlertProps) {
  if (error === null || error === undefined) return null
  const problem = problemOf(error)
  return (
    <Alert
      color="red"
      variant="light"
      icon={<IconAlertTriangle size={18} />}
      title={title ?? problem.title}
      role="alert"
    >
      <Stack gap={6}>
        {detail ?? <Text size="sm">{readable(problem.detail.replace(/\.?$/, '.'))}</Text>}
        {problem.cause && <Text size="sm">Cause: {readable(problem.cause)}</Text>}
        {problem.fields?.map((field) => (
          <Text size="sm" key={field.path}>
            <b>{field.path}</b>: {field.message}
          </Text>
        ))}
        <Text size="sm" fw={500}>
          {problem.remedy}
        </Text>
        <Code w="fit-content">{problem.code}</Code>
      </Stack>
    </Alert>
  )
}
