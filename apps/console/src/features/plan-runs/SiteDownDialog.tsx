import {
  Alert,
  Box,
  Button,
  Checkbox,
  Group,
  Modal,
  NumberInput,
  ScrollArea,
  Skeleton,
  Stack,
  Text,
  TextInput,
} from '@mantine/core'
import { IconAlertTriangle, IconHandStop } from '@tabler/icons-react'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import type { PlanFinding, SiteOutlook } from '@understudy/contract/recovery-plan'
import { type FormEvent, useState } from 'react'
import { api, client } from '../../api/client.ts'
import { formatDuration } from '../../lib/format.ts'
import { withMember } from '../../lib/with-member.ts'
import { LinkAnchor } from '../../ui/LinkAnchor.tsx'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { StatusMark } from '../../ui/StatusMark.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { ParameterFields } from './ParameterFields.tsx'
import { PointChoiceFields } from './PointChoiceFields.tsx'
import { latestPoint, type PointDraft, pointOf } from './point-draft.ts'
import classes from './StartDialog.module.css'
import { canBegin, missingOf, movesAlong, startTicks, tickedSharers, uncoveredWords } from './site-down.ts'
import { type Filled, type ParameterValue, withValue } from './start-draft.ts'

/** By the id of the plan. */
type FilledByPlan = Readonly<Record<string, Filled>>

const filledOf = (filled: FilledByPlan, planId: string): Filled => filled[planId] ?? { values: {} }

/** Whoever fills in reads below what is missing; the server has the last word. */
const noFindings: ReadonlyMap<string, readonly PlanFinding[]> = new Map()

type SiteDownDialogProps = {
  readonly siteId: string
  readonly name: string
  readonly onClose: () => void
}

/** Which plans, from which point, how many at a time; then the name of the site, once for all of them. */
export function SiteDownDialog({ siteId, name, onClose }: SiteDownDialogProps) {
  useFocusBack()
  const { data, error } = useQuery({
    ...api.sites.failoverOutlook.queryOptions({ input: { id: siteId } }),
    gcTime: 0,
  })
  return (
    <Modal opened onClose={onClose} title={`${name} is down: fail over its plans`} size={760}>
      {data ? (
        <SiteDownForm outlook={data} onClose={onClose} />
      ) : error ? (
        <ProblemAlert error={error} />
      ) : (
        <Skeleton h={320} />
      )}
    </Modal>
  )
}

type SiteDownFormProps = { readonly outlook: SiteOutlook; readonly onClose: () => void }

