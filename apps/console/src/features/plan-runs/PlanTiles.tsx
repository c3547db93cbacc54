// Plans as tiles, to be read across a room: would each of them bring its application back, and how soon.
import { inPriority } from '@understudy/contract/plan-editing'
import type { WallPlan } from '@understudy/contract/wall'
import { formatDuration, formatRelative } from '../../lib/format.ts'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { fillOf, inkOf } from '../../ui/tone.ts'
import classes from './PlanTiles.module.css'
import { planVerdict } from './plan-verdict.ts'
import { toneOfRun, wordsOfRun, wordsOfRunKind } from './run-words.ts'

const mostTiles = 12

export function PlanTiles({ plans, now }: { readonly plans: readonly WallPlan[]; readonly now: number }) {
  const ordered = inPriority(plans)
  const shown = ordered.slice(0, mostTiles)
  const columns = columnsOf(shown.length)
  if (shown.length === 0) return <p className={classes.rest}>There is no recovery plan yet.</p>
  return (
    <div className={classes.frame}>
      <ul
        className={classes.tiles}
        style={{ gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` }}
        data-columns={columns}
      >
        {shown.map((plan) => (
          <Tile key={plan.id} plan={plan} now={now} />
        ))}
      </ul>
      {ordered.length > mostTiles && (
        <p className={classes.rest}>and {ordered.length - mostTiles} plans of lower priority</p>
      )}
    </div>
  )
}

/** As large as they can be: few of them are rows across the whole screen. */
const columnsOf = (count: number): number => (count <= 3 ? 1 : count <= 8 ? 2 : 3)

function Tile({ plan, now }: { readonly plan: WallPlan; readonly now: number }) {
  const { name, predictedSeconds, targetRtoSeconds, worstLagSeconds, lastTest, activeRun } = plan
  const verdict = planVerdict(plan)
  const isLate = predictedSeconds !== null && targetRtoSeconds !== null && predictedSeconds > targetRtoSeconds
  return (
    <li className={classes.tile} style={{ borderLeftColor: fillOf(verdict.tone) }}>
      <div className={classes.words}>
        <h2 className={classes.name}>{name}</h2>
        <StatusMark tone={verdict.tone}>{verdict.words}</StatusMark>
        {activeRun && (
          <StatusMark tone={activeRun.waitingForPeople > 0 ? 'at-risk' : toneOfRun[activeRun.state]}>
            {wordsOfRunKind[activeRun.kind]}{' '}
            {activeRun.waitingForPeople > 0 ? 'waits for people' : wordsOfRun[activeRun.state].toLowerCase()},{' '}
            {activeRun.doneItems} of {activeRun.totalItems}
          </StatusMark>
        )}
      </div>
      <dl className={classes.figures}>
        <div>
          <dt>Back after</dt>
          <dd style={{ color: isLate ? inkOf('at-risk') : 'var(--ink)' }}>
            {predictedSeconds === null ? '–' : formatDuration(Math.round(predictedSeconds))}
          </dd>
          <dd className={classes.note}>
            {targetRtoSeconds === null ? 'no target' : `target ${formatDuration(targetRtoSeconds)}`}
          </dd>
        </div>
        <div>
          <dt>Would lose</dt>
          <dd>{worstLagSeconds === null ? '–' : formatDuration(Math.round(worstLagSeconds))}</dd>
          <dd className={classes.note}>
            {plan.machineCount} {plan.machineCount === 1 ? 'machine' : 'machines'}
          </dd>
        </div>
        <div>
          <dt>Last test</dt>
          <dd style={{ color: lastTest?.passed ? inkOf('good') : inkOf(lastTest ? 'bad' : 'at-risk') }}>
            {lastTest === null ? 'never' : lastTest.passed ? 'passed' : 'failed'}
          </dd>
          <dd className={classes.note}>{lastTest ? formatRelative(lastTest.at, now) : 'not proven'}</dd>
        </div>
      </dl>
    </li>
  )
}
