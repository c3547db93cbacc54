import type { WallOverview } from '@understudy/contract/wall'
import { formatCount, formatDuration } from '../../lib/format.ts'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { inkOf, type Tone } from '../../ui/tone.ts'
import { SiteMap } from './SiteMap.tsx'
import classes from './WallSites.module.css'

const shownAlerts = 5

/** A room reads what kind of trouble it is; whoever is signed in reads the rest. */
const wordsOfCode = (code: string): string => code.slice(code.indexOf('/') + 1).replaceAll('-', ' ')

type WallSitesProps = {
  readonly overview: WallOverview
  /** Questions that people have to answer. */
  readonly waiting: number
}

/** Sites, the replication between them, the numbers that matter, and what is wrong. */
export function WallSites({ overview, waiting }: WallSitesProps) {
  const { byHealth, protections } = overview.counts
  const late = overview.worstLag.find(
    ({ lagSeconds, lagTargetSeconds }) => lagSeconds !== null && lagSeconds > lagTargetSeconds,
  )
  return (
    <div className={classes.frame}>
      <div className={classes.map}>
        <SiteMap overview={overview} fill />
      </div>
      <dl className={classes.numbers}>
        <Count
          label="on time"
          value={byHealth.good ?? 0}
          tone="good"
          note={`of ${formatCount(protections)}`}
        />
        <Count
          label="at risk"
          value={byHealth['at-risk'] ?? 0}
          tone="at-risk"
          note={late ? `${late.name} is ${formatDuration(Math.round(late.lagSeconds ?? 0))} behind` : ''}
        />
        <Count label="broken" value={byHealth.bad ?? 0} tone="bad" note="" />
        <Count label="waiting" value={waiting} tone="at-risk" note="for people" />
      </dl>
      <ul className={classes.alerts} aria-label="Alerts">
        {overview.alerts.slice(0, shownAlerts).map(({ id, severity, code, subjectName }) => (
          <li key={id}>
            <StatusMark tone={severity === 'critical' ? 'bad' : 'at-risk'}>
              {subjectName ? `${subjectName}: ` : ''}
              {wordsOfCode(code)}
            </StatusMark>
          </li>
        ))}
        {overview.alerts.length > shownAlerts && (
          <li className={classes.quiet}>and {overview.alerts.length - shownAlerts} more alerts</li>
        )}
        {overview.alerts.length === 0 && (
          <li>
            <StatusMark tone="good">No open alerts</StatusMark>
          </li>
        )}
      </ul>
    </div>
  )
}

type CountProps = {
  readonly label: string
  readonly value: number
  readonly tone: Tone
  readonly note: string
}

/** Colour only where there is something to say. */
const Count = ({ label, value, tone, note }: CountProps) => (
  <div className={classes.number}>
    <dt>{label}</dt>
    <dd style={{ color: value > 0 ? inkOf(tone) : 'var(--ink-quiet)' }}>{formatCount(value)}</dd>
    <dd className={classes.note}>{note}</dd>
  </div>
)
