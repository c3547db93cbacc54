import { Alert, Box, Button, Group, Select, Stack, Text, TextInput } from '@mantine/core'
import { IconInfoCircle, IconListTree } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import type { ConsistencyGroup } from '@understudy/contract/consistency-group'
import type { NewRecoveryPlan } from '@understudy/contract/recovery-plan'
import { roleOf } from '@understudy/contract/roles'
import { type FormEvent, useState } from 'react'
import { api, client, fieldProblem } from '../../api/client.ts'
import { useWhyRefused } from '../../api/session.ts'
import { ActionButton } from '../../ui/ActionButton.tsx'
import { ConfirmByName } from '../../ui/ConfirmByName.tsx'
import { Fact, Facts } from '../../ui/Facts.tsx'
import { Panel } from '../../ui/Panel.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { toastDone } from '../../ui/toast-job.tsx'
import { CommonPoint } from './CommonPoint.tsx'
import { MemberPicker } from './MemberPicker.tsx'

type GroupFormProps = {
  /** Null: a new one. */
  readonly group: ConsistencyGroup | null
  readonly onDone: () => void
}

export function GroupForm({ group, onDone }: GroupFormProps) {
  const queries = useQueryClient()
  const whyRefused = useWhyRefused()
  // What somebody else changes meanwhile is not undone by what stands in this form.
  const [before] = useState(group)
  const [name, setName] = useState(group?.name ?? '')
  const [policyId, setPolicyId] = useState(group?.policyId ?? null)
  const [chosen, setChosen] = useState<ReadonlySet<string>>(
    new Set(group?.members.map(({ protectionId }) => protectionId)),
  )
  const [removing, setRemoving] = useState(false)
  const { data: policies } = useQuery(api.policies.list.queryOptions())
  const onSettled = (): Promise<unknown> =>
    Promise.all([
      queries.invalidateQueries({ queryKey: api.groups.key() }),
      queries.invalidateQueries({ queryKey: api.protections.key() }),
    ])
  const saving = useMutation({
    mutationFn: () => save(before, group, { name: name.trim(), policyId, chosen }),
    onSuccess: () => {
      toastDone(`${name.trim()} is saved`)
      onDone()
    },
    onSettled,
  })
  const remove = useMutation({
    mutationFn: () => client.groups.remove({ id: group?.id ?? '' }),
    onSuccess: onDone,
    onSettled,
  })
  const reason =
    whyRefused(group ? roleOf.groups.update : roleOf.groups.create) ??
    (name.trim() === '' ? 'Give it a name' : null)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (reason === null && !saving.isPending) saving.mutate()
  }
  return (
    <>
      <form onSubmit={submit}>
        <Stack gap="md">
          <TextInput
            label="Name"
            placeholder="Web shop"
            maxLength={120}
            value={name}
            error={fieldProblem(saving.error, 'name')}
            onChange={(event) => setName(event.currentTarget.value)}
            data-autofocus
          />
          {group && group.members.length > 0 && (
            <Select
              label="Policy of all its machines"
              description="They have one beat and one retention, so that their points stay common."
              data={(policies?.items ?? []).map((policy) => ({ value: policy.id, label: policy.name }))}
              value={policyId}
              allowDeselect={false}
              onChange={setPolicyId}
            />
          )}
          {group && <Standing group={group} />}
          <Box>
            <Text size="sm" fw={500}>
              Machines
            </Text>
            <Text size="xs" c="var(--ink-quiet)" mb={6}>
              They stand still together for some milliseconds each time a point is taken. Those that come and
              go keep all the points that they have.
            </Text>
            <Panel flush aria-label="Machines to choose">
              {/* Nobody asks who could be in a group that is just going. */}
              {(remove.isIdle || remove.isError) && (
                <MemberPicker groupId={group?.id ?? null} chosen={chosen} onChange={setChosen} />
              )}
            </Panel>
          </Box>
          <ProblemAlert error={saving.error} />
          <Group justify="space-between">
            {group ? (
              <ActionButton
                variant="subtle"
                color="red"
                reason={whyRefused(roleOf.groups.remove)}
                onClick={() => setRemoving(true)}
              >
                Remove the group
              </ActionButton>
            ) : (
              <span />
            )}
            <Group gap="xs">
              <Button variant="default" onClick={onDone}>
                Cancel
              </Button>
              <ActionButton type="submit" reason={reason} loading={saving.isPending} onClick={() => {}}>
                Save
              </ActionButton>
            </Group>
          </Group>
        </Stack>
      </form>
      {group && (
        <ConfirmByName
          opened={removing}
          onClose={() => setRemoving(false)}
          title={`Remove ${group.name}?`}
          name={group.name}
          confirm="Remove the group"
          pending={remove.isPending}
          error={remove.error}
          onConfirm={() => remove.mutate()}
        >
          <Text size="sm">
            Its machines go on replicating, each at an instant of its own. The points that they have stay.
          </Text>
        </ConfirmByName>
      )}
    </>
  )
}

