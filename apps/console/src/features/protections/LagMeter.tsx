import type { Protection } from '@understudy/contract/protection'
import { useMeasurement } from '../../api/live.ts'
import { formatDuration } from '../../lib/format.ts'
import { fillOf, inkOf, type Tone } from '../../ui/tone.ts'
import { useNow } from '../../ui/use-now.ts'
import { When } from '../../ui/When.tsx'
import { lagCounts } from './replication-words.ts'
import classes from './row-parts.module.css'

type LagFacts = Pick<Protection, 'id' | 'newestPoint' | 'lagTargetSeconds' | 'state'>

/** Milliseconds of the newest recovery point as the last answer or measurement has it. Null before the first point. */
export function useNewestInstant(protection: Pick<LagFacts, 'id' | 'newestPoint'>): number | null {
  const measured = useMeasurement(protection.id)
  const instants: number[] = []
  if (protection.newestPoint) instants.push(Date.parse(protection.newestPoint.instant))
  if (measured?.lagSeconds != null) instants.push(measured.at - measured.lagSeconds * 1000)
  return instants.length === 0 ? null : Math.max(...instants)
}

/** Seconds since the newest recovery point, counted here between two answers of the server. Null before the first point. */
export function useLagSeconds(protection: LagFacts): number | null {
  const now = useNow(1000)
  const newest = useNewestInstant(protection)
  return newest === null ? null : Math.max(0, (now - newest) / 1000)
}

/** When the newest point was taken, live. */
export function NewestPoint({
  protection,
  plain = false,
}: {
  readonly protection: Pick<LagFacts, 'id' | 'newestPoint'>
  readonly plain?: boolean
}) {
  const newest = useNewestInstant(protection)
  return <When at={newest === null ? null : new Date(newest).toISOString()} absent="none yet" plain={plain} />
}

/** Lag against its target: a number, and a bar that is full at the target. */
export function LagMeter({ protection }: { readonly protection: LagFacts }) {
  const lag = useLagSeconds(protection)
  if (!lagCounts[protection.state]) return <span className={classes.quiet}>not replicating</span>
  if (lag === null) return <span className={classes.quiet}>no point yet</span>
  const share = lag / Math.max(1, protection.lagTargetSeconds)
  const tone: Tone =
    protection.state === 'paused' ? 'off' : share <= 1 ? 'good' : share <= 3 ? 'at-risk' : 'bad'
  return (
    <span className={classes.lag}>
      <span className={classes.seconds} style={{ color: tone === 'good' ? 'var(--ink)' : inkOf(tone) }}>
        {formatDuration(lag)}
      </span>
      <span
        role="img"
        className={classes.meter}
        aria-label={`Lag ${formatDuration(lag)} of at most ${formatDuration(protection.lagTargetSeconds)}`}
      >
        <span style={{ width: `${Math.min(100, share * 100)}%`, background: fillOf(tone) }} />
      </span>
    </span>
  )
}
