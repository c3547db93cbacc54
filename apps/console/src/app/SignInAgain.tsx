import { Button, Modal, Stack, Text } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { sessionQuery } from '../api/session.ts'
import { SignInForm } from '../features/access/SignInForm.tsx'
import { leave } from './leave.ts'
import { signedInAgain } from './session-end.ts'

/** Over the page, which stays as it is, and hides it: whoever sits there now may be somebody else. */
export function SignInAgain() {
  const queries = useQueryClient()
  const done = (): void => {
    const session = queries.getQueryData(sessionQuery.queryKey)
    if (!session) return
    signedInAgain(session.user.id)
    void queries.invalidateQueries()
  }
  return (
    <Modal
      opened
      onClose={() => {}}
      title="Your session has ended"
      size={420}
      withCloseButton={false}
      closeOnEscape={false}
      closeOnClickOutside={false}
      overlayProps={{ backgroundOpacity: 0.9, blur: 14 }}
    >
      <Stack gap="md">
        <Text size="sm">What you have not saved is still here. Sign in, and go on where you were.</Text>
        <SignInForm onDone={done} />
        <Button variant="subtle" color="red" onClick={() => leave('signed-out')}>
          Give up what is not saved
        </Button>
      </Stack>
    </Modal>
  )
}
