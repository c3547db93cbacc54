import {
  Alert,
  Button,
  Checkbox,
  Group,
  Modal,
  SegmentedControl,
  SimpleGrid,
  Skeleton,
  Stack,
  Text,
  TextInput,
} from '@mantine/core'
import { useDebouncedValue } from '@mantine/hooks'
import { IconHandStop } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import type { PlanDetail, PlanDryRun } from '@understudy/contract/recovery-plan'
import { type FormEvent, useState } from 'react'
import { api, client } from '../../api/client.ts'
import { formatDuration } from '../../lib/format.ts'
import { keysOf } from '../../lib/keys-of.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { Stat } from '../../ui/Stat.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { useNow } from '../../ui/use-now.ts'
import { ParameterFields } from './ParameterFields.tsx'
import { PlacedFindings } from './PlacedFindings.tsx'
import { PointChoiceFields } from './PointChoiceFields.tsx'
import { PointsOfMachines } from './PointsOfMachines.tsx'
import classes from './StartDialog.module.css'
import {
  askedParameters,
  bodyOf,
  dryBodyOf,
  newDraft,
  placeFindings,
  type StartDraft,
  type StartKind,
  withValue,
  wordsOfStart,
} from './start-draft.ts'
import { foreseen } from './start-foresight.ts'
import { usePlanMembers } from './use-plan-members.ts'

type StartDialogProps = {
  readonly planId: string
  readonly name: string
  readonly kind: StartKind
  readonly onClose: () => void
}

/** Names the machines, the point, what is lost and how long it takes, and what stands in the way; then one click. */
export function StartDialog({ planId, name, kind, onClose }: StartDialogProps) {
  useFocusBack()
  const { data: detail, error } = useQuery(api.plans.get.queryOptions({ input: { id: planId } }))
  const words = wordsOfStart[kind]
  return (
    <Modal opened onClose={onClose} title={`${words.title}: ${name}`} size={760}>
      {detail ? (
        <StartForm detail={detail} kind={kind} onClose={onClose} />
      ) : error ? (
        <ProblemAlert error={error} />
      ) : (
        <Skeleton h={320} />
      )}
    </Modal>
  )
}

type StartFormProps = {
  readonly detail: PlanDetail
  readonly kind: StartKind
  readonly onClose: () => void
}