function SiteDownForm({ outlook, onClose }: SiteDownFormProps) {
  const { siteId, name, plans, running } = outlook
  const queries = useQueryClient()
  const navigate = useNavigate()
  const [key] = useState(() => crypto.randomUUID())
  // What was ticked stays ticked while the list is read again.
  const [ticked, setTicked] = useState(() => startTicks(plans))
  // Ticked by hand under the words that say what it drags along. What gets there later was not meant.
  const [meant, setMeant] = useState<readonly string[]>([])
  const [draft, setDraft] = useState<PointDraft>(latestPoint)
  const [atOnce, setAtOnce] = useState(3)
  const [acceptUnfenced, setAcceptUnfenced] = useState(false)
  const [typed, setTyped] = useState('')
  const [filled, setFilled] = useState<FilledByPlan>({})
  const point = pointOf(draft)
  const chosen = plans.filter(({ planId }) => ticked.includes(planId))
  const unfilled = chosen.filter((plan) => missingOf(plan, filledOf(filled, plan.planId)).length > 0)
  const start = useMutation({
    mutationFn: () => {
      if (point === null) throw new Error('Not everything is chosen yet')
      const planIds = chosen.map(({ planId }) => planId)
      const moveAlong = planIds.filter((planId) => meant.includes(planId))
      const parameters = Object.fromEntries(
        chosen
          .filter(({ asked }) => asked.length > 0)
          .map(({ planId }) => [planId, { ...filledOf(filled, planId).values }]),
      )
      const choice = { siteName: typed, planIds, moveAlong, parameters, point, acceptUnfenced, atOnce }
      const body = { id: siteId, ...choice }
      return client.sites.failOver(body, { context: { idempotencyKey: key } })
    },
    onSuccess: ({ id }) => {
      onClose()
      void navigate({ to: '/site-failovers/$failoverId', params: { failoverId: id } })
    },
    onSettled: () =>
      Promise.all([
        queries.invalidateQueries({ queryKey: api.siteFailovers.key() }),
        queries.invalidateQueries({ queryKey: api.planRuns.key() }),
        queries.invalidateQueries({ queryKey: api.plans.key() }),
      ]),
  })
  const ready =
    running === null && chosen.length > 0 && unfilled.length === 0 && point !== null && typed.trim() === name
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (ready && !start.isPending) start.mutate()
  }
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        {running !== null && (
          <Alert color="yellow" variant="light" title={`The plans of ${name} are being failed over already`}>
            <LinkAnchor to="/site-failovers/$failoverId" params={{ failoverId: running }}>
              See how far it is
            </LinkAnchor>
          </Alert>
        )}
        {outlook.answers && (
          <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} title={`${name} answers`}>
            Its machines may well be running: an unplanned failover loses what they wrote last. To move them
            on purpose, without loss, run the planned failover of each plan.
          </Alert>
        )}
        <PlanChoice
          plans={plans}
          ticked={ticked}
          filled={filled}
          onFill={(planId, name, value) =>
            setFilled({ ...filled, [planId]: withValue(filledOf(filled, planId), name, value) })
          }
          onTick={(plan, isTicked) => {
            setTicked(withMember(ticked, plan.planId, isTicked))
            setMeant(withMember(meant, plan.planId, isTicked && movesAlong(plan)))
          }}
          onTickAll={(all) => {
            const harmless = plans.filter((plan) => !movesAlong(plan)).map(({ planId }) => planId)
            setTicked(all ? [...new Set([...ticked, ...harmless])] : [])
            if (!all) setMeant([])
          }}
        />
        <Uncovered outlook={outlook} />
        <PointChoiceFields planId={null} draft={draft} onChange={setDraft} />
        <NumberInput
          label="Plans at a time"
          description="The next one begins when one of these is over, in the order of the list."
          min={1}
          max={20}
          allowDecimal={false}
          value={atOnce}
          onChange={(value) => setAtOnce(typeof value === 'number' ? value : 1)}
          w={300}
        />
        <Alert
          color="yellow"
          variant="light"
          icon={<IconHandStop size={18} />}
          title="Are the originals really down?"
        >
          <Checkbox
            label="I vouch for it: go on without proof"
            description="Understudy tries to switch each original off before its copy starts. Where the site does not answer it cannot, and asks machine by machine, unless you vouch here for all of them. Kept in the audit log."
            checked={acceptUnfenced}
            onChange={(event) => setAcceptUnfenced(event.currentTarget.checked)}
          />
        </Alert>
        <TextInput
          label={
            <Text span size="sm">
              Type <b>{name}</b> to fail over {chosen.length === 1 ? 'one plan' : `${chosen.length} plans`}
            </Text>
          }
          value={typed}
          onChange={(event) => setTyped(event.currentTarget.value)}
          autoComplete="off"
        />
        {unfilled.length > 0 && (
          <StatusMark tone="at-risk">
            Fill in above what {unfilled.map((plan) => plan.name).join(', ')} asks for
          </StatusMark>
        )}
        <ProblemAlert error={start.error} />
        <Group justify="flex-end" gap="xs" className={classes.foot}>
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" color="red" disabled={!ready} loading={start.isPending}>
            Fail over now
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

type PlanChoiceProps = {
  readonly plans: SiteOutlook['plans']
  readonly ticked: readonly string[]
  readonly filled: FilledByPlan
  readonly onFill: (planId: string, name: string, value: ParameterValue | null) => void
  readonly onTick: (plan: SiteOutlook['plans'][number], ticked: boolean) => void
  readonly onTickAll: (all: boolean) => void
}

