// The room during a failover: the clock, how far it is, who is waited for, what is being done and what comes next.

import { useElementSize } from '@mantine/hooks'
import type { WallActivity, WallRun, WallSiteFailover } from '@understudy/contract/wall'
import { type ReactNode, useMemo } from 'react'
import { clockText } from '../../lib/clock.ts'
import { formatDuration, formatRelative, formatTick } from '../../lib/format.ts'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { Gantt } from './Gantt.tsx'
import { heldUpBy } from './held-up.ts'
import classes from './Incident.module.css'
import { incidentLists, type WaitingLine } from './incident-lists.ts'
import { elapsedSeconds, outlookOf, progressWords } from './run-clock.ts'
import { isActive, nameOfEnd, statusOfActivity, statusOfRun } from './run-words.ts'
import { progressOf, statusOfSitePlan } from './site-down.ts'

type IncidentProps = {
  readonly run: WallRun
  readonly now: number
  /** Which way it moves: `Harbour → Hillside`. */
  readonly flow: string
  /** Other runs at the same time: named, so that nobody forgets them. */
  readonly others: readonly string[]
  /** The failover of a whole site that this run is part of, or that goes on beside it; null: none. */
  readonly site: WallSiteFailover | null
}

export function Incident({ run, now, flow, others, site }: IncidentProps) {
  const lists = useMemo(() => incidentLists(run, (itemId) => heldUpBy(run, itemId).length), [run])
  const { endsAt, spreadSeconds, verdict } = outlookOf(run, now)
  const live = isActive(run)
  // What a plan is expected to take says nothing while only people can make it go on.
  const isStuck = run.state === 'running' && lists.waiting.length > 0 && lists.running.length === 0
  const status = isStuck ? ({ tone: 'at-risk', words: 'Waiting for people' } as const) : statusOfRun(run)
  return (
    <div className={classes.frame} data-site={site !== null || undefined}>
      {site && <SiteStrip site={site} />}
      <section className={classes.head} aria-label="Clock">
        <div className={classes.clock} role="timer" aria-label="Time since the start">
          {clockText(elapsedSeconds(run, now))}
        </div>
        <div className={classes.state}>
          <StatusMark tone={status.tone}>{status.words}</StatusMark>
          <span className={classes.quiet}>{flow}</span>
        </div>
        <dl className={classes.figures}>
          <Figure name="Done" value={progressWords(run)} note="" />
          <Figure
            name={nameOfEnd(run)}
            value={isStuck ? 'open' : endOf(run, endsAt)}
            note={
              isStuck
                ? 'until somebody answers'
                : live && spreadSeconds
                  ? `give or take ${formatDuration(Math.round(spreadSeconds))}`
                  : ''
            }
          />
          <Figure
            name="Target"
            value={run.targetRtoSeconds === null ? 'none' : formatDuration(run.targetRtoSeconds)}
            note={verdict ? <StatusMark tone={verdict.tone}>{verdict.words}</StatusMark> : ''}
          />
        </dl>
      </section>
      <div className={classes.lists}>
        {lists.waiting.length > 0 && (
          <Waiting lines={lists.waiting} hidden={lists.hidden.waiting} now={now} />
        )}
        <List title="Failed" activities={lists.failed} hidden={lists.hidden.failed} now={now} />
        <List
          title="Now"
          activities={lists.running}
          hidden={lists.hidden.running}
          now={now}
          empty={live && lists.waiting.length > 0 ? 'Nothing moves before somebody answers' : null}
        />
        <List title="Next" activities={lists.next} hidden={0} now={now} />
        {others.length > 0 && <p className={classes.quiet}>Also running: {others.join('; ')}</p>}
      </div>
      <Chart run={run} now={now} />
    </div>
  )
}

const mostShown = 8

/** All plans of the site in one line: the room sees how far the whole of it is. */
function SiteStrip({ site }: { readonly site: WallSiteFailover }) {
  const { up, total } = progressOf(site.plans)
  const left = site.plans.length - mostShown
  return (
    <section className={classes.site} aria-label={`Failover of the site ${site.siteName}`}>
      <h2 className={classes.siteTitle}>
        {site.siteName}: {up} of {total} plans up
      </h2>
      <ul className={classes.sitePlans}>
        {site.plans.slice(0, mostShown).map(({ planId, planName, state, run }) => {
          const { tone, words } = statusOfSitePlan({ state, run })
          return (
            <li key={planId} className={classes.sitePlan}>
              <StatusMark tone={tone}>{planName}</StatusMark>
              <span className={classes.quiet}>
                {words === 'Running' && run ? `${run.doneItems} of ${run.totalItems}` : words}
              </span>
            </li>
          )
        })}
        {left > 0 && <li className={classes.quiet}>and {left} more</li>}
      </ul>
    </section>
  )
}