function StartForm({ detail, kind: asked, onClose }: StartFormProps) {
  const { id, plan } = detail
  const queries = useQueryClient()
  const navigate = useNavigate()
  const [key] = useState(() => crypto.randomUUID())
  const [draft, setDraft] = useState<StartDraft>(() => newDraft(asked))
  const [typed, setTyped] = useState('')
  const words = wordsOfStart[draft.kind]
  const [settled] = useDebouncedValue(draft, 400)
  const dryBody = dryBodyOf(settled, plan.parameters)
  const dry = useQuery({
    ...api.plans.dryRun.queryOptions({ input: { id, ...(dryBody ?? { kind: settled.kind }) } }),
    enabled: dryBody !== null,
    gcTime: 0,
    retry: false,
    placeholderData: (before) => before,
  })
  const members = usePlanMembers(plan)
  const start = useMutation({
    mutationFn: () => {
      const body = bodyOf(draft)
      if (body === null) throw new Error('Not everything is chosen yet')
      return client.plans.start({ id, ...body }, { context: { idempotencyKey: key } })
    },
    onSuccess: ({ id: runId }) => {
      onClose()
      void navigate({ to: '/plans/$planId/runs/$runId', params: { planId: id, runId } })
    },
    onSettled: () =>
      Promise.all([
        queries.invalidateQueries({ queryKey: api.plans.key() }),
        queries.invalidateQueries({ queryKey: api.planRuns.key() }),
      ]),
  })
  const parameters = askedParameters(plan.parameters)
  const placed = placeFindings(dry.data?.findings ?? [], {
    asked: parameters.map(({ name }) => name),
    nameOf: members.nameOf,
  })
  const mustType = draft.kind === 'unplanned' && !members.allDown
  const looked = dry.data !== undefined && !dry.isPlaceholderData && settled === draft
  const ready =
    bodyOf(draft) !== null && looked && placed.blockers === 0 && (!mustType || typed === plan.name)
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (ready && !start.isPending) start.mutate()
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <SegmentedControl
          aria-label="Kind of run"
          fullWidth
          data={keysOf(wordsOfStart).map((each) => ({ value: each, label: wordsOfStart[each].button }))}
          value={draft.kind}
          onChange={(value) => {
            const kind = keysOf(wordsOfStart).find((each) => each === value) ?? draft.kind
            setDraft({ ...draft, kind })
          }}
        />
        <div>
          <Text size="sm" fw={600}>
            {members.flow}
          </Text>
          <Text size="sm">{words.effect}</Text>
        </div>
        {words.choosesPoint && (
          <PointChoiceFields
            planId={id}
            draft={draft.point}
            onChange={(point) => setDraft({ ...draft, point })}
          />
        )}
        {words.choosesPoint && dry.data && <PointsOfMachines points={dry.data.points} />}
        <Foresight detail={detail} draft={draft} check={dry.data} />
        <ParameterFields
          parameters={parameters}
          draft={draft}
          keptSecrets={detail.keptSecrets}
          findings={placed.parameters}
          onChange={(name, value) => setDraft(withValue(draft, name, value))}
        />
        {dry.error && <ProblemAlert error={dry.error} title="What stands in the way is not known" />}
        <PlacedFindings placed={placed} isLooking={!looked && !dry.error} />
        <Options draft={draft} onChange={setDraft} />
        {mustType && (
          <TextInput
            label={
              <Text span size="sm">
                The machines are not known to be down: two copies could run at once. Type <b>{plan.name}</b>{' '}
                to go on
              </Text>
            }
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            autoComplete="off"
          />
        )}
        <ProblemAlert error={start.error} />
        <Group justify="flex-end" gap="xs" className={classes.foot}>
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button
            type="submit"
            color={words.danger ? 'red' : 'teal'}
            disabled={!ready}
            loading={start.isPending}
          >
            {words.confirm}
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

type ForesightProps = {
  readonly detail: PlanDetail
  readonly draft: StartDraft
  readonly check: PlanDryRun | undefined
}

function Foresight({ detail, draft, check }: ForesightProps) {
  const now = useNow(1000)
  const { loss, time, target } = foreseen({ detail, draft, check, now })
  return (
    <SimpleGrid
      cols={{ base: 1, xs: 3 }}
      spacing="sm"
      p="sm"
      style={{ border: '1px solid var(--line)', borderRadius: 'var(--mantine-radius-md)' }}
    >
      <Stat
        label="Expected loss"
        value={loss.value}
        note={loss.note}
        ink={loss.isLoss ? 'var(--at-risk)' : 'var(--ink)'}
      />
      <Stat label="Predicted time" value={time.value} note={time.note} />
      <Stat
        label="Target (RTO)"
        value={detail.targetRtoSeconds === null ? 'none' : formatDuration(detail.targetRtoSeconds)}
        note={target.words}
        ink={target.isMissed ? 'var(--bad)' : 'var(--ink)'}
      />
    </SimpleGrid>
  )
}

type OptionsProps = { readonly draft: StartDraft; readonly onChange: (draft: StartDraft) => void }

/** What else can be chosen; each says what it risks. */
function Options({ draft, onChange }: OptionsProps) {
  if (draft.kind === 'test')
    return (
      <Stack gap="xs">
        <Checkbox
          label="Clean up by itself once everything has passed"
          description="A test that fails is left as it is, for people to look at."
          checked={draft.cleanUpWhenDone}
          onChange={(event) => onChange({ ...draft, cleanUpWhenDone: event.currentTarget.checked })}
        />
        <Checkbox
          label="Where no isolated network is mapped, use the failover network"
          description="The copies can then reach your production systems, and they can reach the copies."
          checked={draft.allowOpenNetworks}
          onChange={(event) => onChange({ ...draft, allowOpenNetworks: event.currentTarget.checked })}
        />
      </Stack>
    )
  if (draft.kind === 'unplanned')
    return (
      <Alert
        color="yellow"
        variant="light"
        icon={<IconHandStop size={18} />}
        title="Are the originals really down?"
      >
        <Checkbox
          label="I vouch for it: go on without proof"
          description="Understudy tries to switch each original off before its copy starts. Where it cannot, it stops and asks you, machine by machine, unless you vouch here for all of them. If one still runs, two copies answer your users and their data part for good. Kept in the audit log."
          checked={draft.acceptUnfenced}
          onChange={(event) => onChange({ ...draft, acceptUnfenced: event.currentTarget.checked })}
        />
      </Alert>
    )
  return null
}
