// Everything about one machine or step of a run.
import {
  Alert,
  Anchor,
  Button,
  Code,
  CopyButton,
  Drawer,
  Group,
  Image,
  Modal,
  Stack,
  Text,
  UnstyledButton,
} from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { IconCheck, IconCopy } from '@tabler/icons-react'
import type { PlanActivity, PlanRun } from '@understudy/contract/recovery-plan'
import type { ReactNode } from 'react'
import { formatDuration, formatWithZone, readable } from '../../lib/format.ts'
import { CopyText } from '../../ui/CopyText.tsx'
import { Fact, Facts } from '../../ui/Facts.tsx'
import { FailureAlert } from '../../ui/FailureAlert.tsx'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useNow } from '../../ui/use-now.ts'
import { secondsTaken } from './Gantt.tsx'
import { RetryOrSkip } from './RetryOrSkip.tsx'
import { isActive, statusOfActivity, wordsOfActivityKind } from './run-words.ts'
import { steeringOf } from './steering.ts'

type StepDrawerProps = {
  readonly run: PlanRun
  readonly activity: PlanActivity
  /** Leads to its protected machine. */
  readonly machineLink: (protectionId: string) => ReactNode
  readonly onClose: () => void
}

export function StepDrawer({ run, activity, machineLink, onClose }: StepDrawerProps) {
  const { tone, words } = statusOfActivity(activity)
  const group = run.plan.groups.find(({ id }) => id === activity.groupId)
  const { retry, skip } = steeringOf(run, activity)
  return (
    <Drawer
      opened
      onClose={onClose}
      position="right"
      size="lg"
      title={activity.name}
      closeButtonProps={{ 'aria-label': 'Close the details' }}
    >
      <Stack gap="md">
        <Group justify="space-between">
          <Group gap="sm">
            <StatusMark tone={tone}>{words}</StatusMark>
            <Text size="sm" c="var(--ink-quiet)">
              {wordsOfActivityKind[activity.kind]}
              {group ? ` in ${group.name}` : ''}
              {activity.predicted?.critical && activity.state !== 'left-out' ? ', on the critical path' : ''}
            </Text>
          </Group>
        </Group>
        {activity.asks && activity.asks.kind !== 'failed' && (
          <Alert color="yellow" variant="light" title="Waiting for you">
            <Text size="sm" style={{ whiteSpace: 'pre-wrap' }}>
              {readable(activity.asks.text)}
            </Text>
            <Text size="sm" mt={4}>
              Answer it at the top of the page.
            </Text>
          </Alert>
        )}
        <FailureAlert failure={activity.failure} />
        {(retry === null || skip === null) && <RetryOrSkip run={run} activity={activity} />}
        {activity.note && activity.note !== activity.failure?.message && (
          <Text size="sm">{readable(activity.note)}</Text>
        )}
        {activity.state === 'left-out' && (
          <Text size="sm" c="var(--ink-quiet)">
            This step is not meant for this kind of run or this direction.
          </Text>
        )}
        <Facts>
          <Times run={run} activity={activity} />
          <Fact name="Attempt">{activity.attempt > 0 ? String(activity.attempt) : ''}</Fact>
          <Fact name="Steered by">{activity.steeredBy}</Fact>
          <Fact name="Answer">
            {activity.answer &&
              `${activity.answer.value === 'done' ? 'Done' : 'Not done'}, says ${activity.answer.by} ${formatWithZone(activity.answer.at)}${activity.answer.comment === '' ? '' : `: ${activity.answer.comment}`}`}
          </Fact>
          <Fact name="Recovery point">{activity.pointInstant && formatWithZone(activity.pointInstant)}</Fact>
          <Fact name="Addresses">
            {activity.addresses.length > 0 ? <Addresses addresses={activity.addresses} /> : null}
          </Fact>
          <Fact name="Machine">{activity.protectionId && machineLink(activity.protectionId)}</Fact>
          <Fact name="Job">
            {activity.jobId && (
              <LinkAnchor to="/jobs/$jobId" params={{ jobId: activity.jobId }}>
                Tasks of this attempt
              </LinkAnchor>
            )}
          </Fact>
        </Facts>
        {activity.runId && activity.hasScreenshot && (
          <Screenshot runId={activity.runId} name={activity.name} />
        )}
        {activity.output !== null && <Output text={activity.output} name={activity.name} />}
      </Stack>
    </Drawer>
  )
}

