import { Skeleton, Stack } from '@mantine/core'

/** The shape of a page while its data is on the way. */
export function RoutePending() {
  return (
    <Stack p="lg" gap="md" aria-busy="true" aria-label="Loading">
      <Skeleton h={28} w={220} />
      <Skeleton h={96} />
      <Skeleton h={280} />
    </Stack>
  )
}
