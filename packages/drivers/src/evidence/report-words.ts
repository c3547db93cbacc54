// How a report says things, on paper and on a screen alike.
import type { Instant } from '@understudy/base/instant'
import { wallSecondsOf } from '@understudy/domain/calendar/wall-time'
import {
  type EvidenceItem,
  type EvidenceReport,
  hasMetTarget,
} from '@understudy/domain/recovery-plans/evidence'

export type Row = readonly [name: string, value: string]

/** Always in UTC, and in the zone of the plan where that is another one. */
export function timeText(instant: Instant | null, timeZone: string): string {
  if (instant === null) return '–'
  const utc = `${new Date(instant).toISOString().slice(0, 19).replace('T', ' ')} UTC`
  return timeZone === 'UTC' ? utc : `${utc} (${wallSecondsOf(instant, timeZone)} ${timeZone})`
}

/** Of the day: the date stands at the top. */
export const clockText = (instant: Instant | null): string =>
  instant === null ? '–' : new Date(instant).toISOString().slice(11, 19)

export function secondsText(seconds: number | null): string {
  if (seconds === null) return '–'
  if (seconds < 10) return `${Math.round(seconds * 10) / 10} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60]
  const parts = [
    ...(hours > 0 ? [`${hours} h`] : []),
    ...(minutes > 0 ? [`${minutes} min`] : []),
    ...(rest > 0 && hours === 0 ? [`${rest} s`] : []),
  ]
  return parts.join(' ')
}

export const tookText = ({ startedAt, endedAt }: Pick<EvidenceItem, 'startedAt' | 'endedAt'>): string =>
  startedAt === null || endedAt === null ? '–' : secondsText((endedAt - startedAt) / 1000)

export function targetText(report: EvidenceReport): string {
  const met = hasMetTarget(report)
  const took = secondsText(report.tookSeconds)
  if (report.targetSeconds === null) return `${took}; the plan has no target`
  const target = `target ${secondsText(report.targetSeconds)}`
  return met === null ? target : `${took}; ${target}: ${met ? 'met' : 'missed'}`
}

/** What the report is about, in the order in which one asks. */
export function summaryOf(report: EvidenceReport): readonly Row[] {
  const { timeZone } = report
  const time = (instant: Instant | null): string => timeText(instant, timeZone)
  return [
    ['Plan', `${report.planName}, version ${report.version}${editsText(report.edits)}`],
    ...(report.savedBy === null
      ? []
      : [['Version saved', `${time(report.savedAt)} by ${report.savedBy}`] as const]),
    ['Kind', `${report.kind}, ${report.direction}`],
    ['Started by', report.startedBy],
    ...(report.dueAt === null ? [] : [['Due by its schedule', time(report.dueAt)] as const]),
    ['Started', time(report.startedAt)],
    ['Ended', time(report.endedAt)],
    ['Duration (RTO)', targetText(report)],
    ['Points', report.point],
    ['Critical path', report.criticalPath.length === 0 ? '–' : report.criticalPath.join(' → ')],
    ['Run', report.runId],
    ['Report made', `${time(report.madeAt)}, edition ${report.edition}`],
  ]
}

const editsText = (edits: number): string => (edits === 0 ? '' : `, edited ${edits} times during the run`)

/** Everything about one machine or step that has a name of its own. */
export function factsOf(item: EvidenceItem, timeZone: string): readonly Row[] {
  const { boot, answer, failure } = item
  return [
    ['Group', item.group],
    ['Started', timeText(item.startedAt, timeZone)],
    ['Ended', timeText(item.endedAt, timeZone)],
    ['Took', tookText(item)],
    ['Attempts', String(item.attempts)],
    ...(item.note === null ? [] : [['Note', item.note] as const]),
    ...(item.steeredBy === null ? [] : [['Steered by', item.steeredBy] as const]),
    ...(answer === null
      ? []
      : [['Answer', `${answerText(answer)}, ${timeText(answer.at, timeZone)}`] as const]),
    ...(boot === null
      ? []
      : ([
          [
            'Recovery point',
            `${timeText(boot.pointInstant, timeZone)}, ${secondsText(boot.pointAgeSeconds)} old`,
          ],
          ['Addresses', boot.addresses.join(', ') || '–'],
          ['Guest answered', timeText(boot.answeredAt, timeZone)],
          ['Recovery time', secondsText(boot.recoverySeconds)],
        ] as const)),
    ...(failure === null
      ? []
      : ([
          ['Failure', `${failure.message} (${failure.code})`],
          ['Remedy', failure.remedy],
        ] as const)),
  ]
}

export const answerText = ({ value, by, comment }: NonNullable<EvidenceItem['answer']>): string =>
  `"${value}" by ${by}${comment === '' ? '' : `: ${comment}`}`

/** `Boot in the isolated network: succeeded, 3 s. web-test runs ...`. */
export const taskText = (task: EvidenceItem['tasks'][number]): string =>
  `${task.name}: ${task.state}, ${tookText(task)}${task.note === null ? '' : `. ${task.note}`}`

/** What was not done, and why. */
export const notDone = ({ items }: EvidenceReport): readonly Row[] =>
  items
    .filter(({ state }) => state !== 'succeeded' && state !== 'failed')
    .map(({ name, state, note }) => [
      name,
      state === 'left out'
        ? 'not for this kind of run or direction'
        : `${state}${note === null ? '' : `: ${note}`}`,
    ])
