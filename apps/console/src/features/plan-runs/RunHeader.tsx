import { Group, Progress, SimpleGrid, Stack, Text } from '@mantine/core'
import type { PlanRun } from '@understudy/contract/recovery-plan'
import { clockText } from '../../lib/clock.ts'
import { formatDuration, formatTick, formatWithZone, readable } from '../../lib/format.ts'
import { Panel } from '../../ui/Panel.tsx'
import { Stat } from '../../ui/Stat.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useNow } from '../../ui/use-now.ts'
import { elapsedSeconds, outlookOf, progressWords } from './run-clock.ts'
import { isActive, nameOfEnd } from './run-words.ts'

type RunHeaderProps = {
  readonly run: PlanRun
  /** Which way it moves: `Harbour → Hillside`. */
  readonly flow: string
}

/** The clock since the start, how far it is, when it is expected to end, and what the target says to that. */
export function RunHeader({ run, flow }: RunHeaderProps) {
  const now = useNow(1000)
  const { totalSeconds, spreadSeconds, endsAt, verdict } = outlookOf(run, now)
  const live = isActive(run)
  return (
    <Panel style={live ? { borderColor: 'var(--accent)' } : {}}>
      <Group align="flex-start" gap="xl" wrap="wrap">
        <Stack gap={6} miw={190}>
          <Text className="number" fz={46} lh={1} fw={650} role="timer" aria-label="Time since the start">
            {clockText(elapsedSeconds(run, now))}
          </Text>
          <Progress.Root size="md">
            <Progress.Section
              value={run.totalItems === 0 ? 100 : (run.doneItems / run.totalItems) * 100}
              aria-label="Items done"
              animated={run.state === 'running'}
            />
          </Progress.Root>
          <Text size="xs" c="var(--ink-quiet)" className="number">
            Done: {progressWords(run)}
          </Text>
        </Stack>
        <SimpleGrid
          cols={{ base: 1, xs: 2, lg: run.followsUp === null ? 4 : 3 }}
          spacing="lg"
          flex={1}
          miw={260}
        >
          <Stat
            label={nameOfEnd(run)}
            value={
              endsAt !== null
                ? formatTick(endsAt, 1)
                : run.endedAt !== null
                  ? formatTick(Date.parse(run.endedAt), 1)
                  : '–'
            }
            note={
              live
                ? totalSeconds === null
                  ? 'not known'
                  : `after ${formatDuration(totalSeconds)}${spreadSeconds ? `, give or take ${formatDuration(spreadSeconds)}` : ''}`
                : run.endedAt && formatWithZone(run.endedAt)
            }
          />
          {run.followsUp === null && (
            <Stat
              label="Target (RTO)"
              value={run.targetRtoSeconds === null ? 'none' : formatDuration(run.targetRtoSeconds)}
              note={
                verdict ? (
                  <StatusMark tone={verdict.tone}>{verdict.words}</StatusMark>
                ) : run.targetRtoSeconds === null ? (
                  'set one in the plan'
                ) : (
                  ''
                )
              }
            />
          )}
          <Stat
            label="Point of all machines"
            value={
              <Text fz={15} fw={600}>
                {wordsOfPoint(run.point)}
              </Text>
            }
            note={flow}
          />
          {run.timer && <DecideWithin timer={run.timer} now={now} />}
          <Stat
            label="Waiting for people"
            value={run.waitingForPeople}
            ink={run.waitingForPeople > 0 ? 'var(--at-risk)' : 'var(--ink)'}
            note={run.waitingForPeople > 0 ? 'see above' : 'nobody is asked anything'}
          />
        </SimpleGrid>
      </Group>
      {run.note && (
        <Text size="sm" mt="sm" fw={500}>
          {readable(run.note)}
        </Text>
      )}
    </Panel>
  )
}

const wordsOfTimer: Record<NonNullable<PlanRun['timer']>['action'], string> = {
  commit: 'then all its machines are committed',
  'roll-back': 'then all its machines are rolled back',
  undecided: 'then nothing is done: the policies of its machines differ',
}

type DecideWithinProps = { readonly timer: NonNullable<PlanRun['timer']>; readonly now: number }

/** One time for all machines of the plan. */
function DecideWithin({ timer, now }: DecideWithinProps) {
  const left = (Date.parse(timer.deadline) - now) / 1000
  return (
    <Stat
      label="Decide within"
      value={left <= 0 ? 'time is up' : formatDuration(left)}
      ink={left < 600 ? 'var(--at-risk)' : 'var(--ink)'}
      note={`${wordsOfTimer[timer.action]}; ${formatWithZone(timer.deadline)}`}
    />
  )
}

export function wordsOfPoint(point: PlanRun['point']): string {
  switch (point.kind) {
    case 'latest':
      return 'Latest'
    case 'latest-application-consistent':
      return 'Latest application-consistent'
    case 'latest-processed':
      return `What all had reached: ${formatWithZone(point.instant)}`
    case 'at':
      return formatWithZone(point.instant)
  }
}
