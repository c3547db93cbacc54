// Machines as tiles, to be read across a room: what is wrong first, and never more tiles than can be read.
import { IconArrowNarrowRight } from '@tabler/icons-react'
import type { WallMachine } from '@understudy/contract/wall'
import { memo } from 'react'
import { useMeasurement } from '../../api/live.ts'
import { formatCount, formatDuration } from '../../lib/format.ts'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { fillOf, inkOf } from '../../ui/tone.ts'
import classes from './MachineTiles.module.css'
import { lagCounts } from './replication-words.ts'
import { toneOfHealth, toneOfState, wordsOfState } from './state-words.ts'
import { tileGrid } from './tile-grid.ts'

type MachineTilesProps = {
  /** What is wrong first. Bounded by whoever loads them. */
  readonly protections: readonly WallMachine[]
  /** Of all, also of those that are not loaded. */
  readonly total: number
}

/** Parts of a second come and go too quickly to be read. */
const lagWords = (seconds: number | null): string => {
  if (seconds === null) return 'no point yet'
  return seconds < 1 ? 'under 1 s' : formatDuration(Math.round(seconds))
}

export function MachineTiles({ protections, total }: MachineTilesProps) {
  const { columns, shown } = tileGrid(protections.length)
  const left = total - Math.min(shown, protections.length)
  return (
    <div className={classes.frame}>
      <ul
        className={classes.tiles}
        style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}
        data-columns={columns}
      >
        {protections.slice(0, shown).map((protection) => (
          <Tile key={protection.id} protection={protection} />
        ))}
      </ul>
      {left > 0 && (
        <p className={classes.rest}>
          and {formatCount(left)} more {left === 1 ? 'machine' : 'machines'}; the worst are shown
        </p>
      )}
    </div>
  )
}

const Tile = memo(function Tile({ protection }: { readonly protection: WallMachine }) {
  const measured = useMeasurement(protection.id)
  const { name, health, state, source, target, activeSiteId, lagTargetSeconds } = protection
  const lag = measured?.lagSeconds ?? protection.lagSeconds
  const tone = health === 'good' ? toneOfState[state] : toneOfHealth[health]
  const site = (end: WallMachine['source']) => (
    <span data-active={end.id === activeSiteId || undefined}>{end.name}</span>
  )
  return (
    <li className={classes.tile} style={{ borderColor: fillOf(tone), borderLeftColor: fillOf(tone) }}>
      <div className={classes.line}>
        <span className={classes.name}>{name}</span>
        <span
          className={classes.lag}
          style={{ color: lag === null || lag > lagTargetSeconds ? inkOf('at-risk') : 'var(--ink)' }}
        >
          {lagCounts[state] && (
            <>
              {lagWords(lag)}
              <small> of {formatDuration(lagTargetSeconds)}</small>
            </>
          )}
        </span>
      </div>
      <div className={classes.line}>
        <StatusMark tone={tone}>{wordsOfState[state]}</StatusMark>
        <span className={classes.flow}>
          {site(source)}
          <IconArrowNarrowRight aria-label="replicates to" />
          {site(target)}
        </span>
      </div>
    </li>
  )
})
