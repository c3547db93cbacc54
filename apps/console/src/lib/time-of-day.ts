/** `03:30`, `3:30` or `0330` as minutes since midnight; null: that is no time. */
export function minuteOf(text: string): number | null {
  const [, hours, minutes] = /^([01]?\d|2[0-3]):?([0-5]\d)$/.exec(text.trim()) ?? []
  return hours === undefined || minutes === undefined ? null : Number(hours) * 60 + Number(minutes)
}

/** The same for when something ends: 00:00 is the end of the day as well, as 24:00 is. */
export function endMinuteOf(text: string): number | null {
  if (/^24:?00$/.test(text.trim())) return 1440
  const minute = minuteOf(text)
  return minute === 0 ? 1440 : minute
}

/** IANA, of whoever reads: nobody counts in UTC at home. */
export const localTimeZone = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone
