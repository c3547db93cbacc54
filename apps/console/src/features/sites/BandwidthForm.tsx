import { Button, Drawer, Group, NumberInput, Select, SimpleGrid, Stack, Text, TextInput } from '@mantine/core'
import { IconPlus, IconX } from '@tabler/icons-react'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { BandwidthLimit } from '@understudy/contract/bandwidth'
import { MOST_BANDWIDTH_RULES, wordsOfBandwidth } from '@understudy/contract/bandwidth-words'
import { roleOf } from '@understudy/contract/roles'
import type { Site } from '@understudy/contract/site'
import { type FormEvent, useState } from 'react'
import { api, client } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { endMinuteOf, minuteOf } from '../../lib/time-of-day.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { TimeZoneSelect } from '../../ui/TimeZoneSelect.tsx'
import { toastDone } from '../../ui/toast-job.tsx'
import { WeekdayChoice } from '../../ui/WeekdayChoice.tsx'
import {
  type BandwidthDraft,
  calendarOf,
  draftOfLimit,
  faultOfDraft,
  type RuleDraft,
  TIME_FAULT,
  workingHours,
} from './bandwidth-draft.ts'

type BandwidthDrawerProps = {
  readonly sites: readonly Site[]
  /** `new`: none yet. Null: closed. */
  readonly edited: BandwidthLimit | 'new' | null
  readonly onClose: () => void
}

export function BandwidthDrawer({ sites, edited, onClose }: BandwidthDrawerProps) {
  return (
    <Drawer
      opened={edited !== null}
      onClose={onClose}
      position="right"
      size={640}
      title="Bandwidth between two sites"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      {edited !== null && (
        <BandwidthForm sites={sites} limit={edited === 'new' ? null : edited} onDone={onClose} />
      )}
    </Drawer>
  )
}

type BandwidthFormProps = {
  readonly sites: readonly Site[]
  readonly limit: BandwidthLimit | null
  readonly onDone: () => void
}

function BandwidthForm({ sites, limit, onDone }: BandwidthFormProps) {
  const queries = useQueryClient()
  const refused = useWhyRefused()(roleOf.bandwidth.save)
  const [draft, setDraft] = useState<BandwidthDraft>(() => draftOfLimit(limit))
  const set = (change: Partial<BandwidthDraft>): void => setDraft({ ...draft, ...change })
  const onSettled = () => queries.invalidateQueries({ queryKey: api.bandwidth.key() })
  const calendar = calendarOf(draft)
  const save = useMutation({
    mutationFn: async () => {
      const { sourceSiteId, targetSiteId } = draft
      if (calendar === null || sourceSiteId === null || targetSiteId === null) return
      await client.bandwidth.save({ sourceSiteId, targetSiteId, calendar })
    },
    onSuccess: () => {
      toastDone('The limit is saved, and counts within seconds')
      onDone()
    },
    onSettled,
  })
  const remove = useMutation({
    mutationFn: () => {
      const { sourceSiteId = '', targetSiteId = '' } = limit ?? {}
      return client.bandwidth.remove({ sourceSiteId, targetSiteId })
    },
    onSuccess: onDone,
    onSettled,
  })
  const fault = faultOfDraft(draft)
  const reason = refused ?? fault
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (reason === null && !save.isPending) save.mutate()
  }
  return (
    <form onSubmit={submit} aria-label="Bandwidth between two sites">
      <Stack gap="md">
        <Ends sites={sites} draft={draft} fixed={limit !== null} onChange={set} />
        {draft.rules.map((rule, index) => (
          <RuleFields
            key={rule.key}
            name={`Rule ${index + 1}`}
            rule={rule}
            onChange={(next) => set({ rules: draft.rules.map((one) => (one === rule ? next : one)) })}
            onRemove={() => set({ rules: draft.rules.filter((one) => one !== rule) })}
          />
        ))}
        <Group>
          <ActionButton
            variant="default"
            reason={
              draft.rules.length < MOST_BANDWIDTH_RULES ? null : `At most ${MOST_BANDWIDTH_RULES} rules`
            }
            leftSection={<IconPlus size={16} />}
            onClick={() => set({ rules: [...draft.rules, workingHours(nextKey(draft.rules))] })}
          >
            Add a rule
          </ActionButton>
        </Group>
        <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
          <NumberInput
            label="Otherwise at most (Mbit/s)"
            description="When no rule applies. Empty: no limit."
            min={1}
            value={draft.otherwise}
            onChange={(otherwise) => set({ otherwise })}
          />
          <TimeZoneSelect value={draft.timeZone} onChange={(timeZone) => set({ timeZone })} />
        </SimpleGrid>
        <Text size="sm" fw={600} role="status">
          {fault ?? (calendar === null ? '' : wordsOfBandwidth(calendar))}
        </Text>
        <ProblemAlert error={save.error ?? remove.error} />
        <Group justify="space-between" gap="xs">
          {limit !== null ? (
            <ActionButton
              variant="default"
              reason={refused}
              loading={remove.isPending}
              onClick={() => remove.mutate()}
            >
              Remove the limit
            </ActionButton>
          ) : (
            <span />
          )}
          <Group gap="xs">
            <Button variant="subtle" color="gray" onClick={onDone}>
              Cancel
            </Button>
            <ActionButton reason={reason} type="submit" loading={save.isPending} onClick={() => {}}>
              Save the limit
            </ActionButton>
          </Group>
        </Group>
      </Stack>
    </form>
  )
}

