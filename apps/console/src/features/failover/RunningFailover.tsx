import { Box, Group, Progress, SimpleGrid, Stack, Text } from '@mantine/core'
import type { Protection, Run } from '@understudy/contract/protection'
import type { ReactNode } from 'react'
import { formatDuration, formatWithZone } from '../../lib/format.ts'
import { Panel } from '../../ui/Panel.tsx'
import { EmulatedBadge } from '../../ui/SimulatedBadge.tsx'
import { Stat } from '../../ui/Stat.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useNow } from '../../ui/use-now.ts'
import { When } from '../../ui/When.tsx'
import { Addresses } from './Addresses.tsx'
import { RunScreenshot } from './RunScreenshot.tsx'
import { statusOfRun, wordsOfRunKind } from './run-words.ts'

type RunningFailoverProps = {
  readonly protection: Protection
  readonly run: Run | null
  /** When somebody clicked: of the job while the run itself has not begun. */
  readonly clickedAt: string
  readonly title: string
  /** The job has asked something and waits for a person. */
  readonly waits: boolean
  /** What the policy does with a failover that nobody has decided on in time; null: not loaded yet. */
  readonly atDeadline: 'commit' | 'roll-back' | null
  /** Steps with their times. */
  readonly steps: ReactNode
  /** Commit, change point, roll back; or clean-up. */
  readonly actions: ReactNode
}

/** A failover or test that is up: the clock since the click, its steps, the screen, the address, and what to decide by when. */
export function RunningFailover(props: RunningFailoverProps) {
  const { protection, run, clickedAt, title, waits, atDeadline, steps, actions } = props
  const status = statusOfRun(run, protection.state, waits)
  const decides = protection.state === 'failedOver' && run !== null && run.kind !== 'test'
  return (
    <Panel
      title={title}
      actions={
        <Group gap="xs">
          {protection.target.emulated && <EmulatedBadge />}
          {status && <StatusMark tone={status.tone}>{status.words}</StatusMark>}
        </Group>
      }
      style={{ borderColor: 'var(--accent)' }}
    >
      <Stack gap="md">
        <Group align="flex-start" gap="xl" wrap="wrap">
          <Clock clickedAt={clickedAt} run={run} />
          <SimpleGrid cols={{ base: 1, xs: 2, lg: decides ? 4 : 3 }} spacing="lg" flex={1} miw={260}>
            <Stat
              label="From the recovery point of"
              value={
                run ? (
                  <Text fz={15} fw={600}>
                    {formatWithZone(run.pointInstant)}
                  </Text>
                ) : (
                  '–'
                )
              }
              note={run ? wordsOfRunKind(run, protection) : 'being chosen'}
            />
            <Stat
              label="Address"
              value={
                <Text fz={15} component="div">
                  <Addresses addresses={run?.addresses ?? []} />
                </Text>
              }
              note={<Answer at={run?.answeredAt ?? null} waits={waits} />}
            />
            <Hydration run={run} />
            {decides && <Deadline at={run.commitDeadline} action={atDeadline} />}
          </SimpleGrid>
          {run && <RunScreenshot run={run} name={protection.name} width={220} />}
        </Group>
        {run?.failure && (
          <Text size="sm" c="var(--bad)" role="alert">
            {run.failure}
          </Text>
        )}
        {actions}
        {steps}
      </Stack>
    </Panel>
  )
}

/** Measured once, when it came up: it says when, and nothing about now. */
function Answer({ at, waits }: { readonly at: string | null; readonly waits: boolean }) {
  if (at === null) return waits ? 'it waits for your answer' : 'no answer yet'
  return (
    <>
      it answered <When at={at} />
    </>
  )
}

function Clock({ clickedAt, run }: { readonly clickedAt: string; readonly run: Run | null }) {
  const now = useNow(1000)
  const answered = run?.answeredAt ?? null
  const seconds = Math.max(
    0,
    ((answered === null ? now : Date.parse(answered)) - Date.parse(clickedAt)) / 1000,
  )
  // The time that is over is rounded as everywhere else; one that runs shows full seconds.
  const whole = answered === null ? Math.floor(seconds) : Math.round(seconds)
  const text = `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
  return (
    <Box role="timer" aria-label={answered ? 'Recovery time' : 'Time since the click'}>
      <Text size="xs" c="var(--ink-quiet)" fw={500}>
        {answered ? 'Recovery time' : 'Since the click'}
      </Text>
      <Text className="number" fz={46} lh={1.1} fw={650} c={answered ? 'var(--good)' : 'var(--ink)'}>
        {text}
      </Text>
      <Text size="xs" c="var(--ink-quiet)">
        {answered ? 'from click to answer' : `since ${formatWithZone(clickedAt)}`}
      </Text>
    </Box>
  )
}

function Hydration({ run }: { readonly run: Run | null }) {
  // A test is thrown away: nothing is streamed in behind it.
  if (!run || run.kind === 'test') return null
  // Before it is up there is nothing to stream in behind.
  if (run.answeredAt === null && run.hydrated === 0) return null
  const percent = Math.round(run.hydrated * 100)
  return (
    <Stat
      label="Data streamed in behind"
      value={`${percent} %`}
      note={
        <>
          <Progress.Root size="sm" mt={4}>
            <Progress.Section value={percent} aria-label="Data streamed in" animated={percent < 100} />
          </Progress.Root>
          {percent < 100 ? 'it already runs meanwhile' : 'stands on its own disks'}
        </>
      }
    />
  )
}

const wordsOfDeadline = { commit: 'then it is committed', 'roll-back': 'then it is rolled back' } as const

type DeadlineProps = { readonly at: string | null; readonly action: 'commit' | 'roll-back' | null }

function Deadline({ at, action }: DeadlineProps) {
  const now = useNow(1000)
  if (at === null)
    return (
      <Stat
        label="Decide within"
        value={
          <Text span fz={15} fw={600}>
            no limit
          </Text>
        }
        note="the policy has no timer; it stays as it is"
      />
    )
  const left = (Date.parse(at) - now) / 1000
  return (
    <Stat
      label="Decide within"
      value={left <= 0 ? 'time is up' : formatDuration(left)}
      ink={left < 600 ? 'var(--at-risk)' : 'var(--ink)'}
      note={`${action === null ? 'then the policy decides' : wordsOfDeadline[action]}; ${formatWithZone(at)}`}
    />
  )
}
