import type { Site } from '@understudy/contract/site'
import { formatCount } from '../../lib/format.ts'
import { Stat } from '../../ui/Stat.tsx'
import { When } from '../../ui/When.tsx'

/** Whether the account asks for fewer requests: the reason why cycles take longer than their interval. */
export function SlowedDown({ slowedDown }: { readonly slowedDown: NonNullable<Site['slowedDown']> }) {
  const { timesLastHour, lastAt } = slowedDown
  const isSlow = timesLastHour > 0
  return (
    <Stat
      label="Slowed down by the account"
      value={isSlow ? `${formatCount(timesLastHour)} times` : 'no'}
      ink={isSlow ? 'var(--at-risk)' : 'var(--ink)'}
      note={
        isSlow ? (
          <>
            in the last hour, last <When at={lastAt} />; intervals grow to what it carries
          </>
        ) : (
          'in the last hour'
        )
      }
    />
  )
}
