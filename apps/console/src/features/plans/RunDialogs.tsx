// Before an edit of a run is taken over: what will differ, and how it fits with what others and the run itself have done meanwhile.
import { Alert, Button, Group, Modal, Skeleton, Stack, Text, Title } from '@mantine/core'
import { IconLock } from '@tabler/icons-react'
import { useQuery } from '@tanstack/react-query'
import { diffPlans } from '@understudy/contract/plan-editing'
import type { PlanRunMerge } from '@understudy/contract/recovery-plan'
import { client } from '../../api/client.ts'
import { ProblemAlert } from '../../ui/ProblemAlert.tsx'
import { useFocusBack } from '../../ui/use-focus-back.ts'
import { Disagreement } from './Disagreement.tsx'
import { bodyOf, type Names, type Plan } from './plan-draft.ts'
import { Differences } from './SaveDialog.tsx'
import { useAllNames } from './use-sites.ts'

type Edited = {
  readonly plan: Plan
  readonly base: { readonly plan: Plan; readonly version: number }
  readonly names: Names
  readonly onClose: () => void
}

type SaveRunDialogProps = Edited & {
  readonly pending: boolean
  readonly error: unknown
  readonly onSave: () => void
}

export function SaveRunDialog({ plan, base, names, pending, error, onSave, onClose }: SaveRunDialogProps) {
  const allNames = useAllNames(names)
  useFocusBack()
  return (
    <Modal opened onClose={onClose} title="Take it over into the run?" size={560}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (!pending) onSave()
        }}
      >
        <Stack gap="md">
          <Differences
            lines={diffPlans(base.plan, plan, allNames).map(({ words }) => words)}
            empty="Nothing differs from how the run goes now."
          />
          <Text size="sm">
            It counts from this moment on. Pause the run first if something must not begin while you think.
          </Text>
          <ProblemAlert error={error} />
          <Group justify="flex-end" gap="xs">
            <Button variant="default" onClick={onClose}>
              Go on editing
            </Button>
            <Button type="submit" loading={pending} data-autofocus>
              Take it over
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  )
}

type TakeOverDialogProps = Edited & {
  readonly runId: string
  /** `draft`: what goes on being drawn on top of the run as it stands; null: nothing. */
  readonly onTake: (stands: PlanRunMerge, draft: Plan | null) => void
}

export function TakeOverDialog({ runId, plan, base, names, onTake, onClose }: TakeOverDialogProps) {
  const allNames = useAllNames(names)
  useFocusBack()
  const { data, error } = useQuery({
    queryKey: [['planRuns', 'merge'], runId, base.version, plan],
    queryFn: () => client.planRuns.merge({ id: runId, base: bodyOf(base.plan), plan: bodyOf(plan) }),
    gcTime: 0,
    retry: false,
    // What begins while this is read is told when it is taken over.
    refetchInterval: false,
  })
  return (
    <Modal opened onClose={onClose} title="The run has gone on meanwhile" size={620}>
      <Stack gap="md">
        {!data && !error && <Skeleton h={120} />}
        <ProblemAlert error={error} />
        {data && (
          <>
            <section>
              <Title order={3} size="h3" mb={4}>
                What others have changed
              </Title>
              <Differences
                label="What others have changed"
                lines={diffPlans(base.plan, data.theirs, allNames).map(({ words }) => words)}
                empty="Nothing."
              />
            </section>
            <Yours merge={data} names={names} />
            <Group justify="space-between">
              <Button variant="subtle" color="red" onClick={() => onTake(data, null)}>
                Throw mine away
              </Button>
              <Group gap="xs">
                <Button variant="default" onClick={onClose}>
                  Go on editing
                </Button>
                {data.kind === 'merged' && (
                  <Button onClick={() => onTake(data, data.plan)} data-autofocus>
                    Join both
                  </Button>
                )}
              </Group>
            </Group>
          </>
        )}
      </Stack>
    </Modal>
  )
}

function Yours({ merge, names }: { readonly merge: PlanRunMerge; readonly names: Names }) {
  const allNames = useAllNames(names)
  if (merge.kind === 'conflicts')
    return (
      <Disagreement conflicts={merge.conflicts}>
        Make these places the same as in the run as it stands; then the rest can be taken over.
      </Disagreement>
    )
  return (
    <>
      {merge.givenUp.length > 0 && (
        <Alert
          color="yellow"
          variant="light"
          role="alert"
          icon={<IconLock size={18} />}
          title="Has started meanwhile, and stays as it was"
        >
          <Differences
            label="What has started meanwhile"
            lines={merge.givenUp.map(({ message }) => message)}
            empty=""
          />
        </Alert>
      )}
      <section>
        <Title order={3} size="h3" mb={4}>
          What yours adds to it
        </Title>
        <Differences
          label="What yours adds to it"
          lines={diffPlans(merge.theirs, merge.plan, allNames).map(({ words }) => words)}
          empty="Nothing: it is there already, or has started."
        />
      </section>
    </>
  )
}
