import { Tooltip } from '@mantine/core'
import { formatRelative, formatWithZone } from '../lib/format.ts'
import { useNow } from './use-now.ts'

type WhenProps = {
  readonly at: string | null
  readonly absent?: string
  /** In long tables: the exact time as a plain title, which costs nothing. */
  readonly plain?: boolean
}

/** A moment: relative for a glance, exact with its zone on hover or focus. */
export function When({ at, absent = '–', plain = false }: WhenProps) {
  const now = useNow(at !== null && Math.abs(Date.now() - Date.parse(at)) < 120_000 ? 1000 : 15_000)
  if (at === null) return <span>{absent}</span>
  const time = (
    <time
      dateTime={at}
      className="number"
      style={{ whiteSpace: 'nowrap' }}
      {...(plain ? { title: formatWithZone(at) } : {})}
    >
      {formatRelative(at, now)}
    </time>
  )
  return plain ? time : <Tooltip label={formatWithZone(at)}>{time}</Tooltip>
}
