import { Button, Group, List, Modal, Progress, Stack, Text } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import type { ProtectionAction } from '@understudy/contract/protection'
import { roleOf, roleOfAction } from '@understudy/contract/roles'
import { useState } from 'react'
import { api, problemOf } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { formatWithZone } from '../../lib/format.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import type { AskedAction } from './ActionDialog.tsx'
import { planOf } from './action-plan.ts'
import { pointsOf, sharedStarts } from './bulk-points.ts'
import { type InstantChoice, type PointChoice, plainOptions, runAction } from './run-action.ts'

/** One machine of a choice: its protection, and the server's verdict on the action that is asked. */
export type BulkTarget = {
  readonly id: string
  readonly name: string
  readonly protectionId: string | null
  /** Its consistency group; null: it has none. */
  readonly groupId: string | null
  /** Neither protected nor a copy that we started. */
  readonly canBeProtected: boolean
  readonly reasonOf: (action: ProtectionAction) => string | null
}

type BulkBarProps = {
  readonly targets: readonly BulkTarget[]
  readonly words: Readonly<Record<ProtectionAction, string>>
  readonly onProtect: () => void
  readonly onClear: () => void
}

const offered = ['test-failover', 'clean-up-test', 'pause', 'resume', 'replicate-now', 'resync'] as const

/** What can be done with all that are chosen. An action that none of them allows says so. */
export function BulkBar({ targets, words, onProtect, onClear }: BulkBarProps) {
  const whyRefused = useWhyRefused()
  const [asked, setAsked] = useState<AskedAction | null>(null)
  const unprotected = targets.filter((target) => target.canBeProtected).length
  const reasonOf = (action: ProtectionAction): string | null => {
    const refused = whyRefused(roleOfAction[action])
    if (refused !== null) return refused
    const reasons = targets.map((target) => target.reasonOf(action))
    return reasons.some((reason) => reason === null) ? null : (reasons[0] ?? 'Choose machines first')
  }
  return (
    <Group
      gap="xs"
      px={12}
      py={8}
      role="toolbar"
      aria-label="What to do with the chosen machines"
      style={{ borderBottom: '1px solid var(--line)', background: 'var(--panel-quiet)' }}
    >
      <Text size="sm" fw={600} mr={6}>
        {targets.length} chosen
      </Text>
      <ActionButton
        reason={
          whyRefused(roleOf.protections.create) ??
          (unprotected === 0 ? 'Each of them is protected already, or a copy that Understudy started' : null)
        }
        onClick={onProtect}
      >
        Protect {unprotected > 0 && unprotected < targets.length ? `${unprotected} of them` : ''}
      </ActionButton>
      {offered.map((action) => (
        <ActionButton
          key={action}
          reason={reasonOf(action)}
          variant="default"
          onClick={() => setAsked(action)}
        >
          {words[action]}
        </ActionButton>
      ))}
      <Button variant="subtle" color="gray" onClick={onClear}>
        Choose none
      </Button>
      {asked && <BulkDialog action={asked} targets={targets} onClose={() => setAsked(null)} />}
    </Group>
  )
}

type BulkDialogProps = {
  readonly action: AskedAction
  readonly targets: readonly BulkTarget[]
  readonly onClose: () => void
}

type Outcome = { readonly name: string; readonly problem: string | null }

/** How many requests are under way at once. */
const atOnce = 4