function PlanChoice({ plans, ticked, filled, onFill, onTick, onTickAll }: PlanChoiceProps) {
  if (plans.length === 0)
    return (
      <Text size="sm">
        No plan has machines that run at this site. Fail its machines over one by one, from the list of
        machines.
      </Text>
    )
  const count = plans.filter(({ planId }) => ticked.includes(planId)).length
  return (
    <fieldset style={{ border: 'none', margin: 0, padding: 0 }}>
      <Group component="legend" justify="space-between" w="100%" mb={6}>
        <Text span size="sm" fw={500}>
          Plans in the order in which they begin
          <Text span size="xs" fw={400} c="var(--ink-quiet)" display="block">
            The highest priority first, from 9 to 1; each plan's settings say its own.
          </Text>
        </Text>
        <Checkbox
          size="xs"
          label="All"
          checked={count === plans.length}
          indeterminate={count > 0 && count < plans.length}
          onChange={(event) => onTickAll(event.currentTarget.checked)}
        />
      </Group>
      <ScrollArea.Autosize mah={300} type="auto" viewportProps={{ tabIndex: 0 }}>
        <Stack gap={10}>
          {plans.map((plan) => (
            <Stack key={plan.planId} gap={6}>
              <Checkbox
                checked={ticked.includes(plan.planId)}
                onChange={(event) => onTick(plan, event.currentTarget.checked)}
                label={
                  <Text span fw={500}>
                    {plan.name}
                  </Text>
                }
                description={<PlanWords plan={plan} ticked={ticked} />}
              />
              {ticked.includes(plan.planId) && plan.asked.length > 0 && (
                <Box pl={32}>
                  <ParameterFields
                    label={`What ${plan.name} asks for`}
                    parameters={plan.asked}
                    draft={filledOf(filled, plan.planId)}
                    keptSecrets={plan.keptSecrets}
                    findings={noFindings}
                    onChange={(parameter, value) => onFill(plan.planId, parameter, value)}
                  />
                </Box>
              )}
            </Stack>
          ))}
        </Stack>
      </ScrollArea.Autosize>
    </fieldset>
  )
}

type PlanWordsProps = {
  readonly plan: SiteOutlook['plans'][number]
  readonly ticked: readonly string[]
}

function PlanWords({ plan, ticked }: PlanWordsProps) {
  const { priority, machinesHere, machinesElsewhere, predictedSeconds, worstLagSeconds } = plan
  return (
    <Stack component="span" gap={2}>
      <span>
        Priority {priority} · {machinesHere === 1 ? '1 machine' : `${machinesHere} machines`} here
        {worstLagSeconds !== null && ` · loses at most ${formatDuration(Math.round(worstLagSeconds))}`}
        {predictedSeconds !== null && ` · back after about ${formatDuration(Math.round(predictedSeconds))}`}
      </span>
      {machinesElsewhere.length > 0 && (
        <StatusMark tone="at-risk">
          Ticking it also switches off and moves what runs elsewhere: {machinesElsewhere.join(', ')}
        </StatusMark>
      )}
      {tickedSharers(plan, ticked).map(({ planId, name, machines }) => (
        <StatusMark key={planId} tone="off">
          {machines.join(', ')} {machines.length === 1 ? 'stands' : 'stand'} in {name} too: whichever comes to{' '}
          {machines.length === 1 ? 'it' : 'one'} first brings it up, and the other waits for that.
        </StatusMark>
      ))}
      {canBegin(plan) ? null : (
        <StatusMark tone="bad">
          {plan.activeRun ? 'It is being run just now' : (plan.blockers[0] ?? '')}
        </StatusMark>
      )}
    </Stack>
  )
}

/** What stays down, plainly. */
function Uncovered({ outlook }: { readonly outlook: Pick<SiteOutlook, 'uncovered' | 'unprotected'> }) {
  const words = uncoveredWords(outlook)
  if (words.length === 0)
    return (
      <StatusMark tone="good">
        Every machine of this site is protected and stands in one of its plans
      </StatusMark>
    )
  return (
    <Alert color="yellow" variant="light" title="What no plan brings back">
      {words.map((line) => (
        <Text size="sm" key={line}>
          {line}
        </Text>
      ))}
    </Alert>
  )
}
