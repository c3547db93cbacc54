import { Tooltip } from '@mantine/core'
import { formatRelative, formatWithZone } from '../lib/format.ts'
import { useNow } from './use-now.ts'

/** A moment: relative for a glance, exact with its zone on hover or focus. */
export function When({ at, absent = '–' }: { readonly at: string | null; readonly absent?: string }) {
  const now = useNow(at !== null && Math.abs(Date.now() - Date.parse(at)) < 120_000 ? 1000 : 15_000)
  if (at === null) return <span>{absent}</span>
  return (
    <Tooltip label={formatWithZone(at)}>
      <time dateTime={at} className="number" style={{ whiteSpace: 'nowrap' }}>
        {formatRelative(at, now)}
      </time>
    </Tooltip>
  )
}
