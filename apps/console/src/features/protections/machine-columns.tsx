import { formatBytes } from '@understudy/base/bytes'
import type { Machine } from '@understudy/contract/machine'
import type { Protection } from '@understudy/contract/protection'
import { type ReactNode, useMemo } from 'react'
import { useMeasurement, useRecentLag } from '../../api/live.ts'
import type { Column } from '../../lib/csv.ts'
import { formatCount, formatDuration } from '../../lib/format.ts'
import { toneOfReadiness, wordsOfReadiness } from '../../ui/ReadinessMark.tsx'
import { Spark } from '../../ui/Spark.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { inkOf } from '../../ui/tone.ts'
import { When } from '../../ui/When.tsx'
import { LagMeter, NewestPoint } from './LagMeter.tsx'
import { lagOf, type MachineRow, type SortKey } from './machine-rows.ts'
import { titleOf } from './PaceNote.tsx'
import { ProtectionStatus } from './ProtectionStatus.tsx'
import { knownPower, toneOfPower, wordsOfPower } from './power-words.ts'
import { lagCounts } from './replication-words.ts'
import classes from './row-parts.module.css'
import { SiteFlow } from './SiteFlow.tsx'
import { wordsOfState } from './state-words.ts'

export type MachineColumn = {
  readonly key: string
  readonly label: string
  /** At least so many pixels; a column that grows takes what is left over. */
  readonly width: number
  readonly grows?: boolean
  readonly sort?: SortKey
  readonly right?: boolean
  /** Shown before anybody has chosen columns. */
  readonly standard: boolean
  readonly cell: (row: MachineRow) => ReactNode
}

const none = <span className={classes.quiet}>–</span>
const ofProtection =
  (cell: (protection: Protection) => ReactNode) =>
  ({ protection }: MachineRow): ReactNode =>
    protection ? cell(protection) : none

export const machineColumns: readonly MachineColumn[] = [
  {
    key: 'name',
    label: 'Name',
    width: 130,
    grows: true,
    sort: 'name',
    standard: true,
    cell: (row) => <NameCell row={row} />,
  },
  {
    key: 'state',
    label: 'State',
    width: 196,
    grows: true,
    sort: 'health',
    standard: true,
    cell: ({ machine, protection }) =>
      protection ? (
        <StateCell protection={protection} />
      ) : (
        <StatusMark tone="off">{machine?.runId ? 'Replica of ours' : 'Not protected'}</StatusMark>
      ),
  },
  {
    key: 'direction',
    label: 'Direction',
    width: 180,
    grows: true,
    standard: true,
    cell: ({ machine, protection }) =>
      protection ? (
        <SiteFlow protection={protection} />
      ) : (
        <span className={classes.quiet}>{machine?.siteName} only</span>
      ),
  },
  {
    key: 'lag',
    label: 'Lag and target',
    width: 232,
    sort: 'lag',
    standard: true,
    cell: ofProtection((protection) => <LagCell protection={protection} />),
  },
  {
    key: 'newestPoint',
    label: 'Newest point',
    width: 120,
    sort: 'newestPoint',
    standard: false,
    cell: ofProtection((protection) => <NewestPoint protection={protection} plain />),
  },
  {
    key: 'newestApplicationPoint',
    label: 'Newest app point',
    width: 140,
    standard: false,
    cell: ofProtection((protection) => (
      <When at={protection.newestApplicationPoint?.instant ?? null} plain />
    )),
  },
  {
    key: 'lastTest',
    label: 'Last test',
    width: 122,
    sort: 'lastTest',
    standard: true,
    cell: ofProtection((protection) => <TestCell protection={protection} />),
  },
  {
    key: 'readiness',
    label: 'Readiness',
    width: 118,
    standard: false,
    cell: ofProtection(({ readiness }) => (
      <span title={readiness.reasons.map(({ message }) => message).join('\n')}>
        <StatusMark tone={toneOfReadiness[readiness.level]}>
          {wordsOfReadiness[readiness.level]} {readiness.score}
        </StatusMark>
      </span>
    )),
  },
  {
    key: 'policy',
    label: 'Policy',
    width: 116,
    grows: true,
    sort: 'policy',
    standard: true,
    cell: ofProtection((protection) => <PolicyCell protection={protection} />),
  },
  {
    key: 'group',
    label: 'Group',
    width: 116,
    grows: true,
    sort: 'group',
    standard: false,
    cell: ofProtection(({ group }) => (group ? <span title={group.name}>{group.name}</span> : none)),
  },
  {
    key: 'power',
    label: 'Power',
    width: 110,
    sort: 'power',
    standard: false,
    cell: ({ machine }) =>
      machine ? <PowerMark machine={machine} /> : <StatusMark tone="off">Not found</StatusMark>,
  },
  {
    key: 'site',
    label: 'Site',
    width: 140,
    sort: 'site',
    standard: false,
    cell: ({ machine, protection }) => machine?.siteName ?? protection?.source.name ?? none,
  },
  {
    key: 'host',
    label: 'Host',
    width: 130,
    standard: false,
    cell: ({ machine }) => machine?.host ?? none,
  },
  {
    key: 'points',
    label: 'Points',
    width: 90,
    sort: 'points',
    right: true,
    standard: false,
    cell: ofProtection((protection) => formatCount(protection.pointCount)),
  },
  {
    key: 'stored',
    label: 'Stored',
    width: 100,
    sort: 'stored',
    right: true,
    standard: false,
    cell: ofProtection((protection) => formatBytes(protection.storedBytes)),
  },
  {
    key: 'churn',
    label: 'Last cycle',
    width: 110,
    right: true,
    standard: false,
    cell: ofProtection((protection) =>
      protection.lastCycle ? formatBytes(protection.lastCycle.changedBytes) : none,
    ),
  },
  {
    key: 'recovery',
    label: 'Back in',
    width: 110,
    right: true,
    standard: false,
    cell: ofProtection((protection) =>
      protection.lastRecoverySeconds === null ? none : formatDuration(protection.lastRecoverySeconds),
    ),
  },
]

