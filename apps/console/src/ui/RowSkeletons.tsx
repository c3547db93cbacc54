import { Skeleton, Stack } from '@mantine/core'

/** The shape of a table whose rows are on the way. */
export function RowSkeletons({ rows = 6 }: { readonly rows?: number }) {
  return (
    <Stack gap={10} p={14} role="status" aria-busy="true" aria-label="Loading">
      {Array.from({ length: rows }, (_, index) => `row ${index}`).map((key) => (
        <Skeleton key={key} h={18} />
      ))}
    </Stack>
  )
}
