import { Text } from '@mantine/core'
import { formatDuration } from '../../lib/format.ts'
import { fillOf, inkOf } from '../../ui/tone.ts'
import type { Rto } from './plan-verdict.ts'
import classes from './RtoMeter.module.css'

/** The predicted time with a bar that is full at the target. */
export function RtoMeter({ rto }: { readonly rto: Rto }) {
  const { predictedSeconds, targetSeconds, share, tone } = rto
  if (predictedSeconds === null)
    return (
      <Text size="sm" c="var(--ink-quiet)" span>
        not known
      </Text>
    )
  const words = `about ${formatDuration(predictedSeconds)}`
  const target = targetSeconds === null ? 'no target' : `of ${formatDuration(targetSeconds)}`
  return (
    <span className={classes.meter}>
      <span className={classes.words} style={{ color: tone === 'bad' ? inkOf('bad') : 'var(--ink)' }}>
        {words} <span className={classes.quiet}>{target}</span>
      </span>
      {share !== null && (
        <span className={classes.track} aria-hidden>
          <span style={{ width: `${Math.min(100, share * 100)}%`, background: fillOf(tone) }} />
        </span>
      )}
    </span>
  )
}
