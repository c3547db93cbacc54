import { Button, Group, Modal, Skeleton, Stack, Text, Title } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { diffPlans } from '@understudy/contract/plan-editing'
import type { PlanMerge } from '@understudy/contract/recovery-plan'
import { client } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { When } from '../../ui/When.tsx'
import { Disagreement } from './Disagreement.tsx'
import { bodyOf, type Names, type Plan } from './plan-draft.ts'
import { Differences } from './SaveDialog.tsx'
import { useAllNames } from './use-sites.ts'

type Newest = {
  readonly version: number
  readonly plan: Plan
  readonly savedBy: string
  readonly savedAt: string
  readonly comment: string
}

type MergeDialogProps = {
  readonly planId: string
  readonly plan: Plan
  readonly base: { readonly plan: Plan; readonly version: number }
  readonly names: Names
  /** `draft`: what goes on being drawn on top of the newest version; null: nothing. */
  readonly onTake: (newest: { readonly plan: Plan; readonly version: number }, draft: Plan | null) => void
  readonly onClose: () => void
}

/** Somebody else has saved meanwhile: what they did, and how the two become one. */
export function MergeDialog({ planId, plan, base, names, onTake, onClose }: MergeDialogProps) {
  useFocusBack()
  const { data, error } = useQuery({
    queryKey: [['plans', 'merge'], planId, base.version, plan],
    queryFn: async () => {
      const merge = await client.plans.merge({ id: planId, plan: bodyOf(plan), version: base.version })
      // The very version that it was merged with: there may be a newer one by now.
      return { merge, newest: await client.plans.version({ id: planId, version: merge.version }) }
    },
    gcTime: 0,
    retry: false,
  })
  return (
    <Modal opened onClose={onClose} title="Somebody else has saved this plan meanwhile" size={620}>
      <Stack gap="md">
        {!data && !error && <Skeleton h={120} />}
        <ProblemAlert error={error} />
        {data && (
          <>
            <TheirWork newest={data.newest} base={base} names={names} />
            <Ours merge={data.merge} newest={data.newest} names={names} />
            <Ways merge={data.merge} plan={plan} newest={data.newest} onTake={onTake} onClose={onClose} />
          </>
        )}
      </Stack>
    </Modal>
  )
}

function TheirWork({
  newest,
  base,
  names,
}: {
  readonly newest: Newest
  readonly base: MergeDialogProps['base']
  readonly names: Names
}) {
  const allNames = useAllNames(names)
  return (
    <section>
      <Text size="sm" mb={6}>
        Your edit began with version {base.version}. Version {newest.version} is by <b>{newest.savedBy}</b>,{' '}
        <When at={newest.savedAt} />
        {newest.comment === '' ? '.' : `: “${newest.comment}”`}
      </Text>
      <Title order={3} size="h3" mb={4}>
        What they changed
      </Title>
      <Differences
        label="What they changed"
        lines={diffPlans(base.plan, newest.plan, allNames).map(({ words }) => words)}
        empty="Nothing that can be seen."
      />
    </section>
  )
}

function Ours({
  merge,
  newest,
  names,
}: {
  readonly merge: PlanMerge
  readonly newest: Newest
  readonly names: Names
}) {
  const allNames = useAllNames(names)
  if (merge.kind === 'merged')
    return (
      <section>
        <Title order={3} size="h3" mb={4}>
          What yours adds to it
        </Title>
        <Differences
          label="What yours adds to it"
          lines={diffPlans(newest.plan, merge.plan, allNames).map(({ words }) => words)}
          empty="Nothing: they have done the same."
        />
      </section>
    )
  return (
    <Disagreement conflicts={merge.conflicts}>
      Talk to {newest.savedBy}, or go back and make these places the same as theirs: then the rest can be
      taken over.
    </Disagreement>
  )
}

type WaysProps = Pick<MergeDialogProps, 'plan' | 'onTake' | 'onClose'> & {
  readonly merge: PlanMerge
  readonly newest: Newest
}

function Ways({ merge, plan, newest, onTake, onClose }: WaysProps) {
  return (
    <Group justify="space-between">
      <Group gap="xs">
        <Button variant="subtle" color="red" onClick={() => onTake(newest, null)}>
          Throw mine away
        </Button>
        {merge.kind === 'conflicts' && (
          <Button variant="subtle" color="red" onClick={() => onTake(newest, plan)}>
            Keep only mine
          </Button>
        )}
      </Group>
      <Group gap="xs">
        <Button variant="default" onClick={onClose}>
          Go on editing
        </Button>
        {merge.kind === 'merged' && (
          <Button onClick={() => onTake(newest, merge.plan)} data-autofocus>
            Take both over
          </Button>
        )}
      </Group>
    </Group>
  )
}
