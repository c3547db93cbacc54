// Numbers and times as people read them.
/** `4.2 s`, `3 min 5 s`, `2 h 4 min`, `3 d 2 h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 0.95) return `${Math.round(seconds * 1000)} ms`
  if (seconds < 9.95) return `${Number(seconds.toFixed(1))} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const parts: readonly (readonly [number, string])[] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ]
  const first = parts.findIndex(([size]) => whole >= size)
  const shown = parts.slice(first, first + 2)
  let rest = whole
  const words: string[] = []
  for (const [size, unit] of shown) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) words.push(`${count} ${unit}`)
  }
  return words.join(' ')
}

// Of the reader's own language, but always 0 to 23 hours: at three in the morning AM and PM are mixed up.
const hours = { hourCycle: 'h23' } as const
const dateTime = new Intl.DateTimeFormat(undefined, { ...hours, dateStyle: 'medium', timeStyle: 'medium' })
const withZone = new Intl.DateTimeFormat(undefined, {
  ...hours,
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'short',
})

/** Without its zone: for columns whose head names it. */
export const formatDateTime = (iso: string): string => dateTime.format(new Date(iso))
export const formatWithZone = (iso: string): string => withZone.format(new Date(iso))

/** The reader's zone as those times have it: `UTC`, `GMT+1`. */
export const zoneName = (): string =>
  withZone.formatToParts().find(({ type }) => type === 'timeZoneName')?.value ?? ''

/** What the server wrote, with its moments as people here read them. */
export const withLocalTimes = (text: string): string =>
  text.replace(/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z\b/g, (iso) => formatWithZone(iso))

/** A sentence of the server as people here read it: moments in their own time, and no spans of `975 s`. */
export const readable = (text: string): string =>
  withLocalTimes(text).replace(/(?<![\d.,])(\d{2,9}) s\b/g, (_, seconds: string) =>
    formatDuration(Number(seconds)),
  )

/** `just now`, `12 s ago`, `in 5 min`. */
export function formatRelative(iso: string, now: number): string {
  const seconds = (now - Date.parse(iso)) / 1000
  if (Math.abs(seconds) < 2) return 'just now'
  const text = formatDuration(Math.max(1, Math.round(Math.abs(seconds))))
    .split(' ')
    .slice(0, 2)
    .join(' ')
  return seconds > 0 ? `${text} ago` : `in ${text}`
}

const clock = new Intl.DateTimeFormat(undefined, { ...hours, hour: '2-digit', minute: '2-digit' })
const secondsClock = new Intl.DateTimeFormat(undefined, {
  ...hours,
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
})
const day = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' })

/** A tick of an axis: the time of day, with its second where ticks are closer than a minute, and at midnight the day. */
export function formatTick(milliseconds: number, stepSeconds: number): string {
  const date = new Date(milliseconds)
  if (stepSeconds >= 86_400 || (date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0))
    return day.format(date)
  return (stepSeconds < 60 ? secondsClock : clock).format(date)
}

const counts = new Intl.NumberFormat()
export const formatCount = (count: number): string => counts.format(count)
