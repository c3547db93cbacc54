import { IconArrowNarrowRight } from '@tabler/icons-react'
import type { Protection } from '@understudy/contract/protection'
import { EmulatedBadge } from '../../ui/SimulatedBadge.tsx'
import classes from './row-parts.module.css'

/** Where it runs and which way it flows: the active side is in bold. */
export function SiteFlow({
  protection,
}: {
  readonly protection: Pick<Protection, 'source' | 'target' | 'activeSiteId'>
}) {
  const { source, target, activeSiteId } = protection
  const site = ({ id, name, emulated }: Protection['source']) => (
    <>
      <span className={classes.site} data-active={id === activeSiteId || undefined}>
        {name}
        {id === activeSiteId && <span className={classes.spoken}> (runs here)</span>}
      </span>
      {emulated && <EmulatedBadge />}
    </>
  )
  return (
    <span className={classes.flow}>
      {site(source)}
      <IconArrowNarrowRight size={16} stroke={1.6} aria-label="replicates to" />
      {site(target)}
    </span>
  )
}
