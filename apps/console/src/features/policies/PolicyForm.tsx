import {
  Box,
  Button,
  Group,
  NumberInput,
  Select,
  SimpleGrid,
  Stack,
  Switch,
  Text,
  TextInput,
} from '@mantine/core'
import { IconPlus, IconX } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { Policy } from '@understudy/contract/policy'
import { roleOf } from '@understudy/contract/roles'
import { type FormEvent, useState } from 'react'
import { api, client, fieldProblem } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { formatCount } from '../../lib/format.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { SpanInput } from '../../ui/SpanInput.tsx'
import { toastDone } from '../../ui/toast-job.tsx'
import { RetentionPicture } from './RetentionPicture.tsx'
import { checkTiers, expectedPoints, type PolicyDraft, wordsOfRetention } from './retention-words.ts'

const MiB = 1024 * 1024

export const newPolicy: PolicyDraft = {
  name: '',
  intervalSeconds: 5,
  lagTargetSeconds: 30,
  applicationConsistentEverySeconds: 3600,
  retention: [
    { everySeconds: 0, forSeconds: 3600 },
    { everySeconds: 3600, forSeconds: 86_400 },
    { everySeconds: 86_400, forSeconds: 2_592_000 },
  ],
  compress: true,
  encrypt: false,
  priority: 5,
  rateLimitBytesPerSecond: 0,
  commitTimeoutSeconds: 86_400,
  uncommittedAction: 'commit',
}

type PolicyFormProps = {
  /** Null: a new one. */
  readonly policy: Policy | null
  readonly onDone: () => void
}

export function PolicyForm({ policy, onDone }: PolicyFormProps) {
  const queries = useQueryClient()
  const whyRefused = useWhyRefused()
  const saveRefused = whyRefused(policy ? roleOf.policies.update : roleOf.policies.create)
  const [draft, setDraft] = useState<PolicyDraft>(policy ? draftOf(policy) : newPolicy)
  const set = (change: Partial<PolicyDraft>): void => setDraft({ ...draft, ...change })
  const onSettled = () => queries.invalidateQueries({ queryKey: api.policies.key() })
  const save = useMutation({
    mutationFn: () =>
      policy ? client.policies.update({ id: policy.id, policy: draft }) : client.policies.create(draft),
    onSuccess: () => {
      toastDone(`${draft.name} is saved`)
      onDone()
    },
    onSettled,
  })
  const remove = useMutation({
    mutationFn: () => client.policies.remove({ id: policy?.id ?? '' }),
    onSuccess: onDone,
    onSettled,
  })
  const problem = (path: string): string | null =>
    fieldProblem(save.error, path) ?? fieldProblem(save.error, `policy.${path}`)
  const tierProblem = checkTiers(draft.retention)
  const missing = draft.intervalSeconds < 1 || draft.lagTargetSeconds < 1
  const reason =
    saveRefused ?? (draft.name.trim() === '' ? 'Give it a name' : missing ? 'Fill in the times' : tierProblem)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (reason === null) save.mutate()
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <TextInput
          label="Name"
          value={draft.name}
          onChange={(event) => set({ name: event.currentTarget.value })}
          error={problem('name')}
          required
          data-autofocus
        />
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
          <SpanInput
            label="A point every"
            seconds={draft.intervalSeconds}
            onChange={(intervalSeconds) => set({ intervalSeconds })}
            error={problem('intervalSeconds')}
          />
          <SpanInput
            label="Alert when lag exceeds"
            seconds={draft.lagTargetSeconds}
            onChange={(lagTargetSeconds) => set({ lagTargetSeconds })}
            error={
              draft.lagTargetSeconds <= draft.intervalSeconds
                ? 'Longer than the time between two points, or it alerts all the time'
                : problem('lagTargetSeconds')
            }
          />
          <SpanInput
            label="Application-consistent every"
            description="0: never"
            seconds={draft.applicationConsistentEverySeconds}
            onChange={(applicationConsistentEverySeconds) => set({ applicationConsistentEverySeconds })}
            min={0}
            error={problem('applicationConsistentEverySeconds')}
          />
          <NumberInput
            label="Priority"
            description="1 first, 9 last"
            value={draft.priority}
            min={1}
            max={9}
            onChange={(value) => set({ priority: Number(value) })}
            error={problem('priority')}
          />
        </SimpleGrid>
        <Tiers draft={draft} onChange={(retention) => set({ retention })} problem={tierProblem} />
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
          <Switch
            label="Compress"
            checked={draft.compress}
            onChange={(event) => set({ compress: event.currentTarget.checked })}
          />
          <Switch
            label="Encrypt at rest"
            description={
              draft.encrypt
                ? 'Not for sites in Azure: Azure boots from what lies there and encrypts it itself. Protecting to one with this policy is refused.'
                : undefined
            }
            checked={draft.encrypt}
            onChange={(event) => set({ encrypt: event.currentTarget.checked })}
          />
          <NumberInput
            label="At most, MiB/s"
            description="0: as fast as it goes"
            value={draft.rateLimitBytesPerSecond / MiB}
            min={0}
            onChange={(value) => set({ rateLimitBytesPerSecond: Math.round(Number(value) * MiB) })}
            error={problem('rateLimitBytesPerSecond')}
          />
          <Box />
          <SpanInput
            label="Decide about a failover within"
            description="0: no timer"
            seconds={draft.commitTimeoutSeconds}
            onChange={(commitTimeoutSeconds) => set({ commitTimeoutSeconds })}
            min={0}
            error={problem('commitTimeoutSeconds')}
          />
          <Select
            label="If nobody decides"
            description="when the time is up"
            allowDeselect={false}
            value={draft.uncommittedAction}
            disabled={draft.commitTimeoutSeconds === 0}
            onChange={(value) => set({ uncommittedAction: value === 'roll-back' ? 'roll-back' : 'commit' })}
            data={[
              { value: 'commit', label: 'Keep it running there (commit)' },
              { value: 'roll-back', label: 'Go back (roll back)' },
            ]}
          />
        </SimpleGrid>
        <ProblemAlert error={save.error ?? remove.error} />
        <Group justify="space-between">
          {policy ? (
            <ActionButton
              reason={
                policy.protectionCount > 0
                  ? `${policy.protectionCount} protections use it`
                  : whyRefused(roleOf.policies.remove)
              }
              variant="subtle"
              color="red"
              loading={remove.isPending}
              onClick={() => remove.mutate()}
            >
              Remove {policy.name}
            </ActionButton>
          ) : (
            <span />
          )}
          <Group gap="xs">
            <Button variant="default" onClick={onDone}>
              Cancel
            </Button>
            <ActionButton reason={reason} loading={save.isPending} onClick={() => {}} type="submit">
              Save
            </ActionButton>
          </Group>
        </Group>
      </Stack>
    </form>
  )
}