const endOf = (run: WallRun, endsAt: number | null): string => {
  if (run.endedAt !== null) return formatTick(Date.parse(run.endedAt), 1)
  return endsAt === null ? 'not known' : formatTick(endsAt, 60)
}

type FigureProps = { readonly name: string; readonly value: string; readonly note: ReactNode }

const Figure = ({ name, value, note }: FigureProps) => (
  <div>
    <dt>{name}</dt>
    <dd>{value}</dd>
    <dd className={classes.quiet}>{note}</dd>
  </div>
)

type WaitingProps = { readonly lines: readonly WaitingLine[]; readonly hidden: number; readonly now: number }

/** What waits for whom, and what that holds up. */
function Waiting({ lines, hidden, now }: WaitingProps) {
  return (
    <section className={classes.waiting} aria-label="Waiting for people">
      <h2>Waiting for people</h2>
      <ul>
        {lines.map(({ itemId, name, who, kind, since, holdsUp }) => (
          <li key={itemId}>
            <b>{name}</b>
            <p>{wordsOfAsking[kind]}</p>
            <span>
              for {wordsOfRole[who] ?? who}
              {since === null ? '' : `, since ${formatRelative(since, now).replace(' ago', '')}`}
              {holdsUp > 0 ? `; holds up ${holdsUp} ${holdsUp === 1 ? 'item' : 'items'}` : ''}
            </span>
          </li>
        ))}
      </ul>
      {hidden > 0 && <span>and {hidden} more</span>}
    </section>
  )
}

/** What of it can be read by anybody in the room. */
const wordsOfAsking: Record<WaitingLine['kind'], string> = {
  manual: 'has to be done by hand',
  approval: 'has to be approved',
  failed: 'has failed: tried again, or skipped?',
  job: 'asks how to go on',
}

const wordsOfRole: Readonly<Record<string, string>> = {
  operator: 'an operator',
  contributor: 'a contributor',
  owner: 'an owner',
}

type ListProps = {
  readonly title: string
  readonly activities: readonly WallActivity[]
  readonly hidden: number
  readonly now: number
  readonly empty?: string | null
}

function List({ title, activities, hidden, now, empty = null }: ListProps) {
  if (activities.length === 0 && empty === null) return null
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      {activities.length === 0 && <p className={classes.quiet}>{empty}</p>}
      <ul>
        {activities.map((activity) => (
          <li key={activity.itemId} className={classes.line}>
            <StatusMark tone={statusOfActivity(activity).tone}>{activity.name}</StatusMark>
            {activity.predicted?.critical && (
              <span role="img" aria-label="on the critical path">
                ◆
              </span>
            )}
            <span className={classes.detail}>
              {activity.attempt > 1 ? `attempt ${activity.attempt}` : ''}
            </span>
            {activity.state === 'running' && activity.startedAt && (
              <span>{clockText((now - Date.parse(activity.startedAt)) / 1000)}</span>
            )}
          </li>
        ))}
      </ul>
      {hidden > 0 && <p className={classes.quiet}>and {hidden} more</p>}
    </section>
  )
}

function Chart({ run, now }: { readonly run: WallRun; readonly now: number }) {
  const { ref, height } = useElementSize()
  const until = run.endedAt === null ? now : Date.parse(run.endedAt)
  const facts = useMemo(
    () => ({
      groups: run.plan.groups,
      activities: run.activities,
      startedAt: Date.parse(run.startedAt),
      until,
    }),
    [run, until],
  )
  return (
    <section ref={ref} className={classes.chart} aria-label="Timetable">
      {height > 0 && (
        <Gantt
          facts={facts}
          targetSeconds={run.followsUp === null ? run.targetRtoSeconds : null}
          live={isActive(run)}
          zoom={1}
          fitHeight={height * 0.94}
          wall
          opened={null}
        />
      )}
    </section>
  )
}
