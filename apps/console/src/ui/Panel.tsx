import { Box, type BoxProps, Group, Title } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './Panel.module.css'

type PanelProps = BoxProps & {
  readonly title?: string
  readonly actions?: ReactNode
  readonly children: ReactNode
  /** Content goes to the edges: tables, charts. */
  readonly flush?: boolean
}

/** A titled surface. The page's smallest unit of layout. */
export function Panel({ title, actions, children, flush = false, ...box }: PanelProps) {
  return (
    <Box component="section" className={classes.panel} aria-label={title} {...box}>
      {(title !== undefined || actions !== undefined) && (
        <Group className={classes.head} justify="space-between" wrap="nowrap">
          <Title order={2} size="h3">
            {title}
          </Title>
          {actions}
        </Group>
      )}
      <div className={flush ? classes.flush : classes.body}>{children}</div>
    </Box>
  )
}