/** All its machines at once, to be drawn on: a plan is how a group is failed over to one common point. */
function PlanOfGroup({ group }: { readonly group: ConsistencyGroup }) {
  const navigate = useNavigate()
  const queries = useQueryClient()
  const refused = useWhyRefused()(roleOf.plans.create)
  const create = useMutation({
    mutationFn: () => client.plans.create(planOf(group)),
    onSuccess: ({ id }) => navigate({ to: '/plans/$planId', params: { planId: id } }),
    onSettled: () => queries.invalidateQueries({ queryKey: api.plans.key() }),
  })
  return (
    <>
      <Group justify="space-between" gap="xs">
        <Text size="sm" c="var(--ink-quiet)" maw={360}>
          A recovery plan boots all its machines from one common point, in a test or a failover.
        </Text>
        <ActionButton
          variant="default"
          reason={refused}
          loading={create.isPending}
          leftSection={<IconListTree size={16} aria-hidden />}
          onClick={() => create.mutate()}
        >
          Make a plan of it
        </ActionButton>
      </Group>
      <ProblemAlert error={create.error} />
    </>
  )
}

type PlanGroup = NewRecoveryPlan['groups'][number]

const planOf = ({ name, members }: ConsistencyGroup): NewRecoveryPlan => ({
  name,
  priority: 5,
  targetRtoSeconds: 900,
  parameters: [],
  groups: [
    {
      id: 'machines' as PlanGroup['id'],
      name: 'All machines',
      start: 'in-order',
      before: [],
      machines: members.map(({ protectionId }, index) => ({
        id: `machine-${index + 1}` as PlanGroup['machines'][number]['id'],
        protectionId: protectionId as PlanGroup['machines'][number]['protectionId'],
        needs: [],
        whenItFails: 'stop',
      })),
      after: [],
    },
  ],
})

/** How things stand now, and who is not in the newest point, and why. */
function Standing({ group }: { readonly group: ConsistencyGroup }) {
  const without = group.members.filter(({ covered }) => !covered)
  if (group.members.length < 2) return null
  return (
    <Stack gap="xs">
      <Facts>
        <Fact name="Newest common point">
          <CommonPoint cut={group.newestWholeCut} />
        </Fact>
        <Fact name="Opened apart because">
          {group.apart && `${group.apart.reason}. ${group.apart.remedy}`}
        </Fact>
      </Facts>
      <PlanOfGroup group={group} />
      {without.length > 0 && (
        <Alert
          color="yellow"
          variant="light"
          icon={<IconInfoCircle size={18} />}
          title="Not in the newest point"
        >
          {without.map(({ protectionId, name, note }) => (
            <Text size="sm" key={protectionId}>
              <b>{name}</b>: {note}
            </Text>
          ))}
        </Alert>
      )}
    </Stack>
  )
}

type Draft = {
  readonly name: string
  readonly policyId: string | null
  readonly chosen: ReadonlySet<string>
}

const idsOf = (group: ConsistencyGroup): ReadonlySet<string> =>
  new Set(group.members.map(({ protectionId }) => protectionId))

/**
 * Who leaves goes first: a place may be needed, and the policy is then that of those who stay.
 * @param before the group as it was when the form was opened: only what differs from it was changed here
 * @param now as it is
 */
async function save(
  before: ConsistencyGroup | null,
  now: ConsistencyGroup | null,
  { name, policyId, chosen }: Draft,
): Promise<void> {
  if (before === null || now === null) {
    await client.groups.create({ name, protectionIds: [...chosen] })
    return
  }
  const { id } = before
  const [were, are] = [idsOf(before), idsOf(now)]
  for (const protectionId of were)
    if (!chosen.has(protectionId) && are.has(protectionId))
      await client.groups.removeMember({ id, protectionId })
  const added = [...chosen].filter((protectionId) => !were.has(protectionId) && !are.has(protectionId))
  if (added.length > 0) await client.groups.addMembers({ id, protectionIds: added })
  const change = {
    ...(name === before.name ? {} : { name }),
    ...(policyId === null || policyId === before.policyId ? {} : { policyId }),
  }
  if (Object.keys(change).length > 0) await client.groups.update({ id, ...change })
}
