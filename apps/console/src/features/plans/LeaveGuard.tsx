import { Button, Group, Modal, Stack, Text } from '@mantine/core'
import { useBlocker } from '@tanstack/react-router'
import { useUnsavedWork } from '../../lib/unsaved-work.ts'

type LeaveGuardProps = { readonly changed: boolean; readonly name: string }

/** Another page, or closing this one, would lose what is not saved. Tabs and forms of this plan are the same page. */
export function LeaveGuard({ changed, name }: LeaveGuardProps) {
  useUnsavedWork(changed)
  const { status, proceed, reset } = useBlocker({
    shouldBlockFn: ({ current, next }) => changed && current.pathname !== next.pathname,
    enableBeforeUnload: () => changed,
    withResolver: true,
  })
  if (status !== 'blocked') return null
  return (
    <Modal opened onClose={reset} title="Leave without saving?" size={440}>
      <Stack gap="md">
        <Text size="sm">
          What you changed in <b>{name}</b> since its last version would be lost.
        </Text>
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={reset} data-autofocus>
            Stay here
          </Button>
          <Button color="red" onClick={proceed}>
            Leave
          </Button>
        </Group>
      </Stack>
    </Modal>
  )
}