function NameCell({ row }: { readonly row: MachineRow }) {
  const simulated = row.machine?.simulated ?? row.protection?.simulated ?? false
  return (
    <span className={classes.line}>
      {/* A plain link: the table follows it inside the console; a new tab works as with any link. */}
      <a
        className={classes.name}
        href={`/machines/${encodeURIComponent(row.id)}`}
        data-machine={row.id}
        tabIndex={-1}
        title={row.name}
      >
        {row.name}
      </a>
      {simulated && <span className={classes.tag}>simulated</span>}
    </span>
  )
}

/** With the group that it shares its instants with, and the interval where that is not the policy's: there is no room for columns. */
function PolicyCell({ protection: { policyName, group, pace } }: { readonly protection: Protection }) {
  return (
    <span className={classes.line}>
      <span className={classes.site} title={policyName}>
        {policyName}
      </span>
      {group && (
        <span className={classes.tag} title={`In the group ${group.name}`}>
          {group.name}
        </span>
      )}
      {pace && (
        <span
          className={classes.tag}
          style={pace.cause === 'source' ? undefined : { color: inkOf('at-risk') }}
          title={`${titleOf(pace)}: ${pace.why}`}
        >
          every {formatDuration(pace.carriedSeconds)}
        </span>
      )}
    </span>
  )
}

function PowerMark({ machine }: { readonly machine: Machine }) {
  const power = knownPower(machine, undefined)
  return <StatusMark tone={toneOfPower[power]}>{wordsOfPower[power]}</StatusMark>
}

/** State, and while data is copied in bulk how far it is and how long it still takes. */
function StateCell({ protection }: { readonly protection: Protection }) {
  const measured = useMeasurement(protection.id)
  const copies =
    protection.state === 'seeding' || protection.state === 'resyncing' || protection.state === 'reprotecting'
  const left =
    copies && measured && measured.bytesPerSecond > 0
      ? (measured.totalBytes - measured.doneBytes) / measured.bytesPerSecond
      : null
  return (
    <span className={classes.line} title={protection.stateNote ?? undefined}>
      <ProtectionStatus protection={protection} />
      {copies && measured && measured.totalBytes > 0 && (
        <span className={`${classes.quiet} ${classes.small}`}>
          {Math.floor((measured.doneBytes / measured.totalBytes) * 100)} %
          {left !== null && left > 1 && `, ${formatDuration(left)} left`}
        </span>
      )}
      {!copies && protection.stateNote && (
        <span className={`${classes.quiet} ${classes.small}`}>{protection.stateNote}</span>
      )}
    </span>
  )
}