function draftOf(policy: Policy): PolicyDraft {
  const { id: _id, protectionCount: _count, ...draft } = policy
  return draft
}

type TiersProps = {
  readonly draft: PolicyDraft
  readonly problem: string | null
  readonly onChange: (tiers: PolicyDraft['retention']) => void
}

function Tiers({ draft, problem, onChange }: TiersProps) {
  const { retention, intervalSeconds } = draft
  const change = (index: number, part: Partial<PolicyDraft['retention'][number]>): void =>
    onChange(retention.map((tier, at) => (at === index ? { ...tier, ...part } : tier)))
  return (
    <Box
      component="fieldset"
      p="md"
      m={0}
      style={{ border: '1px solid var(--line)', borderRadius: 'var(--mantine-radius-md)', minWidth: 0 }}
    >
      <Text component="legend" size="sm" fw={600} px={4}>
        How long points are kept
      </Text>
      <Stack gap="sm">
        {retention.map((tier, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: a tier has no identity but its place.
          <Group key={index} gap="sm" align="flex-end" wrap="nowrap">
            <Box flex={1}>
              <SpanInput
                label="One every"
                seconds={tier.everySeconds}
                min={0}
                onChange={(everySeconds) => change(index, { everySeconds })}
              />
            </Box>
            <Box flex={1}>
              <SpanInput
                label="for"
                seconds={tier.forSeconds}
                onChange={(forSeconds) => change(index, { forSeconds })}
              />
            </Box>
            <Button
              variant="subtle"
              color="gray"
              px={8}
              disabled={retention.length === 1}
              aria-label={`Remove tier ${index + 1}`}
              onClick={() => onChange(retention.filter((_, at) => at !== index))}
            >
              <IconX size={15} aria-hidden />
            </Button>
          </Group>
        ))}
        <Group justify="space-between">
          <Button
            variant="default"
            leftSection={<IconPlus size={15} />}
            disabled={retention.length >= 10}
            onClick={() => onChange([...retention, nextTier(retention)])}
          >
            Add a tier
          </Button>
          <Text size="xs" c="var(--ink-quiet)" className="number">
            about {formatCount(expectedPoints(retention, intervalSeconds))} points a machine
          </Text>
        </Group>
        <Text size="sm">{wordsOfRetention(retention)}</Text>
        <Text size="xs" c="var(--ink-quiet)">
          One every 0 seconds keeps every point.
        </Text>
        {problem && (
          <Text size="sm" c="var(--bad)" role="alert">
            {problem}.
          </Text>
        )}
        <RetentionPicture retention={retention} intervalSeconds={intervalSeconds} />
      </Stack>
    </Box>
  )
}

/** Coarser and further back than all the others. */
function nextTier(tiers: PolicyDraft['retention']): PolicyDraft['retention'][number] {
  const furthest = Math.max(...tiers.map((tier) => tier.forSeconds))
  return { everySeconds: Math.min(furthest, 31_536_000), forSeconds: Math.min(furthest * 12, 315_360_000) }
}
