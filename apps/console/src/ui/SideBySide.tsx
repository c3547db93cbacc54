import { Grid, Stack } from '@mantine/core'
import type { ReactNode } from 'react'

/** The main thing, and what is good to know beside it; one under the other where there is no room. */
export function SideBySide({ main, side }: { readonly main: ReactNode; readonly side: ReactNode }) {
  return (
    <Grid gap="md">
      <Grid.Col span={{ base: 12, lg: 8 }}>
        <Stack gap="md">{main}</Stack>
      </Grid.Col>
      <Grid.Col span={{ base: 12, lg: 4 }}>
        <Stack gap="md">{side}</Stack>
      </Grid.Col>
    </Grid>
  )
}