function LagCell({ protection }: { readonly protection: Protection }) {
  const recent = useRecentLag(protection.id)
  const values = useMemo(() => recent.flatMap((each) => each.lagSeconds ?? []), [recent])
  if (!lagCounts[protection.state]) return <LagMeter protection={protection} />
  return (
    <span className={classes.line}>
      <LagMeter protection={protection} />
      <Spark values={values} target={protection.lagTargetSeconds} ink="var(--busy-fill)" width={32} />
      <span className={`${classes.quiet} ${classes.small}`}>
        of {formatDuration(protection.lagTargetSeconds)}
      </span>
    </span>
  )
}

function TestCell({ protection }: { readonly protection: Protection }) {
  if (protection.test) return <StatusMark tone="busy">Test is up</StatusMark>
  if (protection.lastTestAt === null) return <StatusMark tone="at-risk">Never</StatusMark>
  return (
    <StatusMark tone={protection.lastTestPassed === false ? 'bad' : 'good'}>
      <When at={protection.lastTestAt} plain />
    </StatusMark>
  )
}

/** The table as a file: every column, whatever is shown. */
export const csvColumns: readonly Column<MachineRow>[] = [
  { name: 'Name', of: ({ name }) => name },
  { name: 'Health', of: ({ protection }) => protection?.health ?? null },
  { name: 'State', of: ({ protection }) => (protection ? wordsOfState[protection.state] : 'Not protected') },
  {
    name: 'Source site',
    of: ({ machine, protection }) => protection?.source.name ?? machine?.siteName ?? null,
  },
  { name: 'Target site', of: ({ protection }) => protection?.target.name ?? null },
  { name: 'Runs at', of: ({ protection }) => (protection ? activeName(protection) : null) },
  { name: 'Lag, s', of: ({ protection }) => lagOf(protection) },
  { name: 'Lag target, s', of: ({ protection }) => protection?.lagTargetSeconds ?? null },
  { name: 'Interval wanted, s', of: ({ protection }) => protection?.intervalSeconds ?? null },
  {
    name: 'Interval carried, s',
    of: ({ protection }) =>
      protection ? (protection.pace?.carriedSeconds ?? protection.intervalSeconds) : null,
  },
  { name: 'Newest point', of: ({ protection }) => protection?.newestPoint?.instant ?? null },
  {
    name: 'Newest application-consistent point',
    of: ({ protection }) => protection?.newestApplicationPoint?.instant ?? null,
  },
  { name: 'Last test', of: ({ protection }) => protection?.lastTestAt ?? null },
  { name: 'Last test passed', of: ({ protection }) => protection?.lastTestPassed ?? null },
  { name: 'Recovery time, s', of: ({ protection }) => protection?.lastRecoverySeconds ?? null },
  { name: 'Readiness', of: ({ protection }) => protection?.readiness.level ?? null },
  { name: 'Readiness score', of: ({ protection }) => protection?.readiness.score ?? null },
  { name: 'Policy', of: ({ protection }) => protection?.policyName ?? null },
  { name: 'Group', of: ({ protection }) => protection?.group?.name ?? null },
  { name: 'Power', of: ({ machine }) => (machine ? knownPower(machine, undefined) : null) },
  { name: 'Host', of: ({ machine }) => machine?.host ?? null },
  { name: 'Points', of: ({ protection }) => protection?.pointCount ?? null },
  { name: 'Stored, bytes', of: ({ protection }) => protection?.storedBytes ?? null },
]

const activeName = ({ activeSiteId, source, target }: Protection): string =>
  activeSiteId === target.id ? target.name : source.name