function Times({ run, activity }: { readonly run: PlanRun; readonly activity: PlanActivity }) {
  const now = useNow(1000)
  const { startedAt, endedAt, deadline, predicted, state } = activity
  const took = secondsTaken(activity, now)
  const startsAt =
    predicted && state === 'pending' && isActive(run)
      ? new Date(Date.parse(run.startedAt) + predicted.startSeconds * 1000).toISOString()
      : null
  return (
    <>
      <Fact name="Expected">{startsAt && formatWithZone(startsAt)}</Fact>
      <Fact name="Started">{startedAt && formatWithZone(startedAt)}</Fact>
      <Fact name="Ended">{endedAt && formatWithZone(endedAt)}</Fact>
      <Fact name={endedAt === null ? 'So far' : 'Took'}>{took === null ? null : formatDuration(took)}</Fact>
      <Fact name="Expected to take">
        {predicted && (state === 'pending' || state === 'running')
          ? formatDuration(predicted.endSeconds - predicted.startSeconds)
          : null}
      </Fact>
      <Fact name="May be late by">
        {predicted && state === 'pending' && predicted.slackSeconds > 0
          ? `${formatDuration(predicted.slackSeconds)} without delaying the end`
          : null}
      </Fact>
      <Fact name="Given up">{deadline && state === 'running' ? formatWithZone(deadline) : null}</Fact>
    </>
  )
}

const Addresses = ({ addresses }: { readonly addresses: readonly string[] }) => (
  <Stack gap={2} align="flex-start">
    {addresses.map((address) =>
      /^https?:\/\//.test(address) ? (
        <Anchor key={address} href={address} target="_blank" rel="noreferrer" size="sm">
          {address}
        </Anchor>
      ) : (
        <CopyText key={address} text={address} what="address" />
      ),
    )}
  </Stack>
)

function Screenshot({ runId, name }: { readonly runId: string; readonly name: string }) {
  const [opened, { open, close }] = useDisclosure()
  const address = `/api/v1/runs/${encodeURIComponent(runId)}/screenshot`
  const label = `Screen of ${name}`
  const style = { border: '1px solid var(--line)', background: '#000' }
  return (
    <>
      <UnstyledButton onClick={open} aria-label={`Enlarge: ${label}`}>
        <Image src={address} alt={label} radius="sm" style={style} />
      </UnstyledButton>
      <Modal opened={opened} onClose={close} title={label} size="xl">
        <Image src={address} alt={label} style={style} />
      </Modal>
    </>
  )
}

function Output({ text, name }: { readonly text: string; readonly name: string }) {
  return (
    <div>
      <Group justify="space-between" mb={4}>
        <Text size="sm" fw={600}>
          Output
        </Text>
        <CopyButton value={text} timeout={1500}>
          {({ copied, copy }) => (
            <Button
              variant="subtle"
              size="compact-xs"
              onClick={copy}
              leftSection={copied ? <IconCheck size={13} aria-hidden /> : <IconCopy size={13} aria-hidden />}
            >
              {copied ? 'Copied' : 'Copy'}
            </Button>
          )}
        </CopyButton>
      </Group>
      <Code
        block
        tabIndex={0}
        role="region"
        aria-label={`Output of ${name}`}
        fz={12}
        mah="46vh"
        style={{
          overflow: 'auto',
          whiteSpace: 'pre',
          background: 'var(--panel-quiet)',
          border: '1px solid var(--line)',
        }}
      >
        {text === '' ? 'It printed nothing.' : text}
      </Code>
    </div>
  )
}
