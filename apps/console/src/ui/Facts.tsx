import { Box } from '@mantine/core'
import type { ReactNode } from 'react'
import classes from './Facts.module.css'

/** Names and values, one under the other. */
export function Facts({ children }: { readonly children: ReactNode }) {
  return (
    <Box component="dl" className={classes.facts}>
      {children}
    </Box>
  )
}

/** One row of `Facts`; nothing at all without a value. */
export function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  if (children === null || children === undefined || children === '') return null
  return (
    <div className={classes.row}>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
