import { Skeleton, Stack, VisuallyHidden } from '@mantine/core'

/** The shape of a page while its data is on the way. */
export function RoutePending() {
  return (
    <Stack gap="md" role="status" aria-busy="true" aria-label="Loading">
      <VisuallyHidden component="h1">Loading</VisuallyHidden>
      <Skeleton h={28} w={220} />
      <Skeleton h={96} />
      <Skeleton h={280} />
    </Stack>
  )
}
