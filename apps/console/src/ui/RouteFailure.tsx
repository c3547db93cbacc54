import { Button, Center, Stack } from '@mantine/core'
import { ProblemAlert } from './ProblemAlert.tsx'

/** A page that could not be shown: what happened, what to do, and a way back. */
export function RouteFailure({ error }: { readonly error: unknown }) {
  return (
    <Center mih="60vh" p="lg">
      <Stack maw={560} w="100%">
        <ProblemAlert error={error} />
        <Button component="a" href="/" variant="default" w="fit-content">
          To the overview
        </Button>
      </Stack>
    </Center>
  )
}
