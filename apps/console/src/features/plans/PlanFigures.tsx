import { SimpleGrid } from '@mantine/core'
import { machinesOf, stepsOf } from '@understudy/contract/plan-editing'
import type { PlanDetail } from '@understudy/contract/recovery-plan'
import { formatCount, formatDuration } from '../../lib/format.ts'
import { Panel } from '../../ui/Panel.tsx'
import { ReadinessMark } from '../../ui/ReadinessMark.tsx'
import { Stat } from '../../ui/Stat.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { inkOf } from '../../ui/tone.ts'
import { When } from '../../ui/When.tsx'
import { ActiveRun } from './PlanTable.tsx'
import type { Plan } from './plan-draft.ts'
import { rtoOf, testOf, verdictOf } from './plan-verdict.ts'
import type { PlanChecked } from './use-plan-check.ts'

type PlanFiguresProps = {
  readonly detail: PlanDetail
  readonly plan: Plan
  readonly checked: PlanChecked
}

/** Of the plan as it is drawn now where that can be said, else as it is saved. */
export function PlanFigures({ detail, plan, checked }: PlanFiguresProps) {
  const { findings, timetable, settled } = checked
  const blockers = findings.filter(({ level }) => level === 'blocker').length
  const verdict = verdictOf({ blockers, warnings: findings.length - blockers })
  const rto = rtoOf({
    predictedSeconds: timetable && timetable.items.length > 0 ? timetable.totalSeconds : null,
    targetRtoSeconds: plan.targetRtoSeconds,
  })
  const [machines, steps] = [machinesOf(plan).length, stepsOf(plan).length]
  return (
    <Panel aria-label="In short">
      <SimpleGrid cols={{ base: 2, sm: 3, lg: 5 }} spacing="md">
        <Stat
          label="As it is drawn"
          value={<StatusMark tone={verdict.tone}>{verdict.words}</StatusMark>}
          note={settled ? `${counted(machines, 'machine')}, ${counted(steps, 'step')}` : 'being checked…'}
        />
        <Stat
          label="Up again within"
          value={rto.predictedSeconds === null ? '–' : formatDuration(rto.predictedSeconds)}
          ink={rto.tone === 'bad' || rto.tone === 'at-risk' ? inkOf(rto.tone) : 'var(--ink)'}
          note={wordsOfTarget(rto.targetSeconds, timetable)}
        />
        <Stat
          label="Would lose at most"
          value={detail.worstLagSeconds === null ? '–' : formatDuration(detail.worstLagSeconds)}
          note={wordsOfLag(detail)}
        />
        <Stat
          label="Readiness, as it is saved"
          value={<ReadinessMark readiness={detail.readiness} of={detail.name} />}
          note={<Tested detail={detail} />}
        />
        <Stat label="Now" value={<ActiveRun plan={detail} />} />
      </SimpleGrid>
    </Panel>
  )
}

const Tested = ({ detail }: { readonly detail: PlanDetail }) => (
  <>
    {detail.lastTest === null ? (
      'never tested'
    ) : (
      <>
        test {testOf(detail).words} <When at={detail.lastTest.at} />
      </>
    )}
    {detail.nextTestAt !== null && (
      <>
        {', next '}
        <When at={detail.nextTestAt} />
      </>
    )}
  </>
)

const wordsOfLag = ({ machineCount, worstLagSeconds }: PlanDetail): string => {
  if (machineCount === 0) return 'no machine is saved yet'
  return worstLagSeconds === null ? 'not every machine has a point' : 'the most of its machines, as saved'
}

function wordsOfTarget(targetSeconds: number | null, timetable: PlanChecked['timetable']): string {
  const target = targetSeconds === null ? 'no target' : `target ${formatDuration(targetSeconds)}`
  if (!timetable || timetable.items.length === 0) return target
  const known = `${timetable.measured} of ${timetable.items.length} measured`
  return timetable.spreadSeconds > 0.5
    ? `${target}, ± ${formatDuration(timetable.spreadSeconds)}, ${known}`
    : `${target}, ${known}`
}

const counted = (count: number, what: string): string =>
  `${formatCount(count)} ${count === 1 ? what : `${what}s`}`
