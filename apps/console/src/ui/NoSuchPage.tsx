import { Center } from '@mantine/core'
import { IconMapQuestion } from '@tabler/icons-react'
import { EmptyState } from './EmptyState.tsx'
import { LinkButton } from './LinkButton.tsx'

/** An address that leads nowhere: a mistyped one, or of something that is gone. */
export function NoSuchPage() {
  return (
    <Center mih="60vh" p="lg">
      <main>
        <EmptyState
          icon={IconMapQuestion}
          title="There is no such page"
          heading
          action={<LinkButton to="/">To the overview</LinkButton>}
        >
          The address may be mistyped, or what it led to is gone.
        </EmptyState>
      </main>
    </Center>
  )
}