const nextKey = (rules: readonly RuleDraft[]): number => 1 + Math.max(-1, ...rules.map(({ key }) => key))

type EndsProps = {
  readonly sites: readonly Site[]
  readonly draft: BandwidthDraft
  /** Of a limit that is there: another pair is another limit. */
  readonly fixed: boolean
  readonly onChange: (change: Partial<BandwidthDraft>) => void
}

function Ends({ sites, draft, fixed, onChange }: EndsProps) {
  const data = sites.map(({ id, name }) => ({ value: id, label: name }))
  return (
    <SimpleGrid cols={{ base: 1, xs: 2 }} spacing="sm">
      <Select
        label="From"
        description="Where the machines run."
        data={data}
        allowDeselect={false}
        disabled={fixed}
        value={draft.sourceSiteId}
        onChange={(sourceSiteId) => onChange({ sourceSiteId })}
      />
      <Select
        label="To"
        description="Where their replicas are kept."
        data={data}
        allowDeselect={false}
        disabled={fixed}
        value={draft.targetSiteId}
        onChange={(targetSiteId) => onChange({ targetSiteId })}
      />
    </SimpleGrid>
  )
}

type RuleFieldsProps = {
  readonly name: string
  readonly rule: RuleDraft
  readonly onChange: (rule: RuleDraft) => void
  readonly onRemove: () => void
}

function RuleFields({ name, rule, onChange, onRemove }: RuleFieldsProps) {
  const set = (change: Partial<RuleDraft>): void => onChange({ ...rule, ...change })
  return (
    <Stack
      component="fieldset"
      aria-label={name}
      gap="sm"
      p="sm"
      m={0}
      style={{ border: '1px solid var(--line)', borderRadius: 'var(--mantine-radius-md)', minWidth: 0 }}
    >
      <Group justify="space-between" wrap="nowrap">
        <Text size="sm" fw={600}>
          {name}
        </Text>
        <Button
          variant="subtle"
          color="gray"
          size="compact-sm"
          leftSection={<IconX size={14} />}
          aria-label={`Remove ${name.toLowerCase()}`}
          onClick={onRemove}
        >
          Remove
        </Button>
      </Group>
      <WeekdayChoice label="On these days" value={rule.weekdays} onChange={(weekdays) => set({ weekdays })} />
      <SimpleGrid cols={{ base: 1, xs: 3 }} spacing="sm">
        <TextInput
          label="From"
          value={rule.from}
          error={minuteOf(rule.from) === null ? TIME_FAULT : null}
          onChange={(event) => set({ from: event.currentTarget.value })}
        />
        <TextInput
          label="To"
          value={rule.to}
          error={endMinuteOf(rule.to) === null ? TIME_FAULT : null}
          onChange={(event) => set({ to: event.currentTarget.value })}
        />
        <NumberInput
          label="At most (Mbit/s)"
          min={1}
          value={rule.megabits}
          onChange={(megabits) => set({ megabits })}
        />
      </SimpleGrid>
    </Stack>
  )
}