function BulkDialog({ action, targets, onClose }: BulkDialogProps) {
  useFocusBack()
  const queries = useQueryClient()
  const plan = planOf[action]
  const [outcomes, setOutcomes] = useState<readonly Outcome[] | null>(null)
  // Decided once: while the dialog is open the list must not change under the hand.
  const [{ able, unable }] = useState(() => ({
    able: targets.filter((target) => target.reasonOf(action) === null),
    unable: targets.filter((target) => target.reasonOf(action) !== null),
  }))
  // The instants of the groups, as the dialog shows them: what is read is what is started from.
  const sharing = action === 'test-failover' && sharedStarts(able, []).length > 0
  const groups = useQuery({ ...api.groups.list.queryOptions(), enabled: sharing && outcomes === null })
  const known = groups.data?.items ?? []
  const points = sharing ? pointsOf(able, known) : new Map<string, InstantChoice>()
  const run = async (): Promise<void> => {
    setOutcomes([])
    const queue = [...able]
    const work = async (): Promise<void> => {
      for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
        const outcome = await runOne(action, target, points.get(target.id))
        setOutcomes((before) => [...(before ?? []), outcome])
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    await queries.invalidateQueries({ queryKey: api.protections.key() })
  }
  const failed = outcomes?.filter(({ problem }) => problem !== null) ?? []
  const done = outcomes !== null && outcomes.length === able.length
  return (
    <Modal opened onClose={onClose} title={`${plan.title}: ${able.length} machines`} size={560}>
      <Stack gap="md">
        <Text size="sm">{plan.effect}</Text>
        <Text size="sm">
          <b>{able.length} can:</b> {namesOf(able)}
        </Text>
        {sharing && groups.data && <SharedStarts starts={sharedStarts(able, known)} />}
        {sharing && (
          <ProblemAlert error={groups.error} title="What their groups have in common is not known" />
        )}
        {unable.length > 0 && (
          <div>
            <Text size="sm" fw={600}>
              {unable.length} cannot now, and are left as they are:
            </Text>
            <List size="sm" c="var(--ink-quiet)">
              {unable.slice(0, 8).map((target) => (
                <List.Item key={target.id}>
                  {target.name}: {target.reasonOf(action)}
                </List.Item>
              ))}
              {unable.length > 8 && <List.Item>and {unable.length - 8} more</List.Item>}
            </List>
          </div>
        )}
        {outcomes && (
          <div role="status">
            <Progress.Root size="sm">
              <Progress.Section
                value={(outcomes.length / Math.max(1, able.length)) * 100}
                aria-label="Progress over all chosen machines"
              />
            </Progress.Root>
            <Text size="sm" mt={4}>
              {outcomes.length} of {able.length} asked, {failed.length} refused
            </Text>
            {failed.slice(0, 8).map(({ name, problem }) => (
              <Text size="sm" c="var(--bad)" key={name}>
                {name}: {problem}
              </Text>
            ))}
          </div>
        )}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            {done ? 'Close' : 'Cancel'}
          </Button>
          {!done && (
            <Button
              onClick={() => void run()}
              loading={outcomes !== null}
              disabled={able.length === 0 || (sharing && !groups.data)}
            >
              {plan.confirm}
            </Button>
          )}
        </Group>
      </Stack>
    </Modal>
  )
}

/** Machines of one group belong together: from which instant they start, or that they have none in common. */
function SharedStarts({ starts }: { readonly starts: ReturnType<typeof sharedStarts> }) {
  return (
    <List size="sm" spacing={4}>
      {starts.map(({ group, machines, instant }) => (
        <List.Item key={group}>
          {machines.join(', ')} of the group “{group}”:{' '}
          {instant === null ? (
            <StatusMark tone="at-risk">
              have no instant in common yet; each starts from its own newest point, and their data may not fit
            </StatusMark>
          ) : (
            <>
              all from <b>{formatWithZone(instant)}</b>, the newest that the whole group has
            </>
          )}
        </List.Item>
      ))}
    </List>
  )
}

async function runOne(
  action: AskedAction,
  target: BulkTarget,
  point: InstantChoice | PointChoice = plainOptions.point,
): Promise<Outcome> {
  try {
    await runAction(target.protectionId ?? '', action, { ...plainOptions, point }, crypto.randomUUID())
    return { name: target.name, problem: null }
  } catch (error) {
    return { name: target.name, problem: problemOf(error).detail }
  }
}

function namesOf(targets: readonly BulkTarget[]): string {
  const names = targets.slice(0, 12).map(({ name }) => name)
  return targets.length > 12 ? `${names.join(', ')} and ${targets.length - 12} more` : names.join(', ')
}
