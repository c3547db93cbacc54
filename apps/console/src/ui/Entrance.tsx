import { Box, Center, Group, Stack, Text, Title } from '@mantine/core'
import { type ReactNode, useEffect } from 'react'
import classes from './Entrance.module.css'

type EntranceProps = { readonly title: string; readonly note: string; readonly children: ReactNode }

/** The frame of the pages before sign-in. */
export function Entrance({ title, note, children }: EntranceProps) {
  useEffect(() => {
    document.title = `${title} · Understudy`
  }, [title])
  return (
    <Center component="main" mih="100vh" p="md" className={classes.back}>
      <Stack w="100%" maw={400} gap="lg">
        <Group gap={12} justify="center">
          <img src="/mark.svg" width={34} height={34} alt="" />
          <Text fw={650} fz={21}>
            Understudy
          </Text>
        </Group>
        <Box className={classes.card}>
          <Title order={1} size="h2">
            {title}
          </Title>
          <Text size="sm" c="var(--ink-quiet)" mt={4} mb="md">
            {note}
          </Text>
          {children}
        </Box>
      </Stack>
    </Center>
  )
}
